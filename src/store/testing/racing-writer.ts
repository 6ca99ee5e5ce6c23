/**
 * A child program for tests of concurrent writers. It opens the store, which may be empty; adds steps to the
 * operation `counter`, each by read and compare-and-set; then inserts machines that the others insert too,
 * and prints the names it got.
 */
import { isAppError } from '../../core/errors.ts';
import type { StepRecord } from '../../core/operations/operation.ts';
import { DuplicateError } from '../database.ts';
import { openStore } from '../store.ts';
import { at, sampleMachine, sampleOperation } from './samples.ts';

const databaseUrl = process.argv[2];
if (databaseUrl === undefined) throw new Error('usage: racing-writer.ts URL');
const store = await openStore({ databaseUrl, path: '' });

/** One of the programs inserts it; the others get a duplicate error and find it the next time. */
async function begin(step: StepRecord): Promise<boolean> {
  try {
    await store.operations.insert(sampleOperation({ id: 'counter', steps: [step] }));
    return true;
  } catch (error) {
    if (error instanceof DuplicateError) return false;
    throw error;
  }
}

const stepsOfEach = 20;
for (let n = 0; n < stepsOfEach; n++) {
  const step: StepRecord = { name: `${process.pid}`, phase: 'started', output: null, at: at(n) };
  if (n === 0 && (await begin(step))) continue;
  await store.transaction(async ({ operations }) => {
    const counter = await operations.get('counter');
    if (counter === null) throw new Error('lost');
    await operations.save(counter, { ...counter, steps: [...counter.steps, step] });
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
