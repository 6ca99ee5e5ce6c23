import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Machine, MachineSpec } from '../core/machines/machine.ts';
import type { MachineFilter, Store } from '../core/ports/store.ts';
import type { OpenStore } from './store.contract.ts';
import { at, sampleHostId, sampleMachine } from './testing/samples.ts';

/** Finding machines by what they are, on every database. */
export function machineListContract(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  const insert = (name: string, spec: Partial<MachineSpec> = {}, changes: Partial<Machine> = {}) =>
    store.machines.insert(
      sampleMachine({ ...changes, spec: { ...sampleMachine().spec, name, labels: {}, ...spec } }),
    );

  /** Names, in order; the total must be theirs. */
  const names = async (filter: Partial<MachineFilter>) => {
    const { machines, total } = await store.machines.list({ limit: 100, offset: 0, ...filter });
    expect(total).toBe(machines.length);
    return machines.map(({ spec }) => spec.name);
  };
  const sorted = async (filter: Partial<MachineFilter>) => (await names(filter)).sort();

  describe('labels', () => {
    it('are matched by key, or by key and value, all of them', async () => {
      await insert('a', { labels: { team: 'web', tier: '1' } });
      await insert('b', { labels: { team: 'web', tier: '2' } });
      await insert('c', { labels: { team: 'db' } });
      await insert('d');
      expect(await sorted({ labels: [{ key: 'team' }] })).toEqual(['a', 'b', 'c']);
      expect(await sorted({ labels: [{ key: 'team', value: 'web' }] })).toEqual(['a', 'b']);
      expect(
        await sorted({
          labels: [
            { key: 'team', value: 'web' },
            { key: 'tier', value: '2' },
          ],
        }),
      ).toEqual(['b']);
      expect(await sorted({ labels: [{ key: 'team', value: '' }] })).toEqual([]);
      expect(await sorted({ labels: [] })).toHaveLength(4);
    });

    it.each(['', '__proto__', "' or 1=1 --", '%', 'a"b', 'ünïcode', 'nul\0', '\ud800', '👾'])(
      'hold any text: %j',
      async (text) => {
        const labels = JSON.parse(JSON.stringify({ key: text })) as Record<string, string>;
        await insert('a', { labels });
        await insert('b', { labels: { key: `${text}.` } });
        expect(await sorted({ labels: [{ key: 'key', value: text }] })).toEqual(['a']);
        expect(await sorted({ labels: [{ key: text === '' ? 'none' : text }] })).toEqual([]);
      },
    );

    it('are found as they were changed last, and not after the machine is gone', async () => {
      const machine = await insert('a', { labels: { old: '1' } }, { state: 'deleting', operationId: 'op1' });
      const spec = { ...machine.spec, labels: { young: '2' } };
      expect(await store.machines.patch(machine.id, null, { spec }, at(1))).toBe(true);
      expect(await sorted({ labels: [{ key: 'old' }] })).toEqual([]);
      expect(await sorted({ labels: [{ key: 'young', value: '2' }] })).toEqual(['a']);
      await store.machines.remove(machine.id, at(2));
      await store.machines.insert(sampleMachine({ id: machine.id }));
      expect(await sorted({ labels: [{ key: 'young' }] })).toEqual([]);
    });
  });

  it('filters by image, by its name, its reference or its digest, together with the rest', async () => {
    await insert('a', { image: 'busybox' }, { imageDigest: 'sha256:1' });
    await insert('b', { image: 'busybox', labels: { x: '1' } }, { imageDigest: 'sha256:2', tenant: 'other' });
    await insert('c', { image: 'debian-12', imageRef: 'alpine:3.20' }, { imageDigest: 'sha256:2' });
    expect(await sorted({ images: ['busybox'] })).toEqual(['a', 'b']);
    expect(await sorted({ images: ['sha256:2'] })).toEqual(['b', 'c']);
    expect(await sorted({ images: ['alpine:3.20'] })).toEqual(['c']);
    expect(await sorted({ images: ['busybox', 'debian-12'] })).toEqual(['a', 'b', 'c']);
    expect(await sorted({ images: [] })).toEqual([]);
    expect(await sorted({ images: ['busybox'], tenant: 'default' })).toEqual(['a']);
    expect(await sorted({ images: ['busybox'], labels: [{ key: 'x' }], states: ['created'] })).toEqual(['b']);
    expect(await sorted({ images: ['busy\0box'] })).toEqual([]);
  });

  it('sorts by what it is asked to, in both directions', async () => {
    await insert('b', { memoryMib: 300 }, { createdAt: at(1), updatedAt: at(9) });
    await insert('Z', { memoryMib: 100 }, { createdAt: at(2), updatedAt: at(8) });
    await insert('a', { memoryMib: 200 }, { createdAt: at(3), updatedAt: at(7) });
    await insert('ä', { memoryMib: 400 }, { createdAt: at(4), updatedAt: at(6) });
    const by = (key: NonNullable<MachineFilter['sort']>['by'], isDescending = false) =>
      names({ sort: { by: key, isDescending } });
    expect(await names({})).toEqual(['ä', 'a', 'Z', 'b']);
    expect(await by('created_at')).toEqual(['b', 'Z', 'a', 'ä']);
    expect(await by('updated_at')).toEqual(['ä', 'a', 'Z', 'b']);
    expect(await by('name')).toEqual(['Z', 'a', 'b', 'ä']);
    expect(await by('name', true)).toEqual(['ä', 'b', 'a', 'Z']);
    expect(await by('memory_mib')).toEqual(['Z', 'a', 'b', 'ä']);
  });

  it('says which machines of a host are due', async () => {
    const failed = { state: 'failed', desired: 'running' } as const;
    await insert('expired', {}, { expiresAt: at(10) });
    await insert('to restart', {}, { ...failed, restartAt: at(10) });
    await insert('later', {}, { expiresAt: at(11) });
    await insert('never');
    await insert('suspended', {}, { state: 'suspended', remainingMs: 1 });
    await insert('elsewhere', {}, { expiresAt: at(10), hostId: 'another' });
    const due = async (limit: number, time = at(10)) =>
      (await store.machines.due(sampleHostId, time, limit)).map(({ spec }) => spec.name).sort();
    expect(await due(9)).toEqual(['expired', 'to restart']);
    expect(await due(9, at(9))).toEqual([]);
    expect(await due(1)).toHaveLength(1);
  });

  it('says which running machines of a host are idle, and notes their uses', async () => {
    const idle = { afterSeconds: 60, action: 'pause' } as const;
    const running = { state: 'running', incarnation: 'i1' } as const;
    await insert('idle', { idle }, { ...running, idleAt: at(10) });
    await insert('later', { idle }, { ...running, idleAt: at(11) });
    await insert('never', {}, running);
    await insert('elsewhere', { idle }, { ...running, idleAt: at(10), hostId: 'another' });
    const due = async (limit: number, time = at(10)) =>
      (await store.machines.idle(sampleHostId, time, limit)).map(({ spec }) => spec.name);
    expect(await due(9)).toEqual(['idle']);
    expect(await due(9, at(12))).toEqual(['idle', 'later']);
    expect(await due(1, at(12))).toEqual(['idle']);
    const used = await store.machines.find('default', 'idle');
    await store.machines.noteIdleAt(used?.id ?? '', 'another', at(20));
    expect(await due(9)).toEqual(['idle']);
    await store.machines.noteIdleAt(used?.id ?? '', 'i1', at(20));
    expect(await due(9)).toEqual([]);
    expect(await store.machines.find('default', 'idle')).toEqual({ ...used, idleAt: at(20) });
    const never = await store.machines.find('default', 'never');
    await store.machines.noteIdleAt(never?.id ?? '', 'i1', at(20));
    expect(await store.machines.find('default', 'never')).toEqual(never);
  });

  describe('a changed spec', () => {
    it('is found by its new name only, and counts with its new memory', async () => {
      const machine = await insert('a', { memoryMib: 100 }, { state: 'failed' });
      const spec = { ...machine.spec, name: 'b', memoryMib: 500 };
      expect(await store.machines.patch(machine.id, null, { spec, expiresAt: at(5) }, at(1))).toBe(true);
      expect(await store.machines.find('default', 'a')).toBeNull();
      expect(await store.machines.find('default', 'b')).toEqual({
        ...machine,
        spec,
        expiresAt: at(5),
        updatedAt: at(1),
        revision: machine.revision + 1,
      });
      const query = { hostId: sampleHostId, states: ['failed'] as const, except: '' };
      expect(await store.machines.memoryMib(query)).toBe(500);
    });

    it('whose name is taken changes nothing', async () => {
      await insert('a');
      const machine = await insert('b');
      const spec = { ...machine.spec, name: 'a', labels: { lost: '1' } };
      await expect(store.machines.patch(machine.id, null, { spec }, at(1))).rejects.toMatchObject({
        code: 'conflict',
        message: "Machine with name 'a' already exists",
      });
      expect(await store.machines.get(machine.id)).toEqual(machine);
      expect(await sorted({ labels: [{ key: 'lost' }] })).toEqual([]);
    });
  });
}
