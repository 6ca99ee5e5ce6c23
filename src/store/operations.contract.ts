import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../core/ports/store.ts';
import { InvariantError } from '../lib/invariant.ts';
import type { OpenStore } from './store.contract.ts';
import { at, sampleOperation } from './testing/samples.ts';

export function operationsContract(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  describe('operations', () => {
    it('keeps the whole operation', async () => {
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
      const second = sampleOperation({ machineId: first.machineId });
      await expect(store.operations.insert(second)).rejects.toMatchObject({
        code: 'conflict',
        message: `Machine '${first.machineId}' has an operation under way`,
      });
      await store.operations.save({ ...first, state: 'failed' });
      await store.operations.insert(second);
    });

    it('lets exactly one of many concurrent inserts begin', async () => {
      const results = await Promise.allSettled(
        Array.from({ length: 10 }, () => store.operations.insert(sampleOperation({ machineId: 'm1' }))),
      );
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const result of results)
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'conflict' });
    });

    it('saves state, steps and failure, and nothing else', async () => {
      const operation = sampleOperation();
      await store.operations.insert(operation);
      const steps = [{ name: 'launch', phase: 'failed' as const, output: null, at: at(2) }];
      const failure = { code: 'engine', message: 'no', step: 'launch' };
      const progress = { state: 'undoing', steps, failure, updatedAt: at(3) } as const;
      await store.operations.save({
        ...operation,
        ...progress,
        params: { other: true },
        kind: 'machine.stop',
        createdAt: at(9),
      });
      expect(await store.operations.get(operation.id)).toEqual({ ...operation, ...progress });
    });

    it('keeps a step without output as one whose output is null', async () => {
      const operation = sampleOperation();
      await store.operations.insert(operation);
      const step = { name: 'disk', phase: 'started' as const, output: undefined, at: at(1) };
      await store.operations.save({ ...operation, steps: [step] });
      expect((await store.operations.get(operation.id))?.steps).toEqual([{ ...step, output: null }]);
    });

    it('calls it a defect to save what was never inserted', async () => {
      await expect(store.operations.save(sampleOperation())).rejects.toThrow(InvariantError);
    });

    it('keeps a cancel request through a save that knows nothing of it', async () => {
      const operation = sampleOperation();
      await store.operations.insert(operation);
      expect(await store.operations.requestCancel(operation.id)).toBe(true);
      await store.operations.save({ ...operation, updatedAt: at(1) });
      expect((await store.operations.get(operation.id))?.isCancelRequested).toBe(true);
    });

    it('takes a cancel request for an open operation only', async () => {
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
      expect((await store.operations.open()).map(({ id }) => id)).toEqual(['c', 'a', 'b']);
    });

    it('prunes ended ones beyond the newest, and never an open one', async () => {
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
