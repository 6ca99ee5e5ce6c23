import { afterAll, beforeAll } from 'vitest';
import { openStore } from '../../src/store/store.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { operationProofs } from './operations.contract.ts';

let server: PostgresServer;
let migrated: string;
beforeAll(async () => {
  server = await startPostgres();
  migrated = await server.createDatabase();
  const store = await openStore({ databaseUrl: migrated, path: '' });
  await store.close();
});
afterAll(() => server.stop());

operationProofs(() => server.createDatabase(migrated));
