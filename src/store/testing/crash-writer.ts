/**
 * A child program for tests: inserts machines for ever and prints each one's id once its insert was
 * acknowledged.
 */
import { writeSync } from 'node:fs';
import { subjectId } from '../../core/operations/operation.ts';
import { openStore } from '../store.ts';
import { sampleMachine, sampleOperation } from './samples.ts';

const [kind, place] = process.argv.slice(2);
if (place === undefined) throw new Error('usage: crash-writer.ts file PATH | url URL');
const store = await openStore({ path: place, databaseUrl: kind === 'url' ? place : undefined });
for (;;) {
  const operation = sampleOperation();
  const machine = sampleMachine({
    id: subjectId(operation, 'machine'),
    state: 'creating',
    operationId: operation.id,
  });
  await store.transaction(async (tx) => {
    await tx.machines.insert(machine);
    await tx.operations.insert(operation);
  });
  // Synchronous: an acknowledgement must not be buffered while the next insert runs.
  writeSync(1, `${machine.id}\n`);
}
