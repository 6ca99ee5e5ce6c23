import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { subjectId } from '../core/operations/operation.ts';
import type { Repositories, Store } from '../core/ports/store.ts';
import { InvariantError } from '../lib/invariant.ts';
import type { OpenStore } from './store.contract.ts';
import { at, sampleHostId, sampleMachine, sampleOperation } from './testing/samples.ts';

export function transactionsContract(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  describe('transactions', () => {
    it('are applied completely', async () => {
      const machine = sampleMachine({ state: 'creating', operationId: 'op1' });
      const value = await store.transaction(async (tx) => {
        await tx.machines.insert(machine);
        await tx.operations.insert(
          sampleOperation({ id: 'op1', subjects: [{ kind: 'machine', id: machine.id }] }),
        );
        expect(await tx.machines.get(machine.id)).toMatchObject({ id: machine.id });
        return 'done';
      });
      expect(value).toBe('done');
      expect(await store.machines.get(machine.id)).not.toBeNull();
      expect(await store.operations.get('op1')).not.toBeNull();
    });

    it('are rolled back when the work fails, and the store continues', async () => {
      const machine = sampleMachine();
      const work = store.transaction(async (tx) => {
        await tx.machines.insert(machine);
        await tx.operations.insert(sampleOperation());
        throw new Error('changed my mind');
      });
      await expect(work).rejects.toThrow('changed my mind');
      expect(await store.machines.all(sampleHostId)).toEqual([]);
      expect(await store.operations.open(sampleHostId)).toEqual([]);
      await store.machines.insert(machine);
    });

    it('roll back what came before a conflict', async () => {
      const operation = sampleOperation();
      await store.operations.insert(operation);
      const work = store.transaction(async (tx) => {
        await tx.machines.insert(sampleMachine({ id: subjectId(operation, 'machine') }));
        await tx.operations.insert(
          sampleOperation({ subjects: [{ kind: 'machine', id: subjectId(operation, 'machine') }] }),
        );
      });
      await expect(work).rejects.toMatchObject({ code: 'conflict' });
      expect(await store.machines.all(sampleHostId)).toEqual([]);
    });

    it('are serialised: no other write comes between a read and the write based on it', async () => {
      const id = 'counter';
      await store.operations.insert(sampleOperation({ id }));
      const increments = 25;
      await Promise.all(
        Array.from({ length: increments }, () =>
          store.transaction(async (tx) => {
            const operation = await tx.operations.get(id);
            if (operation === null) throw new Error('lost');
            const step = {
              name: `s${operation.steps.length}`,
              phase: 'started' as const,
              output: null,
              at: at(1),
            };
            await tx.operations.save(operation, { ...operation, steps: [...operation.steps, step] });
          }),
        ),
      );
      expect((await store.operations.get(id))?.steps).toHaveLength(increments);
    });

    it('raise an InvariantError at once when the store itself is used inside', async () => {
      const uses: ((outer: Store) => Promise<unknown>)[] = [
        (outer) => outer.machines.get('x'),
        (outer) => outer.machines.insert(sampleMachine()),
        (outer) => outer.operations.open(sampleHostId),
        (outer) => outer.transaction(async () => undefined),
      ];
      for (const use of uses)
        await expect(store.transaction(() => use(store))).rejects.toThrow(InvariantError);
      expect(await store.machines.all(sampleHostId)).toEqual([]);
    });

    it('are seen by every read that begins after them', async () => {
      let stored = sampleOperation({ id: 'counter' });
      await store.operations.insert(stored);
      for (let n = 1; n <= 100; n++) {
        const steps = [{ name: `s${n}`, phase: 'started' as const, output: null, at: at(n) }];
        const save = (tx: Repositories) => tx.operations.save(stored, { ...stored, steps });
        stored = (await (n % 2 === 0 ? save(store) : store.transaction(save))) ?? stored;
        const [one, many] = await Promise.all([
          store.operations.get('counter'),
          store.operations.open(sampleHostId),
        ]);
        expect([one?.steps, many[0]?.steps]).toEqual([steps, steps]);
      }
    });

    it('let work left running use the store afterwards', async () => {
      const committed = Promise.withResolvers<void>();
      const late = await store.transaction(async () => ({
        done: committed.promise.then(() => store.machines.all(sampleHostId)),
      }));
      committed.resolve();
      expect(await late.done).toEqual([]);
    });

    it('refuse the use of their repositories once they have ended', async () => {
      const leaked = await store.transaction(async (tx): Promise<{ tx: Repositories }> => ({ tx }));
      await expect(leaked.tx.machines.insert(sampleMachine())).rejects.toThrow();
      expect(await store.machines.all(sampleHostId)).toEqual([]);
    });

    it('also roll back statements still in progress when they fail', async () => {
      const left: Promise<boolean>[] = [];
      const work = store.transaction(async (tx) => {
        for (let n = 0; n < 10; n++)
          left.push(
            tx.operations.insert(sampleOperation()).then(
              () => true,
              () => false,
            ),
          );
        throw new Error('changed my mind');
      });
      await expect(work).rejects.toThrow('changed my mind');
      expect(await Promise.all(left)).toContain(false);
      expect(await store.operations.open(sampleHostId)).toEqual([]);
    });
  });

  describe('transactions that do not end', () => {
    const reopen = async (transactionMs: number) => {
      await store.close();
      store = await open({ transactionMs });
    };

    it('are rolled back, and the store continues', async () => {
      // Enough for an insert on a busy host.
      await reopen(2_000);
      const stuck = store.transaction(async (tx) => {
        await tx.machines.insert(sampleMachine());
        await new Promise(() => undefined);
      });
      const next = store.machines.insert(sampleMachine({ name: 'next' }));
      await expect(stuck).rejects.toMatchObject({
        code: 'timeout',
        message: expect.stringContaining('2000 ms'),
      });
      await next;
      expect((await store.machines.all(sampleHostId)).map(({ spec }) => spec.name)).toEqual(['next']);
    });

    it('can write nothing when they resume', async () => {
      await reopen(20);
      const waking = Promise.withResolvers<void>();
      const late = Promise.withResolvers<unknown>();
      const stuck = store.transaction(async (tx) => {
        await waking.promise;
        await tx.machines.insert(sampleMachine()).then(late.resolve, late.reject);
      });
      await expect(stuck).rejects.toMatchObject({ code: 'timeout' });
      waking.resolve();
      await expect(late.promise).rejects.toThrow();
      expect(await store.machines.all(sampleHostId)).toEqual([]);
    });
  });

  describe('writers', () => {
    it('give up when earlier writers take too long', async () => {
      await store.close();
      store = await open({ queueMs: 1 });
      const end = Promise.withResolvers<void>();
      // More writers than any database admits at once.
      const before = Array.from({ length: 20 }, () => store.transaction(() => end.promise));
      const ended = Promise.allSettled(before);
      await expect(store.machines.insert(sampleMachine())).rejects.toMatchObject({ code: 'unavailable' });
      end.resolve();
      expect((await ended).map(({ status }) => status)).toContain('fulfilled');
      await store.machines.insert(sampleMachine());
    });
  });

  describe('close', () => {
    it('waits for running work, then refuses; closing twice is safe', async () => {
      const machine = sampleMachine();
      const insert = store.machines.insert(machine);
      const closed = store.close();
      await expect(store.machines.get(machine.id)).rejects.toMatchObject({ code: 'unavailable' });
      await expect(store.transaction(async () => 1)).rejects.toMatchObject({ code: 'unavailable' });
      expect((await insert).id).toBe(machine.id);
      await closed;
      await store.close();
    });
  });
}
