import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Operation } from '../core/operations/operation.ts';
import type { OperationFilter, Store } from '../core/ports/store.ts';
import { InvariantError } from '../lib/invariant.ts';
import type { OpenStore } from './store.contract.ts';
import { at, sampleHostId, sampleOperation } from './testing/samples.ts';

export function operationsContract(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  describe('operations', () => {
    it('keeps all fields', async () => {
      const operation = sampleOperation({
        steps: [{ name: 'disk', phase: 'succeeded', output: { path: '/x', list: [1] }, at: at(1) }],
        failure: { code: 'engine', message: 'no', step: 'disk' },
        isCancelRequested: true,
      });
      await store.operations.insert(operation);
      expect(await store.operations.get(operation.id)).toEqual(operation);
      expect(await store.operations.get('nobody')).toBeNull();
    });

    it.each(['running', 'undoing'] as const)('refuses a second one while one is %s', async (state) => {
      const first = sampleOperation({ state });
      await store.operations.insert(first);
      const second = sampleOperation({ subjects: [...first.subjects] });
      await expect(store.operations.insert(second)).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('another operation is under way'),
      });
      await store.operations.save(first, { ...first, state: 'failed' });
      await store.operations.insert(second);
    });

    it('lets exactly one of many concurrent inserts succeed', async () => {
      const results = await Promise.allSettled(
        Array.from({ length: 10 }, () =>
          store.operations.insert(sampleOperation({ subjects: [{ kind: 'machine', id: 'm1' }] })),
        ),
      );
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const result of results)
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'conflict' });
    });

    it('saves only state, steps and failure', async () => {
      const operation = sampleOperation();
      await store.operations.insert(operation);
      const steps = [{ name: 'launch', phase: 'undoing' as const, output: null, at: at(2) }];
      const failure = { code: 'engine', message: 'no', step: 'launch' };
      const progress = { state: 'undoing', steps, failure, updatedAt: at(3) } as const;
      await store.operations.save(operation, {
        ...operation,
        ...progress,
        params: { other: true },
        kind: 'machine.stop',
        createdAt: at(9),
      });
      expect(await store.operations.get(operation.id)).toEqual({ ...operation, ...progress });
    });

    it('stores null for a step without output', async () => {
      const operation = sampleOperation();
      await store.operations.insert(operation);
      const step = { name: 'disk', phase: 'started' as const, output: undefined, at: at(1) };
      await store.operations.save(operation, { ...operation, steps: [step] });
      expect((await store.operations.get(operation.id))?.steps).toEqual([{ ...step, output: null }]);
    });

    it('saves only if the stored operation is unchanged: same owner, epoch and revision, and open', async () => {
      const operation = sampleOperation();
      const { owner } = operation;
      expect(await store.operations.save(operation, operation)).toBeNull();
      await store.operations.insert(operation);
      const others: Partial<Operation>[] = [
        { revision: 1 },
        { owner: { ...owner, hostId: 'host-2' } },
        { owner: { ...owner, epoch: 2 } },
      ];
      const failed = { ...operation, state: 'failed', revision: 1 } as const;
      for (const other of others) {
        expect(await store.operations.save({ ...operation, ...other }, failed)).toBeNull();
      }
      expect(await store.operations.get(operation.id)).toEqual(operation);
      expect(await store.operations.save(operation, failed)).toEqual(failed);
      // It has ended, so not even the same operation is written again.
      expect(await store.operations.save(failed, { ...failed, state: 'succeeded' })).toBeNull();
      expect(await store.operations.get(operation.id)).toEqual(failed);
    });

    it('lets one of two writers of the same revision win', async () => {
      const operation = sampleOperation();
      await store.operations.insert(operation);
      const saves = [1, 2].map((epoch) =>
        store.operations.save(operation, {
          ...operation,
          owner: { ...operation.owner, epoch },
          revision: 1,
        }),
      );
      expect((await Promise.all(saves)).filter((saved) => saved !== null)).toHaveLength(1);
    });

    it('allows one open operation per subject, of any kind', async () => {
      const image = { kind: 'image', id: 'tiny' } as const;
      const machine = { kind: 'machine', id: 'tiny' } as const;
      const first = sampleOperation({ subjects: [image, { kind: 'machine', id: 'a' }] });
      await store.operations.insert(first);
      await store.operations.insert(sampleOperation({ subjects: [machine] }));
      const second = sampleOperation({ subjects: [{ kind: 'machine', id: 'b' }, image] });
      await expect(store.operations.insert(second)).rejects.toMatchObject({ code: 'conflict' });
      // Nothing of the refused operation remains.
      await store.operations.insert(sampleOperation({ subjects: [{ kind: 'machine', id: 'b' }] }));
      expect(await store.operations.get(second.id)).toBeNull();
    });

    it('finds the open operation of a subject, but no ended one', async () => {
      const image = { kind: 'image', id: 'acme/tiny@h1' } as const;
      const operation = sampleOperation({ subjects: [image, { kind: 'machine', id: 'a' }] });
      expect(await store.operations.openOn(image)).toBeNull();
      await store.operations.insert(operation);
      expect(await store.operations.openOn(image)).toEqual(operation);
      expect(await store.operations.openOn({ kind: 'machine', id: 'a' })).toEqual(operation);
      expect(await store.operations.openOn({ kind: 'machine', id: image.id })).toBeNull();
      expect(await store.operations.openOn({ kind: 'image', id: 'a\x00' })).toBeNull();
      await store.operations.save(operation, { ...operation, state: 'failed' });
      expect(await store.operations.openOn(image)).toBeNull();
    });

    it('keeps a cancel request when a save does not know of it', async () => {
      const operation = sampleOperation();
      await store.operations.insert(operation);
      expect(await store.operations.requestCancel(operation.id)).toBe(true);
      const saved = await store.operations.save(operation, { ...operation, updatedAt: at(1) });
      expect(saved?.isCancelRequested).toBe(true);
      expect((await store.operations.get(operation.id))?.isCancelRequested).toBe(true);
    });

    it('accepts a cancel request only for an open operation', async () => {
      const ended = sampleOperation({ state: 'succeeded' });
      await store.operations.insert(ended);
      expect(await store.operations.requestCancel(ended.id)).toBe(false);
      expect(await store.operations.requestCancel('nobody')).toBe(false);
      expect((await store.operations.get(ended.id))?.isCancelRequested).toBe(false);
    });

    it('lists the open ones, oldest first', async () => {
      await store.operations.insert(sampleOperation({ id: 'b', createdAt: at(2) }));
      await store.operations.insert(sampleOperation({ id: 'a', createdAt: at(2), state: 'undoing' }));
      await store.operations.insert(sampleOperation({ id: 'c', createdAt: at(1) }));
      await store.operations.insert(sampleOperation({ id: 'd', state: 'cancelled' }));
      const elsewhere = { hostId: 'host-2', epoch: 1, bootId: 'boot-1' };
      await store.operations.insert(sampleOperation({ id: 'e', owner: elsewhere }));
      expect((await store.operations.open(sampleHostId)).map(({ id }) => id)).toEqual(['c', 'a', 'b']);
    });

    it('lists the newest of one tenant by pages, each exactly once, while others end', async () => {
      const count = 12;
      // Pairs share a time, so that the id decides their order.
      for (let n = 0; n < count; n++)
        await store.operations.insert(sampleOperation({ createdAt: at(Math.floor(n / 2)) }));
      await store.operations.insert(sampleOperation({ tenant: 'other', createdAt: at(99) }));
      const seen: Operation[] = [];
      for (let offset = 0; offset < count; offset += 5) {
        const page = await store.operations.list({ tenant: 'default', limit: 5, offset });
        expect(page.total).toBe(count);
        for (const each of page.operations)
          await store.operations.save(each, { ...each, state: 'failed', updatedAt: at(50 - offset) });
        seen.push(...page.operations);
      }
      expect(new Set(seen.map(({ id }) => id)).size).toBe(count);
      const order = (a: Operation, b: Operation) => compare(b.createdAt, a.createdAt) || compare(b.id, a.id);
      expect(seen.map(({ id }) => id)).toEqual(seen.toSorted(order).map(({ id }) => id));
      const beyond = { tenant: 'default', limit: 5, offset: count };
      expect(await store.operations.list(beyond)).toEqual({ operations: [], total: count });
    });

    it('lists by machine and by states, and never another tenant’s', async () => {
      const mine = sampleOperation({
        tenant: 'a',
        subjects: [{ kind: 'machine', id: 'm1' }],
        state: 'failed',
        createdAt: at(2),
      });
      const open = sampleOperation({
        tenant: 'a',
        subjects: [{ kind: 'machine', id: 'm1' }],
        createdAt: at(3),
      });
      const other = sampleOperation({
        tenant: 'a',
        subjects: [{ kind: 'machine', id: 'm2' }],
        state: 'cancelled',
        createdAt: at(1),
      });
      const foreign = sampleOperation({
        tenant: 'b',
        subjects: [{ kind: 'machine', id: 'm1' }],
        state: 'failed',
        createdAt: at(4),
      });
      for (const each of [mine, open, other, foreign]) await store.operations.insert(each);
      const list = async (filter: Omit<OperationFilter, 'limit' | 'offset'>) =>
        store.operations.list({ limit: 10, offset: 0, ...filter });
      expect(await list({ tenant: 'a' })).toEqual({ operations: [open, mine, other], total: 3 });
      expect(await list({ tenant: 'a', subject: { kind: 'machine', id: 'm1' } })).toEqual({
        operations: [open, mine],
        total: 2,
      });
      const states = ['failed', 'cancelled'] as const;
      expect(await list({ tenant: 'a', states })).toEqual({ operations: [mine, other], total: 2 });
      expect(await list({ tenant: 'a', subject: { kind: 'machine', id: 'm1' }, states })).toEqual({
        operations: [mine],
        total: 1,
      });
      expect(await list({ tenant: 'b' })).toEqual({ operations: [foreign], total: 1 });
      const none = { operations: [], total: 0 };
      expect(await list({ tenant: 'a', states: [] })).toEqual(none);
      expect(await list({ tenant: 'b', subject: { kind: 'machine', id: 'm2' } })).toEqual(none);
      expect(await list({ tenant: 'a', subject: { kind: 'machine', id: 'm\x01' } })).toEqual(none);
      expect(await list({ tenant: 'nobody' })).toEqual(none);
    });

    it.each([
      { limit: -1, offset: 0 },
      { limit: 1.5, offset: 0 },
      { limit: 1, offset: -1 },
    ])('raises an InvariantError for a list with %o', async (page) => {
      await expect(store.operations.list({ tenant: 'default', ...page })).rejects.toThrow(InvariantError);
    });

    it('prunes each tenant’s separately', async () => {
      for (let n = 1; n <= 3; n++)
        for (const tenant of ['busy', 'quiet'].slice(0, n === 1 ? 2 : 1))
          await store.operations.insert(
            sampleOperation({ id: `${tenant}${n}`, tenant, createdAt: at(n), state: 'failed' }),
          );
      await store.operations.prune(1);
      const ids = ['busy1', 'busy2', 'busy3', 'quiet1'];
      const left = await Promise.all(ids.map(async (id) => (await store.operations.get(id))?.id));
      expect(left).toEqual([undefined, undefined, 'busy3', 'quiet1']);
    });

    it('prunes ended operations, oldest first, and never an open one', async () => {
      await store.operations.insert(sampleOperation({ id: 'open', createdAt: at(0) }));
      for (let n = 1; n <= 5; n++)
        await store.operations.insert(
          sampleOperation({ id: `ended${n}`, createdAt: at(n), state: 'succeeded' }),
        );
      await store.operations.prune(2);
      const ids = ['open', 'ended1', 'ended2', 'ended3', 'ended4', 'ended5'];
      const left = await Promise.all(ids.map(async (id) => (await store.operations.get(id))?.id));
      expect(left).toEqual(['open', undefined, undefined, undefined, 'ended4', 'ended5']);
      await store.operations.prune(0);
      expect(await store.operations.get('ended5')).toBeNull();
      expect(await store.operations.get('open')).not.toBeNull();
    });
  });
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
