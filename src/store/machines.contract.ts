import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ListedMachine, Machine } from '../core/machines/machine.ts';
import type { StateChange, Store } from '../core/ports/store.ts';
import { fingerprintsOf } from '../core/ssh/ssh-key.ts';
import { parseUserData } from '../core/user-data/parse.ts';
import { InvariantError } from '../lib/invariant.ts';
import type { OpenStore } from './store.contract.ts';
import { at, sampleHandle, sampleHostId, sampleMachine } from './testing/samples.ts';

export function machinesContract(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  const change = (machine: Machine, changes: Partial<StateChange>): StateChange => ({
    id: machine.id,
    from: machine.state,
    fromOperationId: machine.operationId,
    to: 'starting',
    patch: {},
    at: at(1),
    ...changes,
  });

  describe('insert', () => {
    it('returns and keeps all fields', async () => {
      const { spec } = sampleMachine();
      const machine = sampleMachine({
        spec: { ...spec, sshPort: 16_000 },
        state: 'running',
        desired: 'running',
        incarnation: 'inc1',
        handle: sampleHandle('inc1'),
        failure: { code: 'vmm_died', message: 'gone', at: at(3), console: ['last', 'words'] },
        startedAt: at(2),
      });
      expect(await store.machines.insert(machine)).toEqual(machine);
      expect(await store.machines.get(machine.id)).toEqual(machine);
      expect(await store.machines.get('nobody')).toBeNull();
    });

    it('keeps what is left of a lifetime while that stands still, and when it goes on', async () => {
      const { spec } = sampleMachine();
      const lifetime = {
        lifetimeSeconds: 315_360_000,
        onExpire: 'suspend',
        lifetimeCounts: 'always',
      } as const;
      const still = { expiresAt: null, remainingMs: 315_360_000_000 };
      const machine = await store.machines.insert(
        sampleMachine({ spec: { ...spec, ...lifetime }, state: 'suspended', ...still }),
      );
      expect(await store.machines.get(machine.id)).toMatchObject({ spec: lifetime, ...still });
      const ended = { expiresAt: at(9), remainingMs: null };
      const patch = { operationId: 'op1', incarnation: 'i1', ...ended };
      expect(await store.machines.compareAndSet(change(machine, { patch }))).toBe(true);
      expect(await store.machines.get(machine.id)).toMatchObject(ended);
      expect(await store.machines.patch(machine.id, 'i1', still, at(2))).toBe(true);
      expect(await store.machines.get(machine.id)).toMatchObject(still);
    });

    it('finds a machine by its name and one of its SSH keys, while it has the key', async () => {
      const { spec } = sampleMachine();
      const keyed = (id: string, tenant: string, createdAt: string) =>
        sampleMachine({ id, tenant, createdAt, spec: { ...spec, name: 'web' } });
      const first = keyed('a', 'default', at(1));
      const second: Machine = {
        ...keyed('b', 'other', at(2)),
        ...{ state: 'deleting', desired: 'deleted', operationId: 'op' },
      };
      const third = sampleMachine({ id: 'c', createdAt: at(3) });
      for (const machine of [second, first, third]) await store.machines.insert(machine);
      const [fingerprint = ''] = fingerprintsOf(spec.sshKeys);
      const found = async (idOrName: string | null, limit = 9) =>
        (await store.machines.withSshKey(fingerprint, idOrName, limit)).map(({ id }) => id);
      expect(await found('web')).toEqual(['a', 'b']);
      expect(await found('web', 1)).toEqual(['a']);
      expect(await found('b')).toEqual(['b']);
      expect(await found('nobody')).toEqual([]);
      expect(await found(null)).toEqual(['a', 'b', 'c']);
      expect(await found('nul\0')).toEqual([]);
      expect(await store.machines.withSshKey('SHA256:x', 'web', 9)).toEqual([]);
      await store.machines.patch('a', null, { spec: { ...first.spec, sshKeys: [] } }, at(3));
      expect(await found('web')).toEqual(['b']);
      await store.machines.remove('b', at(4));
      expect(await found('web')).toEqual([]);
    });

    it('keeps user data, which lists do not read, and how far it is', async () => {
      const userData = parseUserData(
        '#cloud-config\nusers: [bob]\nruncmd: [x, [y, "ü\\t"]]\nwrite_files: [{path: /x, content: z}]\n',
      );
      const { spec } = sampleMachine();
      const machine = sampleMachine({
        spec: { ...spec, userData },
        provisioning: { state: 'pending', message: null, at: at(0) },
      });
      await store.machines.insert(machine);
      expect(await store.machines.get(machine.id)).toEqual(machine);
      const provisioning = { state: 'failed' as const, message: 'runcmd 1 of 2: exit code 3', at: at(5) };
      expect(await store.machines.patch(machine.id, null, { provisioning }, at(5))).toBe(true);
      expect(await store.machines.get(machine.id)).toMatchObject({ spec: { userData }, provisioning });
      const renamed = { ...spec, name: 'other', userData };
      await store.machines.patch(machine.id, null, { spec: renamed }, at(6));
      expect(await store.machines.get(machine.id)).toMatchObject({ spec: renamed, provisioning });
      const bare = { ...machine, id: 'other', provisioning: null };
      await expect(store.machines.insert(bare)).rejects.toThrow(InvariantError);
    });

    it('stores every time in one form, so that its text sorts by time', async () => {
      const machine = await store.machines.insert(sampleMachine({ createdAt: '2026-01-01T01:00:00+01:00' }));
      expect(machine.createdAt).toBe('2026-01-01T00:00:00.000Z');
    });

    it('refuses a taken name within a tenant, with a readable message', async () => {
      await store.machines.insert(sampleMachine({ name: 'web' }));
      await expect(store.machines.insert(sampleMachine({ name: 'web' }))).rejects.toMatchObject({
        code: 'conflict',
        message: "Machine with name 'web' already exists",
      });
      await store.machines.insert(sampleMachine({ name: 'web', tenant: 'other' }));
    });

    it('refuses a taken id', async () => {
      const { id } = await store.machines.insert(sampleMachine());
      await expect(store.machines.insert(sampleMachine({ id }))).rejects.toMatchObject({ code: 'conflict' });
    });

    it('gives a name to exactly one of many concurrent inserts', async () => {
      const attempts = Array.from({ length: 20 }, (_, n) =>
        store.machines.insert(sampleMachine({ name: `web-${n % 5}` })),
      );
      const results = await Promise.allSettled(attempts);
      const won = results.filter((result) => result.status === 'fulfilled');
      expect(won).toHaveLength(5);
      for (const result of results)
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'conflict' });
    });

    it.each<[string, Partial<Machine>]>([
      ['in transit without an operation', { state: 'creating' }],
      ['at rest with an operation', { state: 'created', operationId: 'op1' }],
      ['stopped with a handle', { state: 'stopped', incarnation: 'i', handle: sampleHandle('i') }],
      ['a handle of another incarnation', { state: 'running', incarnation: 'i', handle: sampleHandle('j') }],
      ['no time', { createdAt: 'yesterday' }],
    ])('refuses a machine that breaks an invariant: %s', async (_, fields) => {
      await expect(store.machines.insert(sampleMachine(fields))).rejects.toThrow(InvariantError);
      expect(await store.machines.all(sampleHostId)).toEqual([]);
    });
  });

  describe('find', () => {
    it('finds by name and by id within the tenant only', async () => {
      const machine = await store.machines.insert(sampleMachine({ name: 'web', tenant: 'a' }));
      expect(await store.machines.find('a', 'web')).toEqual(machine);
      expect(await store.machines.find('a', machine.id)).toEqual(machine);
      expect(await store.machines.find('b', 'web')).toBeNull();
      expect(await store.machines.find('b', machine.id)).toBeNull();
    });

    // Which of two rows a database finds first depends on its plan: by age, by id or by name.
    it.each([
      ['older', 'first by name', ['aaa', 'zzz'], true],
      ['older', 'last by name', ['zzz', 'aaa'], true],
      ['younger', 'first by name', ['aaa', 'zzz'], false],
      ['younger', 'last by name', ['zzz', 'aaa'], false],
    ] as const)('prefers an id over a name, being %s and %s', async (_age, _order, [mine, text], isFirst) => {
      const withId = sampleMachine({ id: text, name: mine });
      const withName = sampleMachine({ id: mine, name: text });
      for (const machine of isFirst ? [withId, withName] : [withName, withId])
        await store.machines.insert(machine);
      expect((await store.machines.find('default', text))?.id).toBe(text);
      expect((await store.machines.find('default', mine))?.id).toBe(mine);
    });

    it('finds nothing for text that no row can hold', async () => {
      await store.machines.insert(sampleMachine({ name: 'web' }));
      expect(await store.machines.find('default', 'web\0')).toBeNull();
      expect(await store.machines.get('\0')).toBeNull();
      expect(await store.operations.get('\0')).toBeNull();
      expect(await store.operations.requestCancel('\0')).toBe(false);
    });
  });

  describe('list', () => {
    it('pages through a thousand, newest first, each exactly once', async () => {
      const count = 1000;
      await store.transaction(async (tx) => {
        // Pairs share a time, so that the id decides their order.
        for (let n = 0; n < count; n++)
          await tx.machines.insert(sampleMachine({ createdAt: at(Math.floor(n / 2)) }));
      });
      const seen: ListedMachine[] = [];
      for (let offset = 0; offset < count; offset += 300) {
        const page = await store.machines.list({ limit: 300, offset });
        expect(page.total).toBe(count);
        seen.push(...page.machines);
      }
      expect(new Set(seen.map(({ id }) => id)).size).toBe(count);
      const sorted = [...seen].sort((a, b) => compare(b.createdAt, a.createdAt) || compare(b.id, a.id));
      expect(seen.map(({ id }) => id)).toEqual(sorted.map(({ id }) => id));
      expect(await store.machines.list({ limit: 10, offset: count })).toEqual({ machines: [], total: count });
      expect(await store.machines.all(sampleHostId)).toHaveLength(count);
    });

    it('filters by tenant and states, and counts the matches', async () => {
      await store.machines.insert(sampleMachine({ tenant: 'a' }));
      await store.machines.insert(sampleMachine({ tenant: 'a', state: 'stopped' }));
      const failed = await store.machines.insert(sampleMachine({ tenant: 'b', state: 'failed' }));
      const total = async (filter: object) =>
        (await store.machines.list({ limit: 1, offset: 0, ...filter })).total;
      expect(await total({})).toBe(3);
      expect(await total({ tenant: 'a' })).toBe(2);
      expect(await total({ tenant: 'a', states: ['stopped', 'failed'] })).toBe(1);
      expect(await total({ states: [] })).toBe(0);
      expect(await store.machines.list({ tenant: 'b', limit: 5, offset: 0 })).toEqual({
        machines: [listed(failed)],
        total: 1,
      });
    });
  });

  describe('compareAndSet', () => {
    it('writes only the state and the patch', async () => {
      const machine = await store.machines.insert(sampleMachine());
      const done = await store.machines.compareAndSet(
        change(machine, { patch: { operationId: 'op1', incarnation: 'i1', desired: 'running' } }),
      );
      expect(done).toBe(true);
      expect(await store.machines.get(machine.id)).toEqual({
        ...machine,
        state: 'starting',
        operationId: 'op1',
        incarnation: 'i1',
        desired: 'running',
        revision: 1,
        updatedAt: at(1),
      });
    });

    it.each<[string, Partial<StateChange>]>([
      ['another state', { from: 'stopped' }],
      ['another operation', { fromOperationId: 'op0' }],
      ['another machine', { id: 'nobody' }],
    ])('changes nothing when the row has %s', async (_, changes) => {
      const machine = await store.machines.insert(sampleMachine());
      const patch = { operationId: 'op1', incarnation: 'i1' };
      expect(await store.machines.compareAndSet(change(machine, { patch, ...changes }))).toBe(false);
      expect(await store.machines.get(machine.id)).toEqual(machine);
    });

    it('distinguishes an operation from none', async () => {
      const machine = await store.machines.insert(sampleMachine({ state: 'stopping', operationId: 'op1' }));
      const end: Partial<StateChange> = { to: 'stopped', patch: { operationId: null } };
      expect(await store.machines.compareAndSet(change(machine, { ...end, fromOperationId: null }))).toBe(
        false,
      );
      expect(await store.machines.compareAndSet(change(machine, end))).toBe(true);
    });

    it('lets exactly one of many concurrent writers win', async () => {
      const machine = await store.machines.insert(sampleMachine());
      const results = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          store.machines.compareAndSet(
            change(machine, { patch: { operationId: `op${n}`, incarnation: `i${n}` } }),
          ),
        ),
      );
      expect(results.filter(Boolean)).toHaveLength(1);
      expect((await store.machines.get(machine.id))?.operationId).toBe(`op${results.indexOf(true)}`);
    });

    it.each<[string, Partial<StateChange>]>([
      ['no arrow leads there', { to: 'paused' }],
      ['no operation is named', { patch: { incarnation: 'i1' } }],
      ['the incarnation is the old one', { patch: { operationId: 'op1' } }],
      ['a handle is of another boot', { patch: { incarnation: 'i', handle: sampleHandle('j') } }],
    ])('refuses a change when %s', async (_, changes) => {
      const machine = await store.machines.insert(sampleMachine());
      await expect(store.machines.compareAndSet(change(machine, changes))).rejects.toThrow(InvariantError);
      expect(await store.machines.get(machine.id)).toEqual(machine);
    });

    it('refuses a new incarnation except on entering starting', async () => {
      const machine = await store.machines.insert(
        sampleMachine({ state: 'stopping', operationId: 'op1', incarnation: 'i1' }),
      );
      const patch = { operationId: null, incarnation: null };
      await expect(store.machines.compareAndSet(change(machine, { to: 'stopped', patch }))).rejects.toThrow(
        'incarnation',
      );
    });
  });

  describe('patch and remove', () => {
    it('patches only the given incarnation, and never the state', async () => {
      const machine = await store.machines.insert(sampleMachine({ state: 'running', incarnation: 'i1' }));
      const handle = sampleHandle('i1');
      expect(await store.machines.patch(machine.id, 'i0', { handle }, at(1))).toBe(false);
      expect(await store.machines.patch(machine.id, null, { handle }, at(1))).toBe(false);
      expect(await store.machines.patch('nobody', 'i1', { handle }, at(1))).toBe(false);
      expect(await store.machines.get(machine.id)).toEqual(machine);
      expect(await store.machines.patch(machine.id, 'i1', { handle }, at(1))).toBe(true);
      expect(await store.machines.patch(machine.id, 'i1', { desired: 'stopped' }, at(2))).toBe(true);
      expect(await store.machines.get(machine.id)).toEqual({
        ...machine,
        handle,
        desired: 'stopped',
        revision: 2,
        updatedAt: at(2),
      });
    });

    it('patches a machine that never started', async () => {
      const { id } = await store.machines.insert(sampleMachine());
      expect(await store.machines.patch(id, null, { desired: 'deleted' }, at(1))).toBe(true);
    });

    it('removes a machine only if it may be deleted', async () => {
      const running = await store.machines.insert(sampleMachine({ state: 'running', incarnation: 'i1' }));
      await expect(store.machines.remove(running.id, at(1))).rejects.toThrow(InvariantError);
      const { id } = await store.machines.insert(sampleMachine({ state: 'deleting', operationId: 'op1' }));
      await store.machines.remove(id, at(1));
      await store.machines.remove(id, at(1));
      expect(await store.machines.all(sampleHostId)).toEqual([running]);
    });
  });
}

/** Compares by code unit, the order of the used ids and times in every database. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What a list shows of it, and no more. */
function listed({ id, state, createdAt, updatedAt, expiresAt, spec }: Machine): ListedMachine {
  const { name, vcpuCount, memoryMib, image, labels, template, sshPort, network, onExpire } = spec;
  const shown = { name, vcpuCount, memoryMib, image, labels, template, sshPort, network, onExpire };
  return { id, state, createdAt, updatedAt, expiresAt, spec: shown };
}
