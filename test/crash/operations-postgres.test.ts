import { afterAll, beforeAll } from 'vitest';
import { openPostgres } from '../../src/store/postgres.ts';
import { DatabasePool } from '../support/databases.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { isQuick } from '../support/thoroughness.ts';
import { operationCases } from './operation-cases.ts';
import { operationProofs } from './operations.contract.ts';

let server: PostgresServer;
const databases = new DatabasePool(async () => {
  // Without signals to other processes: there are none, and the proofs wait for no signal.
  const { bell, ...database } = await openPostgres(await server.createDatabase());
  await bell?.close();
  return database;
});
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await databases.close();
  await server.stop();
});

// What a kind of operation does is proved on SQLite; what PostgreSQL does to records hardly depends on the kind.
const sample = isQuick
  ? ['machine.start', 'image.import']
  : ['machine.create', 'machine.start', 'machine.delete', 'image.import', 'environment.create'];
operationProofs({
  takeDatabase: () => databases.take(),
  cases: operationCases.filter(({ kind }) => sample.includes(kind)),
});
