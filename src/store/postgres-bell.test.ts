/** Two daemons on one PostgreSQL: each is notified of the other's commits. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type PostgresServer, startPostgres } from '../../test/support/postgres.ts';
import { EventBus } from '../core/events/bus.ts';
import type { Store } from '../core/ports/store.ts';
import { silentLog } from '../lib/log.ts';
import { openStore } from './store.ts';
import { sampleMachine } from './testing/samples.ts';

let server: PostgresServer;
let url: string;
let stores: readonly Store[];
let bus: EventBus;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());
beforeEach(async () => {
  url = await server.createDatabase();
  const open = () => openStore({ databaseUrl: url, path: '' });
  stores = [await open(), await open()];
  bus = await EventBus.open({ store: stores[0] as Store, log: silentLog });
});
afterEach(async () => {
  await bus.close();
  for (const store of stores) await store.close();
});

/** Resolves when the first one's bus reports a machine that the second inserts. */
async function heard(id: string): Promise<void> {
  const told = Promise.withResolvers<void>();
  const end = bus.subscribe(id, (event) => event && told.resolve());
  await stores[1]?.machines.insert(sampleMachine({ id }));
  await told.promise;
  end();
}

const listeners = () =>
  server.query<{ pid: number }>(url, "select pid from pg_stat_activity where query ilike 'listen %'");

test('a commit of one wakes the bus of the other', async () => {
  await vi.waitUntil(async () => (await listeners()).length === 1);
  for (const id of ['a', 'b', 'c']) await heard(id);
});

test('a listener whose connection is lost reconnects and misses nothing', async () => {
  await vi.waitUntil(async () => (await listeners()).length === 1);
  const [before] = await listeners();
  await server.query(url, `select pg_terminate_backend(${before?.pid})`);
  await heard('meanwhile');
  await vi.waitUntil(async () => {
    const [now] = await listeners();
    return now !== undefined && now.pid !== before?.pid;
  });
  await heard('afterwards');
});

test('an event waits for earlier transactions, and is not lost', async () => {
  const [one, other] = stores as readonly [Store, Store];
  const start = await one.events.latest();
  const begun = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const early = one.transaction(async (tx) => {
    await tx.machines.insert(sampleMachine({ id: 'early' }));
    begun.resolve();
    await end.promise;
  });
  await begun.promise;
  await other.machines.insert(sampleMachine({ id: 'late' }));
  // Reading `late` now would move the position past `early`.
  expect(await other.events.after(start, 10)).toEqual({ events: [], position: start });
  end.resolve();
  await early;
  const { events } = await other.events.after(start, 10);
  expect(events.map(({ subject }) => subject.id)).toEqual(['early', 'late']);
});
