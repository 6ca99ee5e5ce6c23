/**
 * A child program for tests of several at once: opens the store, which may be empty; adds steps to the operation
 * `counter`, each from a read of it; then inserts machines that the others insert too, and prints the names it got.
 */
import { isAppError } from '../../core/errors.ts';
import { openStore } from '../store.ts';
import { at, sampleMachine, sampleOperation } from './samples.ts';

const databaseUrl = process.argv[2];
if (databaseUrl === undefined) throw new Error('usage: racing-writer.ts URL');
const store = await openStore({ databaseUrl, path: '' });

const stepsOfEach = 20;
for (let n = 0; n < stepsOfEach; n++) {
  await store.transaction(async ({ operations }) => {
    const counter = await operations.get('counter');
    const step = { name: `${process.pid}`, phase: 'started', output: null, at: at(n) } as const;
    if (counter === null) await operations.insert(sampleOperation({ id: 'counter', steps: [step] }));
    else await operations.save({ ...counter, steps: [...counter.steps, step] });
  });
}

const names: string[] = [];
for (let n = 0; n < 20; n++) {
  try {
    names.push((await store.machines.insert(sampleMachine({ name: `web-${n}` }))).spec.name);
  } catch (error) {
    if (!isAppError(error, 'conflict')) throw error;
  }
}
await store.close();
process.stdout.write(JSON.stringify(names));
