import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Event, EventPosition } from '../core/events/event.ts';
import type { AllocationKind, AllocationRequest, Store } from '../core/ports/store.ts';
import type { OpenStore } from './store.contract.ts';
import {
  at,
  sampleHandle,
  sampleHostId,
  sampleKey,
  sampleMachine,
  sampleOperation,
} from './testing/samples.ts';

const request = (id: string, fields: Partial<AllocationRequest> = {}): AllocationRequest => ({
  hostId: sampleHostId,
  kind: 'vmm_uid',
  owner: { kind: 'machine', id },
  min: 1,
  max: 4,
  at: at(0),
  ...fields,
});

export function ownershipContract(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  describe('locks', () => {
    it('admit sharers of a name together, and an exclusive holder alone', async () => {
      let inside = 0;
      let insideMax = 0;
      const entered = async (lock: 'hold' | 'share') =>
        store.transaction(async (tx) => {
          await tx.locks[lock]('image');
          inside += 1;
          insideMax = Math.max(insideMax, inside);
          await tx.machines.countOnImage(sampleHostId, 'sha256:none');
          inside -= 1;
        });
      await Promise.all([entered('hold'), entered('share'), entered('hold'), entered('hold')]);
      expect(insideMax).toBe(1);
    });

    it('end with their transaction', async () => {
      const failed = store.transaction(async (tx) => {
        await tx.locks.hold('image');
        throw new Error('rolled back');
      });
      await expect(failed).rejects.toThrow('rolled back');
      await store.transaction((tx) => tx.locks.hold('image'));
    });
  });

  describe('hosts', () => {
    it('gives each claim a higher epoch, separately for each host', async () => {
      const claim = (hostId: string) => store.hosts.claim({ hostId, bootIdBefore: null, at: at(0) });
      expect(await store.hosts.epoch('a')).toBeNull();
      expect([await claim('a'), await claim('a'), await claim('b')]).toEqual([1, 2, 1]);
      expect(await store.hosts.epoch('a')).toBe(2);
    });

    it('gives concurrent claims different epochs', async () => {
      const claims = Array.from({ length: 8 }, () =>
        store.hosts.claim({ hostId: 'a', bootIdBefore: null, at: at(0) }),
      );
      expect((await Promise.all(claims)).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    });

    it('gives rows without a host to the first claim of all, with the boot in which they started', async () => {
      const ran = { state: 'running', incarnation: 'i', handle: sampleHandle('i') } as const;
      await store.machines.insert(sampleMachine({ id: 'old', hostId: '', ...ran }));
      await store.machines.insert(sampleMachine({ id: 'never', hostId: '' }));
      await store.operations.insert(sampleOperation({ owner: { hostId: '', epoch: 0, bootId: '' } }));
      await store.hosts.claim({ hostId: 'a', bootIdBefore: 'boot-0', unowned: 'all', at: at(0) });
      await store.hosts.claim({ hostId: 'b', bootIdBefore: 'boot-9', unowned: 'all', at: at(0) });
      const machines = await store.machines.all('a');
      expect(machines.map(({ id, bootId }) => [id, bootId]).sort()).toEqual([
        ['never', null],
        ['old', 'boot-0'],
      ]);
      expect(await store.operations.open('a')).toHaveLength(1);
      expect(await store.machines.all('b')).toEqual([]);
    });

    it('gives each host its own unowned machines, with their operations and allocations', async () => {
      const owned: Record<string, string> = {};
      for (const [slot, id] of ['mine', 'theirs', 'lost'].entries()) {
        await store.machines.insert(sampleMachine({ id, hostId: '', slot: slot + 1 }));
        const subjects = [{ kind: 'machine' as const, id }];
        const operation = sampleOperation({ subjects, owner: { hostId: '', epoch: 0, bootId: '' } });
        await store.operations.insert(operation);
        owned[operation.id] = id;
        const range = { min: slot + 1, max: slot + 1 };
        await store.allocations.take(request(id, { hostId: '', ...range }));
      }
      await store.hosts.claim({ hostId: 'a', bootIdBefore: null, unowned: ['mine', 'gone'], at: at(0) });
      await store.hosts.claim({ hostId: 'b', bootIdBefore: null, unowned: ['theirs'], at: at(0) });
      await store.hosts.claim({ hostId: 'c', bootIdBefore: null, at: at(0) });
      for (const [hostId, id, slot] of [
        ['a', 'mine', 1],
        ['b', 'theirs', 2],
        ['', 'lost', 3],
      ] as const) {
        expect((await store.machines.all(hostId)).map((machine) => machine.id)).toEqual([id]);
        expect((await store.operations.open(hostId)).map((operation) => owned[operation.id])).toEqual([id]);
        const taken = store.allocations.take(request('other', { hostId, min: slot, max: slot }));
        await expect(taken).rejects.toMatchObject({ code: 'exhausted' });
      }
      expect(await store.machines.all('c')).toEqual([]);
    });
  });

  describe('allocations', () => {
    it('allocates consecutive values, and reuses a freed one only after the rest of the range', async () => {
      const { allocations } = store;
      expect(await allocations.take(request('a'))).toBe(1);
      expect(await allocations.take(request('b'))).toBe(2);
      await allocations.release(sampleHostId, { kind: 'machine', id: 'b' });
      expect(await allocations.take(request('c'))).toBe(3);
      expect(await allocations.take(request('d'))).toBe(4);
      // 1 is taken, and the range starts again.
      expect(await allocations.take(request('e'))).toBe(2);
      await expect(allocations.take(request('f'))).rejects.toMatchObject({ code: 'exhausted' });
    });

    it('separates hosts, and owners with the same id', async () => {
      const { allocations } = store;
      expect(await allocations.take(request('a'))).toBe(1);
      expect(await allocations.take(request('a', { hostId: 'host-2' }))).toBe(1);
      await allocations.release(sampleHostId, { kind: 'image', id: 'a' });
      await allocations.release('host-2', { kind: 'machine', id: 'a' });
      for (const id of ['b', 'c', 'd']) await allocations.take(request(id));
      await expect(allocations.take(request('e'))).rejects.toMatchObject({ code: 'exhausted' });
    });

    describe.each<AllocationKind>(['ipv4', 'tcp_port', 'udp_port'])('of the kind %s', (kind) => {
      const range = { kind, min: 20_000, max: 20_019 };
      const certain = (id: string, value: number) => request(id, { kind, min: value, max: value });
      const each = (count: number, take: (n: number) => Promise<number>) =>
        Promise.allSettled(Array.from({ length: count }, (_, n) => take(n)));

      it('gives concurrent writers different values, and no more than there are', async () => {
        const results = await each(25, (n) =>
          store.transaction((tx) => tx.allocations.take(request(`m${n}`, range))),
        );
        const values = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
        expect(values.sort()).toEqual(Array.from({ length: 20 }, (_, n) => 20_000 + n));
        for (const result of results)
          if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'exhausted' });
      });

      it('gives a certain value to one of many writers', async () => {
        const results = await each(10, (n) =>
          store.transaction((tx) => tx.allocations.take(certain(`m${n}`, 443))),
        );
        expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        for (const result of results)
          if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'exhausted' });
      });

      it('passes over certain values, which do not move where the search goes on', async () => {
        const { allocations } = store;
        const next = () => allocations.take(request('b', range));
        expect(await next()).toBe(20_000);
        await allocations.take(certain('a', 20_002));
        await allocations.take(certain('a', 20_019));
        expect([await next(), await next()]).toEqual([20_001, 20_003]);
      });

      it('frees one value of an owner, one kind, or all', async () => {
        const { allocations } = store;
        const owner = { kind: 'machine', id: 'a' } as const;
        for (const value of [80, 443]) await allocations.take(certain('a', value));
        await allocations.take(request('a'));
        await allocations.release(sampleHostId, owner, kind, 80);
        expect(await allocations.take(certain('b', 80))).toBe(80);
        await expect(allocations.take(certain('b', 443))).rejects.toMatchObject({ code: 'exhausted' });
        await allocations.release(sampleHostId, owner, kind);
        expect(await allocations.take(certain('b', 443))).toBe(443);
        const uid = request('b', { min: 1, max: 1 });
        await expect(allocations.take(uid)).rejects.toMatchObject({ code: 'exhausted' });
        await allocations.release(sampleHostId, owner);
        expect(await allocations.take(uid)).toBe(1);
      });

      it('is apart from the others', async () => {
        for (const each of ['ipv4', 'tcp_port', 'udp_port', 'vmm_uid'] as const)
          expect(await store.allocations.take(request('a', { kind: each, min: 80, max: 80 }))).toBe(80);
      });
    });

    it('frees what a rolled-back transaction had allocated', async () => {
      const failed = store.transaction(async (tx) => {
        await tx.allocations.take(request('a'));
        throw new Error('no');
      });
      await expect(failed).rejects.toThrow('no');
      expect(await store.allocations.take(request('b'))).toBe(1);
    });
  });

  describe('events', () => {
    const read = async (position: EventPosition, limit = 100) => {
      // On PostgreSQL events wait for all open transactions of the server, not only ours.
      let page = await store.events.after(position, limit);
      for (let n = 0; page.events.length === 0 && n < 200; n++)
        page = await store.events.after(position, limit);
      return page;
    };
    const types = (events: readonly Event[]) => events.map(({ type }) => type);

    it('reports each change once, in order, in pages', async () => {
      const start = await store.events.latest();
      const { id } = await store.machines.insert(sampleMachine({ tenant: 'a' }));
      const operationId = 'op';
      await store.machines.compareAndSet({
        id,
        from: 'created',
        fromOperationId: null,
        to: 'deleting',
        patch: { operationId },
        at: at(1),
      });
      await store.machines.remove(id, at(2));
      const { events, position } = await read(start, 2);
      expect(events).toMatchObject([
        { type: 'machine.created', tenant: 'a', subject: { kind: 'machine', id }, at: at(0) },
        { type: 'machine.state_changed', data: { from: 'created', to: 'deleting', operationId }, at: at(1) },
      ]);
      const rest = await read(position);
      expect(rest.events).toMatchObject([{ type: 'machine.deleted', at: at(2) }]);
      expect(await store.events.after(rest.position, 10)).toEqual({ events: [], position: rest.position });
      expect(await store.events.latest()).toBe(rest.position);
    });

    it('reports nothing that was rolled back or changed nothing', async () => {
      const start = await store.events.latest();
      const failed = store.transaction(async (tx) => {
        await tx.machines.insert(sampleMachine());
        throw new Error('no');
      });
      await expect(failed).rejects.toThrow('no');
      expect(await store.machines.patch('nobody', null, {}, at(1))).toBe(false);
      const operation = sampleOperation();
      await store.operations.insert(operation);
      await store.operations.save(operation, { ...operation, state: 'failed', revision: 1 });
      await store.operations.save(operation, { ...operation, state: 'succeeded', revision: 1 });
      const { events } = await read(start);
      expect(types(events)).toEqual(['operation.begun', 'operation.ended']);
      expect(events[1]?.data).toMatchObject({ kind: operation.kind, state: 'failed' });
    });

    it('reports keys without their secrets', async () => {
      const start = await store.events.latest();
      const key = sampleKey();
      await store.keys.insert(key);
      await store.keys.revoke(key.id, at(1));
      await store.keys.revoke(key.id, at(2));
      const { events } = await read(start);
      expect(types(events)).toEqual(['key.created', 'key.revoked']);
      const text = JSON.stringify(events);
      for (const secret of [key.hash, key.prefix]) expect(text).not.toContain(secret);
    });

    it('omits none of many written concurrently', async () => {
      const start = await store.events.latest();
      const seen: string[] = [];
      let position = start;
      const writes = Array.from({ length: 40 }, () => store.machines.insert(sampleMachine()));
      const all = Promise.all(writes);
      while (seen.length < 40) {
        const page = await store.events.after(position, 7);
        position = page.position;
        seen.push(...page.events.map(({ subject }) => subject.id));
        // SQLite is read on this thread: writes only end if the event loop gets a turn.
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(seen.sort()).toEqual((await all).map(({ id }) => id).sort());
    });

    it('signals after each commit, until unsubscribed', async () => {
      let rings = 0;
      const rung = Promise.withResolvers<void>();
      const end = store.onEvents(() => {
        rings += 1;
        rung.resolve();
      });
      await store.machines.insert(sampleMachine());
      await rung.promise;
      end();
      const before = rings;
      await store.machines.insert(sampleMachine());
      expect(rings).toBe(before);
    });

    it('keeps the newest when pruned', async () => {
      const start = await store.events.latest();
      for (const name of ['a', 'b', 'c']) await store.machines.insert(sampleMachine({ id: name }));
      await store.events.prune(1);
      expect((await read(start)).events.map(({ subject }) => subject.id)).toEqual(['c']);
    });
  });
}
