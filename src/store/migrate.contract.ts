import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../core/ports/store.ts';
import { InvariantError } from '../lib/invariant.ts';
import type { OpenDatabase } from './database.ts';
import { migrate } from './migrate.ts';
import { migrations } from './migrations/index.ts';
import type { Migration, NoTables } from './migrations/migration.ts';
import { at, sampleMachine, sampleOperation } from './testing/samples.ts';

/** An empty database, which the suite closes, and the store opened on the same one as the program does. */
export interface EmptyPlace {
  readonly database: OpenDatabase;
  openStore(): Promise<Store>;
}

const next: Migration = {
  version: migrations.length + 1,
  name: 'next',
  up: ({ schema }) => schema.createTable('next').addColumn('id', 'text').execute(),
};

/** Reads each row and writes it to another table: more than a schema builder could do. */
async function splitIds(tx: NoTables): Promise<void> {
  const db = tx.$extendTables<{ next: { id: string }; split: { prefix: string; number: number } }>();
  await tx.schema
    .createTable('split')
    .addColumn('prefix', 'text', (column) => column.notNull())
    .addColumn('number', 'integer', (column) => column.notNull())
    .execute();
  for (const { id } of await db.selectFrom('next').select('id').execute()) {
    const [prefix = '', number] = id.split('-');
    await db
      .insertInto('split')
      .values({ prefix, number: Number(number) })
      .execute();
  }
  await tx.schema.dropTable('next').execute();
}

export function migrateContract(name: string, open: () => Promise<EmptyPlace>): void {
  describe(`migrations on ${name}`, () => {
    let place: EmptyPlace;
    let database: OpenDatabase;
    beforeEach(async () => {
      place = await open();
      database = place.database;
    });
    afterEach(() => database.close());

    const applied = async () =>
      (await database.db.selectFrom('schema_migrations').select('version').orderBy('version').execute()).map(
        ({ version }) => version,
      );

    const tableNames = async () =>
      (await database.db.introspection.getTables()).map(({ name }) => name).sort();

    it('applies everything to an empty database, and nothing when repeated', async () => {
      await migrate(database);
      const before = await tableNames();
      await migrate(database);
      expect(await tableNames()).toEqual(before);
      expect(before).toEqual([
        'allocation_cursors',
        'allocations',
        'api_keys',
        'environments',
        'events',
        'hosts',
        'machine_labels',
        'machine_ssh_keys',
        'machines',
        'operation_subjects',
        'operations',
        'quotas',
        'routes',
        'schema_migrations',
        'snapshots',
        'ssh_keys',
        'templates',
      ]);
      expect(await applied()).toEqual(migrations.map(({ version }) => version));
    });

    it('applies only missing migrations', async () => {
      await migrate(database);
      await migrate(database, [...migrations, next]);
      expect(await applied()).toEqual([...migrations, next].map(({ version }) => version));
      expect(await tableNames()).toContain('next');
    });

    it('gives rows of the first version a tenant, and then a host, subjects and allocations', async () => {
      await migrate(database, migrations.slice(0, 1));
      const first = database.db.$extendTables<{
        machines: Record<string, unknown>;
        operations: Record<string, unknown>;
      }>();
      const times = { created_at: at(0), updated_at: at(0) };
      const { spec } = sampleMachine({ name: 'web' });
      const { imageRef, snapshot, ...specBefore } = spec;
      await first
        .insertInto('machines')
        .values({
          ...{ id: 'm1', tenant: 'default', name: 'web', state: 'creating', desired: 'stopped', slot: 7 },
          ...{ operation_id: 'op1', image_digest: 'sha256:0', spec: JSON.stringify(specBefore), ...times },
        })
        .execute();
      const operation = { kind: 'machine.create', machine_id: 'm1', params: '{}', steps: '[]', ...times };
      for (const [id, state] of Object.entries({ op1: 'running', op0: 'failed' })) {
        await first
          .insertInto('operations')
          .values({ id, state, is_cancel_requested: 0, ...operation })
          .execute();
      }
      const store = await place.openStore();
      const subject = { kind: 'machine', id: 'm1' } as const;
      const page = await store.operations.list({ tenant: 'default', subject, limit: 9, offset: 0 });
      expect(page.operations.map(({ id, subjects, revision }) => ({ id, subjects, revision }))).toEqual([
        { id: 'op1', subjects: [subject], revision: 0 },
        { id: 'op0', subjects: [subject], revision: 0 },
      ]);
      await expect(store.operations.insert(sampleOperation({ subjects: [subject] }))).rejects.toMatchObject({
        code: 'conflict',
      });
      await store.hosts.claim({ hostId: 'h', bootIdBefore: null, unowned: 'all', at: at(1) });
      expect(await store.machines.all('h')).toMatchObject([{ id: 'm1', slot: 7, spec, restartCount: 0 }]);
      const labels = [{ key: 'team', value: 'blue' }];
      const found = { total: 1, machines: [{ id: 'm1', expiresAt: null }] };
      const images = [imageRef];
      expect(await store.machines.list({ labels, images, limit: 9, offset: 0 })).toMatchObject(found);
      const query = { hostId: 'h', states: ['creating'] as const, except: '' };
      expect(await store.machines.memoryMib(query)).toBe(spec.memoryMib);
      const range = { hostId: 'h', kind: 'vmm_uid', owner: subject, at: at(1) } as const;
      expect(await store.allocations.take({ ...range, min: 7, max: 8 })).toBe(8);
      await store.close();
    });

    it('converts rows to a new shape, and leaves them unchanged when that fails', async () => {
      await migrate(database, [...migrations, next]);
      const old = database.db.$extendTables<{ next: { id: string } }>();
      for (const id of ['a-1', 'b-22']) await old.insertInto('next').values({ id }).execute();
      const splitting: Migration = { version: next.version + 1, name: 'split', up: splitIds };
      const failing: Migration = {
        ...splitting,
        up: async (tx) => {
          await splitIds(tx);
          throw new Error('half-way');
        },
      };
      await expect(migrate(database, [...migrations, next, failing])).rejects.toThrow('half-way');
      expect(await old.selectFrom('next').selectAll().orderBy('id').execute()).toEqual([
        { id: 'a-1' },
        { id: 'b-22' },
      ]);
      await migrate(database, [...migrations, next, splitting]);
      const split = database.db.$extendTables<{ split: { prefix: string; number: number } }>();
      expect(await split.selectFrom('split').selectAll().orderBy('prefix').execute()).toEqual([
        { prefix: 'a', number: 1 },
        { prefix: 'b', number: 22 },
      ]);
      expect(await tableNames()).not.toContain('next');
    });

    it('survives two at once', async () => {
      await Promise.all([migrate(database), migrate(database)]);
      expect(await applied()).toEqual(migrations.map(({ version }) => version));
    });

    it('refuses a schema newer than the program, names both versions, and changes nothing', async () => {
      await migrate(database, [...migrations, next]);
      const refusal = {
        code: 'unsupported',
        message: `the database has schema version ${next.version}, this program knows versions up to ${migrations.length}`,
      };
      await expect(migrate(database)).rejects.toMatchObject(refusal);
      await expect(place.openStore()).rejects.toMatchObject(refusal);
      expect(await applied()).toContain(next.version);
    });

    it('refuses the schema of another build with the same number', async () => {
      await migrate(database, [...migrations, next]);
      await expect(migrate(database, [...migrations, { ...next, name: 'other' }])).rejects.toMatchObject({
        code: 'unsupported',
        message: expect.stringMatching(/'next'.*'other'/),
      });
    });

    it('leaves nothing of a migration that fails halfway', async () => {
      const failing: Migration = {
        ...next,
        up: async (tx) => {
          await next.up(tx);
          await tx.schema.createTable('machines').addColumn('id', 'text').execute();
        },
      };
      await migrate(database);
      const before = await tableNames();
      await expect(migrate(database, [...migrations, failing])).rejects.toThrow('already exists');
      expect(await tableNames()).toEqual(before);
      expect(await applied()).toEqual(migrations.map(({ version }) => version));
    });

    it('raises an InvariantError for a gap in the numbers', async () => {
      await expect(migrate(database, [...migrations, { ...next, version: 99 }])).rejects.toThrow(
        InvariantError,
      );
    });
  });
}
