/** Tests FaultyStore, a test tool: what it reports as committed was committed, and the rest was not. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CommitUnknownError } from '../core/errors.ts';
import type { Store } from '../core/ports/store.ts';
import { type FaultyStore, faultyStore } from '../core/testing/faulty-store.ts';
import { openSqliteStore } from './store.ts';
import { sampleHostId, sampleMachine } from './testing/samples.ts';

let directory: string;
let inner: Store;
let faulty: FaultyStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'faulty-'));
  inner = await openSqliteStore(join(directory, 'test.db'));
  faulty = faultyStore(inner);
});
afterEach(async () => {
  await faulty.store.close();
  await rm(directory, { recursive: true });
});

test.each([
  ['refused', 0, { code: 'unavailable', isMaybeDone: false }],
  ['lost', 1, { name: 'CommitUnknownError', isMaybeDone: true }],
  ['vanished', 0, { name: 'CommitUnknownError', isMaybeDone: true }],
] as const)(
  'a commit that is %s leaves %i rows, in a transaction and in a single write',
  async (fault, rows, error) => {
    const { store } = faulty;
    faulty.failAt(2, fault, 2);
    await store.machines.insert(sampleMachine({ name: 'before' }));
    const writes = [
      () => store.transaction((tx) => tx.machines.insert(sampleMachine())),
      () => store.machines.insert(sampleMachine()),
    ];
    for (const write of writes) await expect(write()).rejects.toMatchObject(error);
    await store.machines.insert(sampleMachine({ name: 'after' }));
    expect(await inner.machines.all(sampleHostId)).toHaveLength(2 + 2 * rows);
    expect(faulty.commits).toBe(4);
  },
);

test('reads and failing work do not count as commits', async () => {
  faulty.failAt(1, 'lost');
  await faulty.store.machines.all(sampleHostId);
  await faulty.store.operations.open(sampleHostId);
  const work = faulty.store.transaction(async () => {
    throw new Error('changed my mind');
  });
  await expect(work).rejects.toThrow('changed my mind');
  expect(faulty.commits).toBe(0);
  await expect(faulty.store.operations.prune(0)).rejects.toThrow(CommitUnknownError);
});
