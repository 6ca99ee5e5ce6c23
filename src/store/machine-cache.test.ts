/** The cache holds committed machines only, however reads and writes overlap. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CommitUnknownError } from '../core/errors.ts';
import type { Machine } from '../core/machines/machine.ts';
import type { MachineRepository, Store } from '../core/ports/store.ts';
import { InvariantError } from '../lib/invariant.ts';
import { cachedMachines, MachineCache } from './machine-cache.ts';
import { openSqliteStore } from './store.ts';
import { at, sampleHostId, sampleMachine } from './testing/samples.ts';

let directory: string;
let store: Store;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cache-'));
  store = await openSqliteStore(join(directory, 'test.db'));
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

const ids = ['a', 'b', 'c'];
type Act =
  | 'patch'
  | 'patch in a transaction'
  | 'patch, then roll back'
  | 'read'
  | 'find'
  | 'remove'
  | 'insert';

/** The only state from which the record may be removed. */
const leaving = { state: 'deleting', desired: 'deleted', operationId: 'op' } as const;

/** `all` bypasses the cache. */
async function committed(id: string): Promise<Machine | undefined> {
  return (await store.machines.all(sampleHostId)).find((machine) => machine.id === id);
}

test('reads after any sequence of overlapping reads and writes return what is stored', async () => {
  let count = 0;
  const patch = (machines: MachineRepository, id: string) => {
    count += 1;
    return machines.patch(id, null, {}, at(count));
  };
  const acts: Readonly<Record<Act, (id: string) => Promise<unknown>>> = {
    patch: (id) => patch(store.machines, id),
    'patch in a transaction': (id) => store.transaction((tx) => patch(tx.machines, id)),
    'patch, then roll back': (id) =>
      store
        .transaction(async (tx) => {
          await patch(tx.machines, id);
          await tx.machines.get(id);
          throw new Error('changed my mind');
        })
        .catch(() => undefined),
    read: (id) => store.machines.get(id),
    find: (id) => store.machines.find('default', id),
    remove: (id) => store.machines.remove(id, at(1)),
    insert: (id) => store.machines.insert(sampleMachine({ id, ...leaving })).catch(() => undefined),
  };
  const act = fc.constantFrom(...(Object.keys(acts) as Act[]));
  const steps = fc.array(fc.tuple(act, fc.constantFrom(...ids), fc.boolean()), { maxLength: 30 });
  const property = fc.asyncProperty(steps, async (given) => {
    const underWay: Promise<unknown>[] = [];
    for (const [name, id, isAwaited] of given) {
      const work = acts[name](id);
      underWay.push(work);
      if (isAwaited) await work;
    }
    await Promise.all(underWay);
    for (const id of ids) {
      const stored = await committed(id);
      expect(await store.machines.get(id)).toEqual(stored ?? null);
      expect(await store.machines.find('default', id)).toEqual(stored ?? null);
    }
  });
  await fc.assert(property, { numRuns: 60 });
});

test('a machine read before a write that ends first is not cached', async () => {
  const old = sampleMachine({ id: 'a' });
  const fresh = { ...old, updatedAt: at(1) };
  const reading = Promise.withResolvers<Machine>();
  let stored: Promise<Machine> = reading.promise;
  const slow = { get: () => stored, patch: async () => true } as unknown as MachineRepository;
  const cached = cachedMachines(slow, new MachineCache(), () => undefined);
  const read = cached.get('a');
  await cached.patch('a', null, {}, at(1));
  reading.resolve(old);
  expect(await read).toBe(old);
  stored = Promise.resolve(fresh);
  expect(await cached.get('a')).toBe(fresh);
});

test('another tenant does not find a cached machine', async () => {
  await store.machines.insert(sampleMachine({ id: 'a', tenant: 'first', name: 'web' }));
  expect(await store.machines.find('first', 'a')).not.toBeNull();
  expect(await store.machines.find('second', 'a')).toBeNull();
  expect(await store.machines.find('second', 'web')).toBeNull();
});

test('cached machines do not bypass the store’s checks', async () => {
  await store.machines.insert(sampleMachine({ id: 'a' }));
  expect(await store.machines.get('a')).not.toBeNull();
  const uses = [() => store.machines.get('a'), () => store.machines.find('default', 'a')];
  for (const use of uses) await expect(store.transaction(use)).rejects.toThrow(InvariantError);
  await store.close();
  for (const use of uses) await expect(use()).rejects.toMatchObject({ code: 'unavailable' });
});

test('nothing is cached while a commit is uncertain, until a later write succeeds', async () => {
  const cache = new MachineCache();
  const machine = await store.machines.insert(sampleMachine());
  const read = () => cache.read(() => store.machines.get(machine.id));
  cache.forget([machine.id], new CommitUnknownError());
  await read();
  expect(cache.get(machine.id)).toBeUndefined();
  // A write that definitely failed says nothing about the uncertain one before it.
  cache.forget([], new Error('no'));
  await read();
  expect(cache.get(machine.id)).toBeUndefined();
  cache.forget([]);
  await read();
  expect(cache.get(machine.id)).toEqual(machine);
});
