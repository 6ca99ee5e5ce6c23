import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { InvariantError } from '../lib/invariant.ts';
import type { OpenDatabase } from './database.ts';
import { migrate } from './migrate.ts';
import { migrations } from './migrations/index.ts';
import type { Migration } from './migrations/migration.ts';
import { openSqlite } from './sqlite.ts';
import { openSqliteStore } from './store.ts';

let directory: string;
let path: string;
let database: OpenDatabase;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flotilla-migrate-'));
  path = join(directory, 'flotilla.db');
  database = await openSqlite(path);
});
afterEach(async () => {
  await database.close();
  await rm(directory, { recursive: true, force: true });
});

const applied = async () =>
  (await database.db.selectFrom('schema_migrations').select('version').orderBy('version').execute()).map(
    ({ version }) => version,
  );

const tableNames = async () => (await database.db.introspection.getTables()).map(({ name }) => name).sort();

const next: Migration = {
  version: migrations.length + 1,
  name: 'next',
  up: (schema) => schema.createTable('next').addColumn('id', 'text').execute(),
};

it('applies everything to an empty database, and nothing the second time', async () => {
  await migrate(database.db);
  const before = await tableNames();
  await migrate(database.db);
  expect(await tableNames()).toEqual(before);
  expect(before).toEqual(['machines', 'operations', 'schema_migrations']);
  expect(await applied()).toEqual(migrations.map(({ version }) => version));
});

it('applies only what is missing', async () => {
  await migrate(database.db);
  await migrate(database.db, [...migrations, next]);
  expect(await applied()).toEqual([...migrations, next].map(({ version }) => version));
  expect(await tableNames()).toContain('next');
});

it('survives two at once', async () => {
  await Promise.all([migrate(database.db), migrate(database.db)]);
  expect(await applied()).toEqual(migrations.map(({ version }) => version));
});

it('refuses a schema newer than the program, names both versions, and touches nothing', async () => {
  await migrate(database.db, [...migrations, next]);
  const refusal = {
    code: 'unsupported',
    message: `the database has schema version ${next.version}, this program knows versions up to ${migrations.length}`,
  };
  await expect(migrate(database.db)).rejects.toMatchObject(refusal);
  await expect(openSqliteStore(path)).rejects.toMatchObject(refusal);
  expect(await applied()).toContain(next.version);
});

it('refuses the schema of another build with the same number', async () => {
  await migrate(database.db, [...migrations, next]);
  await expect(migrate(database.db, [...migrations, { ...next, name: 'other' }])).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringMatching(/'next'.*'other'/),
  });
});

it('leaves nothing of a migration that fails half-way', async () => {
  const failing: Migration = {
    ...next,
    up: async (schema) => {
      await next.up(schema);
      await schema.createTable('machines').addColumn('id', 'text').execute();
    },
  };
  await migrate(database.db);
  const before = await tableNames();
  await expect(migrate(database.db, [...migrations, failing])).rejects.toThrow('already exists');
  expect(await tableNames()).toEqual(before);
  expect(await applied()).toEqual(migrations.map(({ version }) => version));
});

it('calls a gap in the numbers a defect', async () => {
  await expect(migrate(database.db, [...migrations, { ...next, version: 99 }])).rejects.toThrow(
    InvariantError,
  );
});
