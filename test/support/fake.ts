/** A Flotilla without machines: the real core, store and HTTP server on fakes of the other ports. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChangeBus } from '../../src/core/events/bus.ts';
import { MachineService } from '../../src/core/machines/service.ts';
import type { Edges } from '../../src/core/machines/steps/context.ts';
import type { RunnerHooks } from '../../src/core/operations/runner.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { Reconciler } from '../../src/core/reconcile/reconciler.ts';
import { FakeDisks, FakeGuest, fakeImages } from '../../src/core/testing/fakes.ts';
import { FakeDriver } from '../../src/engines/fake/driver.ts';
import { createApp } from '../../src/http/app.ts';
import { type HttpServer, listen } from '../../src/http/server.ts';
import { silentLog } from '../../src/lib/log.ts';
import { adminKeyVerifier } from '../../src/main/admin-key.ts';
import { systemClock } from '../../src/main/clock.ts';
import { openStore } from '../../src/store/store.ts';

export const testKey = `hf_${'k'.repeat(32)}`;

export interface FakeFlotilla {
  readonly store: Store;
  readonly driver: FakeDriver;
  readonly guest: FakeGuest;
  readonly disks: FakeDisks;
  readonly machines: MachineService;
  readonly reconciler: Reconciler;
  readonly edges: Edges;
  /** The host as a fresh daemon finds it: a new core on the same store and the same fakes; nothing is recovered yet. */
  restarted(hasHostRebooted?: boolean): {
    readonly machines: MachineService;
    readonly reconciler: Reconciler;
  };
  close(): Promise<void>;
}

export interface FakeOptions {
  /** A database of its own on a PostgreSQL server; SQLite without. */
  readonly databaseUrl?: string;
  readonly hooks?: RunnerHooks;
  readonly bootTimeoutMs?: number;
}

export async function startFake(options: FakeOptions = {}): Promise<FakeFlotilla> {
  const directory = await mkdtemp(join(tmpdir(), 'flotilla-fake-'));
  const store = await openStore({
    path: join(directory, 'flotilla.db'),
    ...(options.databaseUrl === undefined ? {} : { databaseUrl: options.databaseUrl }),
  });
  const driver = new FakeDriver({ kind: 'qemu' });
  const guest = new FakeGuest();
  const disks = new FakeDisks();
  const engines = new Map([['qemu', driver]]);
  const edges: Edges = { engines, guest, disks, images: fakeImages, clock: systemClock, log: silentLog };
  const defaults = { image: 'debian-12', engine: 'qemu', diskMib: 1024 };
  const bus = new ChangeBus(silentLog);
  const deps = { store, bus, edges, defaults, startsMax: 2, hasHostRebooted: false };
  const machines = new MachineService({
    ...deps,
    hooks: options.hooks,
    bootTimeoutMs: options.bootTimeoutMs,
  });
  const services: MachineService[] = [machines];
  return {
    store,
    driver,
    guest,
    disks,
    machines,
    edges,
    reconciler: new Reconciler({ store, edges, machines, hasHostRebooted: false }),
    restarted(hasHostRebooted = false) {
      // The one before is not closed: a daemon that was killed closes nothing.
      const service = new MachineService({ ...deps, hasHostRebooted });
      services.splice(0, services.length, service);
      return {
        machines: service,
        reconciler: new Reconciler({ store, edges, machines: service, hasHostRebooted }),
      };
    },
    async close() {
      for (const service of services) await service.close();
      await driver.close();
      await store.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** The HTTP server on top, with one key. */
export async function serveFake(
  fake: FakeFlotilla,
): Promise<{ readonly url: string; readonly server: HttpServer }> {
  const app = createApp({
    machines: fake.machines,
    images: fakeImages,
    disks: fake.disks,
    keys: adminKeyVerifier(testKey),
    clock: systemClock,
    log: silentLog,
    version: 'test',
    allowedHosts: null,
  });
  const server = await listen(app.fetch, '127.0.0.1', 0);
  return { url: `http://127.0.0.1:${server.port}`, server };
}
