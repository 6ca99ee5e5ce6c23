/** Flotilla without VMs, for tests: the real core, store and HTTP server on fakes of the other ports. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Core, createCore } from '../../src/core/core.ts';
import type { TurnTimeouts } from '../../src/core/images/turns.ts';
import { KeyService } from '../../src/core/keys/service.ts';
import type { Edges } from '../../src/core/machines/steps/context.ts';
import { changedSteps } from '../../src/core/operations/journal.ts';
import type { Operation, StepPhase } from '../../src/core/operations/operation.ts';
import type { RunnerHooks } from '../../src/core/operations/runner.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { EngineCapabilities } from '../../src/core/ports/engine.ts';
import type { Store } from '../../src/core/ports/store.ts';
import { FakeDisks, FakeGuest, FakeImages, FakeRecords } from '../../src/core/testing/fakes.ts';
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

export interface FakeFlotilla extends Core {
  /** The store without the daemon's fence. */
  readonly store: Store;
  readonly driver: FakeDriver;
  readonly guest: FakeGuest;
  readonly disks: FakeDisks;
  readonly images: FakeImages;
  readonly records: FakeRecords;
  readonly apiKeys: KeyService;
  readonly edges: Edges;
  /** Restarts the daemon: a new core on the same store and fakes, before any recovery. */
  restarted(options?: RestartOptions): Promise<Core>;
  /** Restarts the daemon and recovers completely. */
  recovered(options?: RestartOptions): Promise<Core>;
}

export interface RestartOptions {
  readonly hasHostRebooted?: boolean;
  /** From here on. */
  readonly memoryMib?: number;
  readonly hooks?: FakeHooks;
  /** Replaces the store for this and later cores. */
  readonly store?: Store;
}

export interface FakeHooks extends RunnerHooks {
  /** Called for each step that a write changed. */
  recorded?(operation: Operation, step: string, phase: StepPhase): Promise<void>;
}

function runnerHooks(hooks: FakeHooks): RunnerHooks {
  return {
    wrap: (step, kind) => hooks.wrap?.(step, kind) ?? step,
    async written(before, after) {
      await hooks.written?.(before, after);
      for (const { name, phase } of changedSteps(before, after)) await hooks.recorded?.(after, name, phase);
    },
  };
}

export interface FakeOptions {
  /** A database on a PostgreSQL server. Default: SQLite. */
  readonly databaseUrl?: string;
  readonly hooks?: FakeHooks;
  readonly bootTimeoutMs?: number;
  /** The engine's capabilities. Default: the fake engine's. */
  readonly capabilities?: Partial<EngineCapabilities>;
  /** Features that the engine lacks. */
  readonly without?: FakeDriverOptions['without'];
  /** Default: silent. */
  readonly log?: Logger;
  /** Wraps the store given to the core. */
  readonly wrapStore?: (store: Store) => Store;
  readonly memoryMib?: number;
  readonly importTimeoutMs?: number;
  readonly turnTimeouts?: TurnTimeouts;
  /** The host's own without. */
  readonly clock?: Clock;
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
  const records = new FakeRecords();
  const clock = options.clock ?? systemClock(silentLog);
  const edges: Edges = { engines, guest, disks, images, records, clock, log: silentLog };
  const defaults = { image: 'debian-12', engine: 'qemu', diskMib: 1024 };
  let { memoryMib = 1_000_000 } = options;
  const cores: Core[] = [];
  let boots = 1;
  const restarted = async (restart: RestartOptions = {}): Promise<Core> => {
    if (restart.hasHostRebooted) boots += 1;
    memoryMib = restart.memoryMib ?? memoryMib;
    const core = await createCore({
      store: restart.store ?? store,
      edges,
      images,
      defaults,
      capacity: { memoryMib },
      startsMax: 2,
      hostId: 'host',
      bootId: `boot-${boots}`,
      bootTimeoutMs: options.bootTimeoutMs,
      importTimeoutMs: options.importTimeoutMs,
      turnTimeouts: options.turnTimeouts,
      hooks: runnerHooks(restart.hooks ?? {}),
    });
    // The previous core is not closed, because a killed daemon closes nothing.
    cores.splice(0, cores.length, core);
    return core;
  };
  const { hooks, wrapStore } = options;
  const core = await restarted({
    ...(hooks === undefined ? {} : { hooks }),
    ...(wrapStore === undefined ? {} : { store: wrapStore(store) }),
  });
  const apiKeys = new KeyService({ store, clock: systemClock(silentLog), log: options.log ?? silentLog });
  apiKeys.follow(core.bus);
  return {
    ...core,
    store,
    driver,
    guest,
    disks,
    images,
    records,
    apiKeys,
    edges,
    restarted,
    async recovered(restart = {}) {
      const next = await restarted(restart);
      await (await next.supervisor.recover()).ended;
      await next.reconciler.run();
      return next;
    },
    async close() {
      for (const each of cores) await each.close();
      await driver.close();
      await apiKeys.close();
      await store.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** The dependencies of the HTTP application, with one key. */
export function fakeDeps(fake: FakeFlotilla): HttpDeps {
  return {
    machines: fake.machines,
    operations: fake.operations,
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

/** Serves the fake over HTTP. */
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
