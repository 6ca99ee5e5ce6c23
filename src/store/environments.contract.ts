/** Environments in any database, and the machines that name them. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Environment } from '../core/environments/environment.ts';
import type { Store } from '../core/ports/store.ts';
import { InvariantError } from '../lib/invariant.ts';
import type { OpenStore } from './store.contract.ts';
import { at, sampleHostId, sampleMachine } from './testing/samples.ts';

function sample(changes: Partial<Environment> = {}): Environment {
  return {
    ...{ id: 'ci-1', tenant: 'default', hostId: sampleHostId, owner: 'ünïcode "quoted"\0' },
    ...{ state: 'active', warnings: ['one'], expiresAt: at(1000), remainingMs: null },
    ...{ createdAt: at(0), updatedAt: at(0) },
    ...changes,
  };
}

export function environmentsContract(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  it('keep all fields, of each tenant apart', async () => {
    const active = sample();
    const stopped = sample({ tenant: 'other', state: 'stopped', expiresAt: null, remainingMs: 2 ** 40 });
    await store.environments.insert(active);
    await store.environments.insert(stopped);
    expect(await store.environments.get(active)).toEqual(active);
    expect(await store.environments.get(stopped)).toEqual(stopped);
    expect(await store.environments.get({ tenant: 'default', id: 'none' })).toBeNull();
    expect(await store.environments.get({ tenant: 'default', id: 'no\0ne' })).toBeNull();
  });

  it('have an id once within a tenant', async () => {
    await store.environments.insert(sample());
    await expect(store.environments.insert(sample())).rejects.toMatchObject({
      code: 'conflict',
      message: "environment 'ci-1' already exists",
    });
  });

  it.each([{ id: '.hidden' }, { expiresAt: null }, { state: 'stopped' }, { remainingMs: 5 }] as const)(
    'refuse %o',
    async (wrong) => {
      await expect(store.environments.insert(sample(wrong))).rejects.toThrow(InvariantError);
    },
  );

  it('are listed newest first, by pages and by owner', async () => {
    await store.environments.insert(sample({ id: 'a', createdAt: at(1), owner: 'ann' }));
    await store.environments.insert(sample({ id: 'b', createdAt: at(2), owner: 'bob' }));
    await store.environments.insert(sample({ id: 'c', createdAt: at(2), owner: 'ann' }));
    await store.environments.insert(sample({ id: 'd', tenant: 'other', owner: 'ann' }));
    const list = async (filter: {
      readonly owner?: string;
      readonly limit?: number;
      readonly offset?: number;
    }) => {
      const page = await store.environments.list({ tenant: 'default', limit: 9, offset: 0, ...filter });
      return [page.environments.map(({ id }) => id).join(''), page.total];
    };
    expect(await list({})).toEqual(['cba', 3]);
    expect(await list({ owner: 'ann' })).toEqual(['ca', 2]);
    expect(await list({ limit: 1, offset: 1 })).toEqual(['b', 3]);
    expect(await list({ owner: 'no\0body' })).toEqual(['', 0]);
  });

  it('are due when their lifetime has ended, on their host, and never while stopped', async () => {
    await store.environments.insert(sample({ id: 'late', expiresAt: at(6) }));
    await store.environments.insert(sample({ id: 'due', expiresAt: at(5) }));
    await store.environments.insert(sample({ id: 'first', expiresAt: at(4) }));
    await store.environments.insert(sample({ id: 'elsewhere', hostId: 'host-2', expiresAt: at(1) }));
    await store.environments.insert(
      sample({ id: 'held', state: 'stopped', expiresAt: null, remainingMs: 1 }),
    );
    const due = async (limit: number) =>
      (await store.environments.due(sampleHostId, at(5), limit)).map(({ id }) => id);
    expect(await due(9)).toEqual(['first', 'due']);
    expect(await due(1)).toEqual(['first']);
    expect(await store.environments.count(sampleHostId)).toBe(4);
  });

  it('change, and go', async () => {
    await store.environments.insert(sample());
    const patch = { state: 'stopped', expiresAt: null, remainingMs: 7, warnings: [] } as const;
    const changed = { ...sample(), ...patch, updatedAt: at(9) };
    expect(await store.environments.patch(sample(), patch, at(9))).toEqual(changed);
    expect(await store.environments.get(sample())).toEqual(changed);
    await store.environments.remove(sample(), at(10));
    await store.environments.remove(sample(), at(10));
    expect(await store.environments.get(sample())).toBeNull();
    expect(await store.environments.patch(sample(), { warnings: [] }, at(11))).toBeNull();
  });

  it('have the machines that name them', async () => {
    const member = sampleMachine({ name: 'a', environmentId: 'ci-1', slot: 1 });
    await store.machines.insert(member);
    await store.machines.insert(sampleMachine({ name: 'b', slot: 2 }));
    await store.machines.insert(
      sampleMachine({ name: 'a', tenant: 'other', environmentId: 'ci-1', slot: 3 }),
    );
    expect(await store.machines.inEnvironment(sample())).toEqual([member]);
    expect(await store.machines.countInEnvironment(sample())).toBe(1);
    expect(await store.machines.countInEnvironment(sample({ id: 'none' }))).toBe(0);
  });
}
