/** Several writers on one PostgreSQL: each waits only for writers of the same records. */
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type PostgresServer, startPostgres } from '../../test/support/postgres.ts';
import type { Machine } from '../core/machines/machine.ts';
import type { StateChange, Store } from '../core/ports/store.ts';
import { requireQuota, sizeOf } from '../core/quotas/admission.ts';
import { noLimits } from '../core/quotas/quota.ts';
import { createAccess } from './access.ts';
import { ContentionError, type OpenDatabase } from './database.ts';
import { openPostgres } from './postgres.ts';
import { openStore } from './store.ts';
import { at, sampleHostId, sampleKey, sampleMachine, sampleOperation } from './testing/samples.ts';

let server: PostgresServer;
let template: string;
let url: string;
/** Two programs. */
let stores: readonly [Store, Store];
beforeAll(async () => {
  server = await startPostgres();
  template = await server.createDatabase();
  await (await openStore({ databaseUrl: template, path: '' })).close();
});
afterAll(() => server?.stop());
beforeEach(async () => {
  url = await server.createDatabase(template);
  stores = [await openStore({ databaseUrl: url, path: '' }), await openStore({ databaseUrl: url, path: '' })];
});
afterEach(async () => {
  for (const store of stores) await store.close();
});

const change = (machine: Machine, n: number): StateChange => ({
  id: machine.id,
  from: 'created',
  fromOperationId: null,
  to: 'starting',
  patch: { operationId: `op${n}`, incarnation: `i${n}` },
  at: at(1),
});

const fulfilled = <T>(results: readonly PromiseSettledResult<T>[]): readonly T[] =>
  results.filter((result) => result.status === 'fulfilled').map(({ value }) => value);

it('sharers of a lock do not wait for each other; an exclusive holder waits for all', async () => {
  let inside = 0;
  const both = Promise.withResolvers<void>();
  const order: string[] = [];
  const shared = stores.map((store) =>
    store.transaction(async (tx) => {
      await tx.locks.share('image');
      inside += 1;
      if (inside === 2) both.resolve();
      await both.promise;
      order.push('shared');
    }),
  );
  await both.promise;
  const held = stores[0].transaction(async (tx) => {
    await tx.locks.hold('image');
    order.push('held');
  });
  await Promise.all([...shared, held]);
  expect(order).toEqual(['shared', 'shared', 'held']);
});

it('of 200 creations by two programs, a quota admits as many as it says', async () => {
  const limits = { ...noLimits, machines: 10 };
  await stores[0].quotas.set({ tenant: 'default', limits, updatedAt: at(1) });
  const samples = Array.from({ length: 200 }, () => sampleMachine());
  const created = await Promise.allSettled(
    samples.map((machine, n) =>
      (stores[n % 2] ?? stores[0]).transaction(async (tx) => {
        const admission = { tenant: machine.tenant, tier: null, defaults: noLimits };
        await requireQuota(tx, admission, sizeOf(machine.spec));
        return tx.machines.insert(machine);
      }),
    ),
  );
  const refused = created.filter((each) => each.status === 'rejected' && each.reason.code === 'quota');
  expect([fulfilled(created).length, refused.length]).toEqual([10, 190]);
  expect((await stores[0].machines.usage('default')).machines).toBe(10);
});

describe('writers of different machines', () => {
  it('proceed concurrently, up to the limit of writers', async () => {
    const machines: Machine[] = [];
    for (let n = 0; n < 6; n++) machines.push(await stores[0].machines.insert(sampleMachine()));
    let inside = 0;
    const all = Promise.withResolvers<void>();
    // Nobody commits before all have written; with one global lock, the first would wait for ever.
    const changed = machines.map((machine, n) =>
      stores[n % 2 === 0 ? 0 : 1].transaction(async (tx) => {
        const isDone = await tx.machines.compareAndSet(change(machine, n));
        inside += 1;
        if (inside === machines.length) all.resolve();
        await all.promise;
        return isDone;
      }),
    );
    expect(await Promise.all(changed)).toEqual(machines.map(() => true));
    expect((await stores[0].machines.all(sampleHostId)).map(({ state }) => state)).toEqual(
      machines.map(() => 'starting'),
    );
  });

  it('do not wait for a blocked write, and neither do reads', async () => {
    const [held, free] = [
      await stores[0].machines.insert(sampleMachine()),
      await stores[0].machines.insert(sampleMachine()),
    ];
    const end = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const holder = stores[0].transaction(async (tx) => {
      await tx.machines.get(held.id);
      begun.resolve();
      await end.promise;
      return tx.machines.compareAndSet(change(held, 1));
    });
    await begun.promise;
    const waiting = stores[1].machines.compareAndSet(change(held, 2));
    expect(await stores[1].machines.compareAndSet(change(free, 3))).toBe(true);
    expect((await stores[1].machines.get(held.id))?.state).toBe('created');
    end.resolve();
    expect(await holder).toBe(true);
    expect(await waiting).toBe(false);
  });
});

describe('writers of one machine', () => {
  it('win each compare-and-set exactly once', async () => {
    const machine = await stores[0].machines.insert(sampleMachine());
    const results = await Promise.all(
      Array.from({ length: 24 }, (_, n) =>
        stores[n % 2 === 0 ? 0 : 1].machines.compareAndSet(change(machine, n)),
      ),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
    expect((await stores[1].machines.get(machine.id))?.operationId).toBe(`op${results.indexOf(true)}`);
  });

  it('begin only one operation', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 16 }, (_, n) =>
        stores[n % 2 === 0 ? 0 : 1].operations.insert(
          sampleOperation({ subjects: [{ kind: 'machine', id: 'one' }] }),
        ),
      ),
    );
    expect(fulfilled(results)).toHaveLength(1);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'conflict' });
  });
});

describe('races for things without a row', () => {
  it('a name goes to one writer, and each number to one', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 24 }, (_, n) =>
        stores[n % 2 === 0 ? 0 : 1].transaction(async (tx) => {
          const machine = sampleMachine({ name: `web-${n % 6}` });
          const owner = { kind: 'machine', id: machine.id } as const;
          const range = { hostId: sampleHostId, kind: 'vmm_uid', min: 1, max: 100 } as const;
          const slot = await tx.allocations.take({ ...range, owner, at: at(n) });
          return tx.machines.insert({ ...machine, slot });
        }),
      ),
    );
    const slots = fulfilled(results).map(({ slot }) => slot);
    expect(slots).toHaveLength(6);
    expect(new Set(slots).size).toBe(6);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'conflict' });
  });

  it('a count stays true until the decision based on it is written', async () => {
    const max = 5;
    await Promise.all(
      Array.from({ length: 16 }, (_, n) =>
        stores[n % 2 === 0 ? 0 : 1].transaction(async (tx) => {
          if ((await tx.keys.countLive('default', at(0))) < max) await tx.keys.insert(sampleKey());
        }),
      ),
    );
    expect(await stores[0].keys.countLive('default', at(0))).toBe(max);
  });
});

describe('writers that deadlock', () => {
  it('both succeed, because one of them is retried', async () => {
    const ids = ['a', 'b'];
    for (const id of ids) await stores[0].operations.insert(sampleOperation({ id }));
    const bothHold = Promise.withResolvers<void>();
    let holding = 0;
    let runs = 0;
    const work = (store: Store, order: readonly string[]) =>
      store.transaction(async (tx) => {
        runs += 1;
        for (const id of order) {
          const operation = await tx.operations.get(id);
          if (operation === null) throw new Error('lost');
          const step = { name: `${order[0]}`, phase: 'started' as const, output: null, at: at(1) };
          await tx.operations.save(operation, { ...operation, steps: [...operation.steps, step] });
          holding += 1;
          if (holding === 2) bothHold.resolve();
          await bothHold.promise;
        }
      });
    await Promise.all([work(stores[0], ids), work(stores[1], ids.toReversed())]);
    // The one that is retried may take its first row before the other wakes, and then they deadlock once more.
    expect(runs).toBeGreaterThanOrEqual(3);
    for (const id of ids) expect((await stores[0].operations.get(id))?.steps).toHaveLength(2);
  });

  describe('are retried only a few times', () => {
    let database: OpenDatabase;
    beforeEach(async () => {
      database = await openPostgres(url);
    });
    afterEach(() => database.close());

    it.each(['40001', '40P01'])('when the database says %s', async (errcode) => {
      const access = createAccess(database);
      let runs = 0;
      const raise = sql.raw(`do $$ begin raise exception 'no' using errcode = '${errcode}'; end $$`);
      const failing = access.atomically(async (db) => {
        runs += 1;
        await raise.execute(db);
      });
      await expect(failing).rejects.toBeInstanceOf(ContentionError);
      await expect(failing).rejects.toMatchObject({ code: 'unavailable', hint: expect.any(String) });
      expect(runs).toBe(10);
    });
  });
});
