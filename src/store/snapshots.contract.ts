import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../core/ports/store.ts';
import { InvariantError } from '../lib/invariant.ts';
import type { OpenStore } from './store.contract.ts';
import { at, sampleHostId, sampleMachine, sampleSnapshot } from './testing/samples.ts';

export function snapshotsContract(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  describe('insert and find', () => {
    it('keep all fields, also user data with a NUL', async () => {
      const { spec } = sampleMachine();
      const userData = {
        ...{ text: 'a\0b', hostname: null, sshAuthorizedKeys: [], users: [], writeFiles: [] },
        ...{ packages: [], runcmd: [], scripts: [] },
      };
      const full = sampleSnapshot({
        spec: { ...spec, snapshot: 'parent', userData },
        labels: { 'a\0': 'ü\0' },
      });
      const bare = sampleSnapshot({
        ...{ state: 'creating', parentId: null, hasMemory: false, labels: {}, sizeBytes: null },
      });
      for (const snapshot of [full, bare]) {
        await store.snapshots.insert(snapshot);
        expect(await store.snapshots.get(snapshot.id)).toEqual(snapshot);
        expect(await store.snapshots.find('default', snapshot.id)).toEqual(snapshot);
        expect(await store.snapshots.find('default', snapshot.name)).toEqual(snapshot);
      }
      for (const nobody of ['nobody', 'no\0body']) {
        expect(await store.snapshots.find('default', nobody)).toBeNull();
        expect(await store.snapshots.get(nobody)).toBeNull();
      }
    });

    it('do not find another tenant’s', async () => {
      const snapshot = sampleSnapshot();
      await store.snapshots.insert(snapshot);
      expect(await store.snapshots.find('other', snapshot.id)).toBeNull();
      expect(await store.snapshots.find('other', snapshot.name)).toBeNull();
    });

    it('refuse a name that the tenant has, and take it from another one', async () => {
      await store.snapshots.insert(sampleSnapshot({ name: 'before' }));
      await expect(store.snapshots.insert(sampleSnapshot({ name: 'before' }))).rejects.toMatchObject({
        code: 'conflict',
        message: "Snapshot with name 'before' already exists",
      });
      await store.snapshots.insert(sampleSnapshot({ name: 'before', tenant: 'other' }));
      expect(await store.snapshots.count('default')).toBe(1);
      expect(await store.snapshots.count('other')).toBe(1);
    });

    it('raise an InvariantError for a malformed snapshot', async () => {
      await expect(store.snapshots.insert(sampleSnapshot({ sizeBytes: -1 }))).rejects.toThrow(InvariantError);
      expect(await store.snapshots.count('default')).toBe(0);
    });
  });

  it('lists a tenant’s, newest first and by pages, also those of one machine', async () => {
    const of = (id: string, machineId: string, createdAt: string, tenant = 'default') =>
      store.snapshots.insert(sampleSnapshot({ id, machineId, createdAt, tenant }));
    await of('a', 'm1', at(1));
    await of('c', 'm2', at(2));
    await of('b', 'm1', at(2));
    await of('d', 'm1', at(3), 'other');
    const list = async (filter: { machineId?: string; limit?: number; offset?: number } = {}) => {
      const page = { tenant: 'default', limit: 99, offset: 0, ...filter };
      const { snapshots, total } = await store.snapshots.list(page);
      return { ids: snapshots.map(({ id }) => id), total };
    };
    expect(await list()).toEqual({ ids: ['c', 'b', 'a'], total: 3 });
    expect(await list({ limit: 1, offset: 1 })).toEqual({ ids: ['b'], total: 3 });
    expect(await list({ machineId: 'm1' })).toEqual({ ids: ['b', 'a'], total: 2 });
    expect(await list({ machineId: 'gone' })).toEqual({ ids: [], total: 0 });
    expect(await store.snapshots.count('default', 'm1')).toBe(2);
    await expect(list({ limit: -1 })).rejects.toThrow(InvariantError);
  });

  it('knows what a host has, and which images that needs', async () => {
    const [one, two] = ['sha256:1', 'sha256:2'];
    await store.snapshots.insert(sampleSnapshot({ id: 'b', imageDigest: two, tenant: 'other' }));
    await store.snapshots.insert(sampleSnapshot({ id: 'a', imageDigest: one }));
    await store.snapshots.insert(sampleSnapshot({ id: 'c', imageDigest: two }));
    await store.snapshots.insert(sampleSnapshot({ id: 'd', imageDigest: one, hostId: 'host-2' }));
    expect(await store.snapshots.ids(sampleHostId)).toEqual(['a', 'b', 'c']);
    expect(await store.snapshots.imageDigests(sampleHostId)).toEqual([one, two]);
    expect(await store.snapshots.countOnImage(sampleHostId, two)).toBe(2);
    expect(await store.snapshots.countOnImage('host-2', two)).toBe(0);
  });

  it('changes what a patch names, and nothing of a snapshot that is gone', async () => {
    const made = sampleSnapshot({ state: 'creating', hasMemory: true, sizeBytes: null });
    await store.snapshots.insert(made);
    const ready = { ...made, state: 'ready' as const, hasMemory: false, sizeBytes: 7, updatedAt: at(1) };
    const patch = { state: 'ready', hasMemory: false, sizeBytes: 7 } as const;
    expect(await store.snapshots.patch(made.id, patch, at(1))).toEqual(ready);
    expect(await store.snapshots.get(made.id)).toEqual(ready);
    const deleting = { ...ready, state: 'deleting' as const, updatedAt: at(2) };
    expect(await store.snapshots.patch(made.id, { state: 'deleting' }, at(2))).toEqual(deleting);
    await store.snapshots.remove(made.id, at(3));
    expect(await store.snapshots.patch(made.id, patch, at(4))).toBeNull();
    expect(await store.snapshots.patch('no\0body', patch, at(4))).toBeNull();
  });

  it('records every change as an event, and removes once', async () => {
    const { id, name, machineId } = sampleSnapshot();
    const before = await store.events.latest();
    await store.snapshots.insert(sampleSnapshot({ id, name, machineId, state: 'creating' }));
    await store.snapshots.patch(id, { state: 'ready' }, at(4));
    await store.snapshots.remove(id, at(5));
    await store.snapshots.remove(id, at(6));
    expect(await store.snapshots.find('default', id)).toBeNull();
    const { events } = await store.events.after(before, 9);
    const common = { tenant: 'default', subject: { kind: 'snapshot', id } };
    expect(events).toEqual([
      { ...common, type: 'snapshot.created', data: { name, machineId, state: 'creating' }, at: at(0) },
      { ...common, type: 'snapshot.changed', data: { name, machineId, state: 'ready' }, at: at(4) },
      { ...common, type: 'snapshot.deleted', data: { name, machineId, state: 'ready' }, at: at(5) },
    ]);
  });

  it('stays when its machine is removed', async () => {
    const machine = sampleMachine({ state: 'deleting', operationId: 'o1' });
    await store.machines.insert(machine);
    await store.snapshots.insert(sampleSnapshot({ machineId: machine.id }));
    await store.machines.remove(machine.id, at(1));
    expect(await store.snapshots.count('default', machine.id)).toBe(1);
  });
}
