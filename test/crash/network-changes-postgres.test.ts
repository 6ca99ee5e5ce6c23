import { afterAll, beforeAll } from 'vitest';
import { openPostgres } from '../../src/store/postgres.ts';
import { DatabasePool } from '../support/databases.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';
import { isQuick } from '../support/thoroughness.ts';
import { networkChanges } from './network-change-cases.ts';
import { networkProofs } from './network-changes.contract.ts';

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

// What PostgreSQL does to records hardly depends on the state of the machine.
const sample = ['publish any port, of a running machine', 'withdraw a port, of a running machine'];
networkProofs({
  takeDatabase: () => databases.take(),
  changes: isQuick ? networkChanges.filter(({ title }) => sample.includes(title)) : networkChanges,
  during: isQuick ? [] : ['machine.start', 'machine.delete'],
});
