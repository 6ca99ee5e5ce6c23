import { inspect } from 'node:util';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DatabasePool } from '../../test/support/databases.ts';
import { type PostgresServer, postgresPassword, startPostgres } from '../../test/support/postgres.ts';
import type { Store } from '../core/ports/store.ts';
import { InvariantError } from '../lib/invariant.ts';
import { migrateContract } from './migrate.contract.ts';
import { migrations } from './migrations/index.ts';
import { openPostgres } from './postgres.ts';
import { uniqueIndexes } from './schema.ts';
import { storeContract } from './store.contract.ts';
import { createStore, openStore } from './store.ts';
import { sampleHostId, sampleMachine, sampleOperation } from './testing/samples.ts';
import { race } from './testing/writers.ts';

let server: PostgresServer;
/** A migrated database, used as a template. Nobody may be connected to it while it is copied. */
let template: string;
/** A copy for tests that change nothing. */
let plain: string;
beforeAll(async () => {
  server = await startPostgres();
  template = await server.createDatabase();
  await (await openStore({ databaseUrl: template, path: '' })).close();
  plain = await server.createDatabase(template);
});
afterAll(async () => {
  await databases.close();
  await server?.stop();
});

const open = (databaseUrl: string) => openStore({ databaseUrl, path: '' });

// Without signals to other processes: each of these tests has its database for itself.
const databases = new DatabasePool(async () => {
  const { bell, ...database } = await openPostgres(await server.createDatabase(template));
  await bell?.close();
  return database;
});
storeContract('PostgreSQL', async (limits) => createStore(await databases.take(), limits));

migrateContract('PostgreSQL', async () => {
  const url = await server.createDatabase();
  return { database: await openPostgres(url), openStore: () => open(url) };
});

describe('openPostgres', () => {
  it('migrates an empty database once when several programs start concurrently', async () => {
    const url = await server.createDatabase();
    const stores = await Promise.all([open(url), open(url), open(url)]);
    for (const store of stores) await store.close();
    expect(await server.query(url, 'select version from schema_migrations')).toEqual(
      migrations.map(({ version }) => ({ version })),
    );
  });

  it('reports an unreachable server with its address and a hint', async () => {
    const url = 'postgresql://me:hush@127.0.0.1:1/flotilla';
    await expect(open(url)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/127\.0\.0\.1:1\/flotilla.*ECONNREFUSED/),
      hint: expect.stringContaining('DATABASE_URL'),
    });
    const socket = 'postgresql://me:hush@/flotilla?host=/nowhere';
    await expect(open(socket)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('reports a missing database', async () => {
    const url = plain.replace(/\/\w+\?/, '/nothing?');
    await expect(open(url)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('no such database'),
    });
  });

  it('never shows a password', async () => {
    const wrong = plain.replace(postgresPassword, 'hush-hush');
    for (const [url, code] of [
      [wrong, 'unavailable'],
      ['postgresql://me:hush-hush@127.0.0.1:1/x', 'unavailable'],
      ['postgresql://me:hush-hush@host:port/x', 'invalid'],
      ['postgresql://me:hush-hush%zz@127.0.0.1:1/x', 'unavailable'],
      ['mysql://me:hush-hush@host/x', 'invalid'],
    ] as const) {
      const error = await open(url).then(
        () => null,
        (reason: unknown) => reason,
      );
      expect(error).toMatchObject({ code });
      expect(inspect(error, { depth: 20, showHidden: true })).not.toContain('hush-hush');
    }
  });

  it('refuses a database that cannot hold every text', async () => {
    await server.query(
      plain,
      `create database latin template template0 encoding 'LATIN1' locale_provider libc locale 'C'`,
    );
    await expect(open(plain.replace(/\/\w+\?/, '/latin?'))).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('LATIN1'),
    });
  });

  it('syncs commits even where the server is configured not to', async () => {
    const database = await openPostgres(`${plain}&options=-c%20synchronous_commit%3Doff`);
    const show = sql<{ readonly synchronous_commit: string }>`show synchronous_commit`;
    const inside = await database.db.transaction().execute((tx) => show.execute(tx));
    expect(inside.rows).toEqual([{ synchronous_commit: 'on' }]);
    expect((await show.execute(database.db)).rows).toEqual([{ synchronous_commit: 'off' }]);
    await database.close();
    await database.close();
  });
});

it('knows every unique index by name and columns', async () => {
  const rows = await server.query<{ readonly name: string; readonly columns: string }>(
    plain,
    `select c.relname as name, string_agg(a.attname, ',' order by a.attnum) as columns
     from pg_index i join pg_class c on c.oid = i.indexrelid join pg_attribute a on a.attrelid = c.oid
     where i.indisunique and c.relnamespace = 'public'::regnamespace group by c.relname`,
  );
  const known = Object.entries(uniqueIndexes).map(([name, columns]) => ({ name, columns: columns.join() }));
  expect([...rows].sort(byName)).toEqual(known.sort(byName));
});

describe('errors of PostgreSQL', () => {
  it.each([
    ['53100', 'exhausted'],
    ['53200', 'unavailable'],
    ['55P03', 'unavailable'],
    ['57P03', 'unavailable'],
    ['57P01', 'unavailable'],
    ['08006', 'unavailable'],
    ['25006', 'unavailable'],
    ['42501', 'unavailable'],
  ])('%s is %s, with a hint', async (errcode, code) => {
    const database = await openPostgres(plain);
    const raise = sql.raw(`do $$ begin raise exception 'no' using errcode = '${errcode}'; end $$`);
    await expect(raise.execute(database.db)).rejects.toMatchObject({ code, hint: expect.any(String) });
    await database.close();
  });

  it('are passed on unchanged when they mean a bug of ours', async () => {
    const database = await openPostgres(plain);
    await expect(sql`select nonsense`.execute(database.db)).rejects.toMatchObject({ code: '42703' });
    await database.close();
  });

  it('have a deadline', async () => {
    const database = await openPostgres(`${plain}&statement_timeout=50`);
    const sleeping = sql`select pg_sleep(600)`.execute(database.db);
    await expect(sleeping).rejects.toMatchObject({ code: 'unavailable' });
    await database.close();
    const impatient = await openPostgres(`${plain}&query_timeout=1000`);
    await expect(sql`select pg_sleep(600)`.execute(impatient.db)).rejects.toMatchObject({
      code: 'unavailable',
    });
    // The connection that still waits for its answer must not be reused.
    expect((await sql`select 1 as one`.execute(impatient.db)).rows).toEqual([{ one: 1 }]);
    await impatient.close();
  });
});

describe('several programs on one database', () => {
  it('start on an empty one together, lose no update, and never share a name', async () => {
    const url = await server.createDatabase();
    const won = await Promise.all([race(url), race(url)]);
    const store = await open(url);
    expect((await store.operations.get('counter'))?.steps).toHaveLength(40);
    const names = Array.from({ length: 20 }, (_, n) => `web-${n}`);
    expect(won.flat().sort()).toEqual([...names].sort());
    await store.close();
  });

  describe('while one is in a transaction', () => {
    let stores: readonly [Store, Store, Store];
    let url: string;
    let begun: PromiseWithResolvers<void>;
    let end: PromiseWithResolvers<void>;
    let transaction: Promise<void>;
    beforeEach(async () => {
      url = await server.createDatabase(template);
      stores = [await open(url), await open(url), await open(`${url}&lock_timeout=100`)];
      begun = Promise.withResolvers();
      end = Promise.withResolvers();
      await stores[0].operations.insert(sampleOperation({ id: 'op' }));
      transaction = stores[0].transaction(async (tx) => {
        const operation = await tx.operations.get('op');
        begun.resolve();
        await end.promise;
        if (operation) await tx.operations.save(operation, { ...operation, state: 'undoing' });
      });
      await begun.promise;
    });
    afterEach(async () => {
      end.resolve();
      await transaction;
      for (const store of stores) await store.close();
    });

    it('delay a single write to the same row until it ends', async () => {
      const operation = sampleOperation({ id: 'op', state: 'succeeded' });
      const save = stores[1].operations.save({ ...operation, state: 'running' }, operation);
      await lockIsAwaited(url);
      end.resolve();
      await save;
      expect((await stores[0].operations.get('op'))?.state).toBe('succeeded');
    });

    it('can read meanwhile', async () => {
      for (const store of stores) {
        expect((await store.operations.get('op'))?.state).toBe('running');
        expect((await store.machines.list({ limit: 1, offset: 0 })).total).toBe(0);
      }
    });

    it('do not wait for ever', async () => {
      await expect(stores[2].operations.requestCancel('op')).rejects.toMatchObject({
        code: 'unavailable',
        message: 'another program keeps the database locked',
      });
      end.resolve();
      await transaction;
      expect(await stores[2].operations.requestCancel('op')).toBe(true);
    });
  });
});

it('raises an InvariantError when a failed statement is ignored inside a transaction', async () => {
  const store = await open(await server.createDatabase(template));
  const machine = sampleMachine();
  const work = store.transaction(async (tx) => {
    await tx.machines.insert(machine);
    await tx.machines.insert(machine).catch(() => undefined);
  });
  await expect(work).rejects.toThrow(InvariantError);
  expect(await store.machines.all(sampleHostId)).toEqual([]);
  await store.close();
});

/** Resolves when a program waits for another's lock. */
async function lockIsAwaited(url: string): Promise<void> {
  const waiting = `select 1 from pg_stat_activity
    where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0`;
  for (let n = 0; n < 1_000; n++) if ((await server.query(url, waiting)).length > 0) return;
  throw new Error('nobody waits for the lock');
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}
