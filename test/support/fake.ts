/** A Flotilla without machines: the real core, store and HTTP server on fakes of the other ports. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChangeBus } from '../../src/core/events/bus.ts';
import { ImageHolds } from '../../src/core/images/holds.ts';
import { ImageService } from '../../src/core/images/service.ts';
import { KeyService } from '../../src/core/keys/service.ts';
import { MachineService } from '../../src/core/machines/service.ts';
import type { Edges } from '../../src/core/machines/steps/context.ts';
import type { RunnerHooks } from '../../src/core/operations/runner.ts';
import { OperationService } from '../../src/core/operations/service.ts';
import type { EngineCapabilities } from '../../src/core/ports/engine.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { Reconciler } from '../../src/core/reconcile/reconciler.ts';
import { FakeDisks, FakeGuest, FakeImages } from '../../src/core/testing/fakes.ts';
import { FakeDriver, type FakeDriverOptions } from '../../src/engines/fake/driver.ts';
import { createApp } from '../../src/http/app.ts';
import type { HttpDeps } from '../../src/http/context.ts';
import { dialects } from '../../src/http/dialects.ts';
import { nativeDialect } from '../../src/http/native/dialect.ts';
import { type HttpServer, type ListenOptions, listen } from '../../src/http/server.ts';
import { type Logger, silentLog } from '../../src/lib/log.ts';
import { adminKeyVerifier } from '../../src/main/admin-key.ts';
import { systemClock } from '../../src/main/clock.ts';
import { openStore } from '../../src/store/store.ts';

export const testKey = `hf_${'k'.repeat(32)}`;

export interface FakeFlotilla {
  readonly store: Store;
  readonly driver: FakeDriver;
  readonly guest: FakeGuest;
  readonly disks: FakeDisks;
  readonly images: FakeImages;
  readonly imageService: ImageService;
  readonly machines: MachineService;
  readonly apiKeys: KeyService;
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
  /** What the engine says it can; where nothing is said, as the fake engine does. */
  readonly capabilities?: Partial<EngineCapabilities>;
  /** What the engine cannot do. */
  readonly without?: FakeDriverOptions['without'];
  /** Silent without. */
  readonly log?: Logger;
}

export async function startFake(options: FakeOptions = {}): Promise<FakeFlotilla> {
  const directory = await mkdtemp(join(tmpdir(), 'flotilla-fake-'));
  const store = await openStore({
    path: join(directory, 'flotilla.db'),
    ...(options.databaseUrl === undefined ? {} : { databaseUrl: options.databaseUrl }),
  });
  const driver = new FakeDriver({
    kind: 'qemu',
    capabilities: options.capabilities ?? {},
    without: options.without ?? [],
  });
  const guest = new FakeGuest();
  const disks = new FakeDisks();
  const engines = new Map([['qemu', driver]]);
  const images = new FakeImages();
  const imageHolds = new ImageHolds();
  const edges: Edges = { engines, guest, disks, images, clock: systemClock, log: silentLog };
  const defaults = { image: 'debian-12', engine: 'qemu', diskMib: 1024 };
  const bus = new ChangeBus(silentLog);
  const deps = { store, bus, edges, defaults, imageHolds, startsMax: 2, hasHostRebooted: false };
  const machines = new MachineService({
    ...deps,
    hooks: options.hooks,
    bootTimeoutMs: options.bootTimeoutMs,
  });
  const services: MachineService[] = [machines];
  const apiKeys = new KeyService({ store, clock: systemClock, log: options.log ?? silentLog });
  return {
    store,
    driver,
    guest,
    disks,
    images,
    imageService: new ImageService({ images, store, holds: imageHolds }),
    machines,
    apiKeys,
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
      await apiKeys.close();
      await store.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** What the HTTP application needs of it, with one key. */
export function fakeDeps(fake: FakeFlotilla): HttpDeps {
  return {
    machines: fake.machines,
    operations: new OperationService(fake.store),
    images: fake.images,
    imageService: fake.imageService,
    disks: fake.disks,
    keys: adminKeyVerifier(testKey, fake.apiKeys),
    apiKeys: fake.apiKeys,
    log: silentLog,
    version: 'test',
    isHostName: null,
    corsOrigins: new Set(),
  };
}

/** The HTTP server on top. */
export async function serveFake(
  fake: FakeFlotilla,
  options: Partial<HttpDeps> & ListenOptions = {},
): Promise<{ readonly url: string; readonly server: HttpServer }> {
  const app = createApp(dialects, { ...fakeDeps(fake), ...options });
  const server = await listen(
    app.fetch,
    { host: '127.0.0.1', port: 0 },
    { refuse: nativeDialect.refusal, ...options },
  );
  return { url: `http://127.0.0.1:${server.port}`, server };
}
