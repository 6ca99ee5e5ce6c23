import { copyFile, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DatabasePool } from '../../test/support/databases.ts';
import { DamagedRecordError } from '../core/errors.ts';
import { machineStates } from '../core/machines/states.ts';
import { subjectId } from '../core/operations/operation.ts';
import type { OpenDatabase } from './database.ts';
import { migrate } from './migrate.ts';
import { openSqlite, statementCountMax } from './sqlite.ts';
import { storeContract } from './store.contract.ts';
import { createStore, openSqliteStore, openStore } from './store.ts';
import {
  at,
  sampleHostId,
  sampleKey,
  sampleMachine,
  sampleOperation,
  sampleSnapshot,
} from './testing/samples.ts';
import { writeAndKill } from './testing/writers.ts';

const threads = vi.hoisted(() => [] as { terminate(): Promise<number> }[]);
vi.mock(import('node:worker_threads'), async (original) => {
  const actual = await original();
  class Worker extends actual.Worker {
    constructor(...given: ConstructorParameters<typeof actual.Worker>) {
      super(...given);
      threads.push(this);
    }
  }
  return { ...actual, Worker };
});

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flotilla-store-'));
  path = join(directory, 'flotilla.db');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const databases = new DatabasePool();
afterAll(() => databases.close());
storeContract('SQLite', async (limits) => createStore(await databases.take(), limits));

describe('openSqlite', () => {
  it('makes the database and its log readable only for the owner', async () => {
    const store = await openSqliteStore(path);
    await store.machines.insert(sampleMachine());
    const files = await readdir(directory);
    expect(files.sort()).toEqual(['flotilla.db', 'flotilla.db-shm', 'flotilla.db-wal']);
    for (const file of files) expect((await stat(join(directory, file))).mode & 0o777).toBe(0o600);
    await store.close();
  });

  it('restricts the mode of an existing database', async () => {
    await writeFile(path, '', { mode: 0o644 });
    await (await openSqlite(path)).close();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('leaves one file when closed, and closes twice', async () => {
    const database = await openSqlite(path);
    await database.close();
    await database.close();
    expect(await readdir(directory)).toEqual(['flotilla.db']);
  });

  it('names the file when it is not a database', async () => {
    await writeFile(
      path,
      'not a database, by a long way; longer than a header would be, in fact. '.repeat(9),
    );
    await expect(openSqlite(path)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(path),
    });
  });

  it('reports a full disk as exhausted, rolls back, and continues', async () => {
    const database = await openSqlite(path);
    await migrate(database);
    // Gives the same result code as a full disk.
    await sql`pragma max_page_count = 40`.execute(database.db);
    const store = createStore(database);
    await store.machines.insert(sampleMachine({ name: 'before' }));
    const work = store.transaction(async (tx) => {
      for (let n = 0; n < 10_000; n++) await tx.machines.insert(sampleMachine());
    });
    await expect(work).rejects.toMatchObject({ code: 'exhausted' });
    expect((await store.machines.all(sampleHostId)).map(({ spec }) => spec.name)).toEqual(['before']);
    await store.close();
  });

  it('syncs every commit, enforces foreign keys, and uses a write-ahead log', async () => {
    const { db, close } = await openSqlite(path);
    const pragma = async (name: string) =>
      Object.values((await sql.raw<object>(`pragma ${name}`).execute(db)).rows[0] ?? {})[0];
    expect(await pragma('journal_mode')).toBe('wal');
    expect(await pragma('synchronous')).toBe(2);
    expect(await pragma('foreign_keys')).toBe(1);
    await close();
  });

  it('reports that another program holds the lock, and continues when it is free', async () => {
    const store = await openSqliteStore(path);
    const intruder = new DatabaseSync(path);
    intruder.exec('begin immediate');
    await expect(store.machines.insert(sampleMachine())).rejects.toMatchObject({ code: 'unavailable' });
    expect(await store.machines.get('x')).toBeNull();
    intruder.exec('rollback');
    await store.machines.insert(sampleMachine());
    intruder.close();
    await store.close();
  });

  it('can read while a write waits, and does not block the event loop', async () => {
    const store = await openSqliteStore(path);
    const { id } = await store.machines.insert(sampleMachine());
    const intruder = new DatabaseSync(path);
    intruder.exec('begin immediate');
    const waiting = store.machines.insert(sampleMachine());
    const first = await Promise.race([waiting, store.machines.list({ limit: 9, offset: 0 })]);
    expect(first).toMatchObject({ total: 1, machines: [{ id }] });
    // If the wait blocked this thread, nothing could end it.
    intruder.exec('rollback');
    intruder.close();
    await waiting;
    expect((await store.machines.all(sampleHostId)).length).toBe(2);
    await store.close();
  });

  it('refuses to write over the connection that reads', async () => {
    const database = await openSqlite(path);
    await migrate(database);
    await expect(database.reads.deleteFrom('machines').execute()).rejects.toThrow(/readonly/);
    await database.close();
  });

  /** Ends the writer thread while a request is in progress. */
  const endThread = async ({ db }: OpenDatabase) => {
    const counting = sql.raw(`with recursive n(x) as (select 1 union all select x + 1 from n limit 300000)
      select count(*) from n`);
    const asked = expect(counting.execute(db)).rejects.toMatchObject({ code: 'unavailable' });
    // In a later turn, when the request has been sent.
    await new Promise((resolve) => setImmediate(resolve));
    await threads.at(-1)?.terminate();
    await asked;
  };

  it('loses only one write when the writer thread fails', async () => {
    const database = await openSqlite(path);
    await migrate(database);
    const store = createStore(database);
    await endThread(database);
    await store.machines.insert(sampleMachine());
    expect(await store.machines.all(sampleHostId)).toHaveLength(1);
    await store.close();
  });

  it('reports when the file cannot be reopened for writing, and continues when it can', async () => {
    const database = await openSqlite(path);
    await migrate(database);
    const store = createStore(database);
    await store.machines.insert(sampleMachine());
    const aside = join(directory, 'aside');
    const spoil: readonly (() => Promise<unknown>)[] = [
      () => Promise.resolve(),
      () => mkdir(path),
      () => writeFile(path, 'another file'),
      () => copyFile(aside, path),
    ];
    await endThread(database);
    for (const make of spoil) {
      await rename(path, aside);
      await make();
      const files = await readdir(directory);
      const writing = store.machines.insert(sampleMachine());
      await expect(writing).rejects.toMatchObject({
        name: 'AppError',
        code: 'unavailable',
        message: expect.stringContaining(`open database ${path}`),
      });
      // No new file was made.
      expect(await readdir(directory)).toEqual(files);
      await rm(path, { recursive: true, force: true });
      await rename(aside, path);
    }
    await store.machines.insert(sampleMachine());
    expect(await store.machines.all(sampleHostId)).toHaveLength(2);
    await store.close();
  });

  it('keeps few prepared statements for all of the store’s queries', async () => {
    const database = await openSqlite(path);
    await migrate(database);
    const store = createStore(database);
    for (let n = 0; n < 600; n++) {
      await store.machines.find('default', `name-${n}`);
      await store.machines.list({ limit: n, offset: n, states: machineStates.slice(0, n % 8) });
    }
    expect(database.statementCount()).toBeLessThan(80);
    for (let n = 0; n < 600; n++) await sql.raw(`select ${n}`).execute(database.reads);
    expect(database.statementCount()).toBe(statementCountMax);
    await store.close();
  });

  it('omits damaged rows, logs each once, and serves all others', async () => {
    const told: object[] = [];
    const log = { warn: (fields: object) => told.push(fields), info: () => undefined };
    const store = await openStore({ path, log });
    const { id, spec } = await store.machines.insert(
      sampleMachine({ incarnation: 'boot1', state: 'stopped' }),
    );
    let whole = await store.machines.insert(sampleMachine());
    const intruder = new DatabaseSync(path);
    const damages = [
      `state = 'asleep'`,
      `spec = '{'`,
      `spec = '{"version":99}'`,
      `name = 'x'`,
      `operation_id = 'o'`,
    ];
    for (const damage of damages) {
      const row = intruder.prepare('select * from machines where id = ?').get(id);
      intruder.prepare(`update machines set ${damage} where id = ?`).run(id);
      const found = store.machines.get(id);
      await expect(found, damage).rejects.toBeInstanceOf(DamagedRecordError);
      await expect(found).rejects.toMatchObject({
        code: 'internal',
        hint: expect.stringContaining('doctor'),
      });
      expect(await store.machines.all(sampleHostId)).toEqual([whole]);
      const page = await store.machines.list({ tenant: 'default', limit: 9, offset: 0 });
      // A list does not read what it does not show.
      const isShown = damage.startsWith('operation_id');
      expect(page.machines.map((each) => each.id).sort()).toEqual(
        isShown ? [whole.id, id].sort() : [whole.id],
      );
      expect(await store.machines.damaged(sampleHostId)).toMatchObject([{ id, incarnation: 'boot1' }]);
      // Requests that only name the damaged row do not change it.
      const patched = store.machines.patch(id, 'boot1', { desired: 'deleted' }, at(1));
      await expect(patched).rejects.toBeInstanceOf(DamagedRecordError);
      await store.machines.patch(whole.id, null, { desired: 'stopped' }, whole.updatedAt);
      whole = { ...whole, revision: whole.revision + 1 };
      intruder
        .prepare('update machines set state = ?, spec = ?, name = ?, operation_id = ? where id = ?')
        .run(String(row?.state), String(row?.spec), String(row?.name), null, id);
    }
    expect(told).toMatchObject([{ kind: 'machine', id }]);
    expect((await store.machines.find('default', spec.name))?.id).toBe(id);
    intruder.close();
    await store.close();
  });

  it('reads a step that an earlier version recorded as failed as one that began', async () => {
    const store = await openSqliteStore(path);
    const { id } = sampleOperation();
    const steps = [{ name: 'launch', phase: 'started' as const, output: null, at: at(1) }];
    await store.operations.insert(sampleOperation({ id, steps }));
    const earlier = new DatabaseSync(path);
    earlier.prepare(`update operations set steps = replace(steps, 'started', 'failed') where id = ?`).run(id);
    earlier.close();
    expect(await store.operations.get(id)).toMatchObject({ steps });
    await store.close();
  });

  it('omits damaged snapshots likewise, and still counts what they need', async () => {
    const store = await openSqliteStore(path);
    const [bad, good] = [sampleSnapshot(), sampleSnapshot()];
    for (const snapshot of [bad, good]) await store.snapshots.insert(snapshot);
    const intruder = new DatabaseSync(path);
    intruder.prepare(`update snapshots set spec = '{"version":99}' where id = ?`).run(bad.id);
    const page = { tenant: 'default', limit: 9, offset: 0 };
    expect(await store.snapshots.list(page)).toEqual({ snapshots: [good], total: 2 });
    await expect(store.snapshots.get(bad.id)).rejects.toBeInstanceOf(DamagedRecordError);
    await expect(store.snapshots.find('default', bad.name)).rejects.toBeInstanceOf(DamagedRecordError);
    const patched = store.snapshots.patch(bad.id, { state: 'deleting' }, at(1));
    await expect(patched).rejects.toBeInstanceOf(DamagedRecordError);
    const row = intruder.prepare('select state from snapshots where id = ?').get(bad.id);
    expect(row).toMatchObject({ state: 'ready' });
    expect(await store.snapshots.ids(sampleHostId)).toEqual([bad.id, good.id].sort());
    expect(await store.snapshots.countOnImage(sampleHostId, bad.imageDigest)).toBe(2);
    expect(await store.snapshots.imageDigests(sampleHostId)).toEqual([bad.imageDigest]);
    intruder.close();
    await store.close();
  });

  it('omits damaged operations and keys likewise', async () => {
    const store = await openSqliteStore(path);
    const [bad, good] = [sampleOperation(), sampleOperation()];
    for (const operation of [bad, good]) await store.operations.insert(operation);
    const key = sampleKey();
    await store.keys.insert(key);
    const intruder = new DatabaseSync(path);
    intruder.prepare(`update operations set steps = '{' where id = ?`).run(bad.id);
    intruder.exec(`update api_keys set scopes = '["all"]'`);
    intruder.close();
    expect(await store.operations.open(sampleHostId)).toEqual([good]);
    const page = { tenant: 'default', limit: 9, offset: 0 };
    expect((await store.operations.list(page)).operations).toEqual([good]);
    expect(await store.operations.damaged(sampleHostId)).toMatchObject([{ id: bad.id }]);
    await expect(store.operations.get(bad.id)).rejects.toBeInstanceOf(DamagedRecordError);
    expect((await store.keys.list(page)).keys).toEqual([]);
    expect(await store.keys.withPrefix(key.prefix)).toEqual([]);
    await expect(store.keys.get(key.id)).rejects.toBeInstanceOf(DamagedRecordError);
    await store.close();
  });
});

describe('durability', () => {
  it('keeps every acknowledged transaction completely after the writer was killed', async () => {
    const acknowledged: string[] = [];
    for (const count of [1, 40, 300]) acknowledged.push(...(await writeAndKill(['file', path], count)));
    const store = await openSqliteStore(path);
    const machines = new Map(
      (await store.machines.all(sampleHostId)).map((machine) => [machine.id, machine]),
    );
    expect(acknowledged.filter((id) => !machines.has(id))).toEqual([]);
    const operations = await store.operations.open(sampleHostId);
    expect(operations.map((operation) => subjectId(operation, 'machine')).sort()).toEqual(
      [...machines.keys()].sort(),
    );
    // Only the insert in progress at each kill may be committed without an acknowledgement.
    expect(machines.size - acknowledged.length).toBeLessThanOrEqual(3);
    await store.close();
  });
});
