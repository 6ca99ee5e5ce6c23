import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { migrateContract } from './migrate.contract.ts';
import { openSqlite } from './sqlite.ts';
import { openSqliteStore } from './store.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flotilla-migrate-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

migrateContract('SQLite', async () => {
  const path = join(directory, 'flotilla.db');
  return { database: await openSqlite(path), openStore: () => openSqliteStore(path) };
});
