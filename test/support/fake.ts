/** Flotilla without VMs, for tests: the real core, store and HTTP server on fakes of the other ports. */
import { generateKeyPairSync } from 'node:crypto';
import { type Core, createCore } from '../../src/core/core.ts';
import type { ImageAlias } from '../../src/core/images/aliases.ts';
import type { TurnTimeouts } from '../../src/core/images/turns.ts';
import { KeyService } from '../../src/core/keys/service.ts';
import type { Edges } from '../../src/core/machines/steps/context.ts';
import { changedSteps } from '../../src/core/operations/journal.ts';
import type { Operation, StepPhase } from '../../src/core/operations/operation.ts';
import type { RunnerHooks } from '../../src/core/operations/runner.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { EngineCapabilities } from '../../src/core/ports/engine.ts';
import type { NetworkFacts } from '../../src/core/ports/network.ts';
import type { ScriptEngine } from '../../src/core/ports/scripts.ts';
import type { Store } from '../../src/core/ports/store.ts';
import type { QuotaLimits } from '../../src/core/quotas/quota.ts';
import { CertificateAuthority } from '../../src/core/ssh/certificate.ts';
import { CertificateService } from '../../src/core/ssh/certificate-service.ts';
import { SshKeyService } from '../../src/core/ssh/service.ts';
import { FakeNetwork } from '../../src/core/testing/fake-network.ts';
import {
  FakeDisks,
  FakeGuest,
  FakeImages,
  FakeKeptConsoles,
  FakeRecords,
  FakeSavedMemories,
  FakeSnapshotFiles,
} from '../../src/core/testing/fakes.ts';
import { FakeDriver, type FakeDriverOptions, type LaunchHook } from '../../src/engines/fake/driver.ts';
import { createApp } from '../../src/http/app.ts';
import type { HttpDeps } from '../../src/http/context.ts';
import { type Dialect, pickDialect } from '../../src/http/dialect.ts';
import { dialects as allDialects } from '../../src/http/dialects.ts';
import { type HttpServer, type ListenOptions, listen } from '../../src/http/server.ts';
import { type Logger, silentLog } from '../../src/lib/log.ts';
import { adminKeyVerifier } from '../../src/main/admin-key.ts';
import { systemClock } from '../../src/main/clock.ts';
import type { OpenDatabase } from '../../src/store/database.ts';
import { createStore } from '../../src/store/store.ts';
import { DatabasePool } from './databases.ts';
import { atEndOfEachFile } from './file-end.ts';

const databases = new DatabasePool();
atEndOfEachFile(() => databases.close());

const fakeAuthority = new CertificateAuthority(generateKeyPairSync('ed25519').privateKey);

export const testKey = `hf_${'k'.repeat(32)}`;

export interface FakeFlotilla extends Core {
  /** The store without the daemon's fence. */
  readonly store: Store;
  readonly driver: FakeDriver;
  readonly guest: FakeGuest;
  readonly disks: FakeDisks;
  readonly images: FakeImages;
  readonly records: FakeRecords;
  readonly consoles: FakeKeptConsoles;
  readonly savedMemories: FakeSavedMemories;
  readonly snapshotFiles: FakeSnapshotFiles;
  readonly apiKeys: KeyService;
  readonly sshKeys: SshKeyService;
  /** The host's network; `network` is the use cases. */
  readonly hostNetwork: FakeNetwork;
  readonly edges: Edges;
  /** The numbers that are taken of each kind on this host, by whomever. */
  takenNumbers(): Promise<readonly TakenNumber[]>;
  /** Restarts the daemon: a new core on the same store and fakes, before any recovery. */
  restarted(options?: RestartOptions): Promise<Core>;
  /** Restarts the daemon and recovers completely. */
  recovered(options?: RestartOptions): Promise<Core>;
}

export interface TakenNumber {
  readonly kind: string;
  readonly value: number;
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
  /** Empty and migrated. Default: SQLite. */
  readonly database?: OpenDatabase;
  readonly hooks?: FakeHooks;
  readonly bootTimeoutMs?: number;
  readonly quotas?: QuotaLimits;
  readonly snapshotsPerMachine?: number;
  /** The engine's capabilities. Default: the fake engine's. */
  readonly capabilities?: Partial<EngineCapabilities>;
  /** Features that the engine lacks. */
  readonly without?: FakeDriverOptions['without'];
  /** Default: silent. */
  readonly log?: Logger;
  /** Wraps the store given to the core. */
  readonly wrapStore?: (store: Store) => Store;
  readonly memoryMib?: number;
  readonly imageAliases?: readonly ImageAlias[];
  readonly importTimeoutMs?: number;
  readonly turnTimeouts?: TurnTimeouts;
  /** Absent: Rhai scripts are refused. */
  readonly scriptEngine?: ScriptEngine;
  /** The host's own without. */
  readonly clock?: Clock;
  /** Replaces the fake guests, whose `onLaunch` then starts them. */
  readonly guest?: Edges['guest'];
  readonly onLaunch?: LaunchHook;
  /** What differs from the fake host's network. */
  readonly network?: Partial<NetworkFacts>;
}

export async function startFake(options: FakeOptions = {}): Promise<FakeFlotilla> {
  const database = options.database ?? (await databases.take());
  const store = createStore(database);
  const driver = new FakeDriver({
    kind: 'qemu',
    capabilities: options.capabilities ?? {},
    without: options.without ?? [],
    ...(options.onLaunch === undefined ? {} : { onLaunch: options.onLaunch }),
  });
  const guest = new FakeGuest();
  // A guest that hangs would cost each stop its grace of ten seconds.
  guest.onShutdown = ({ incarnation }) => driver.host.machines.get(incarnation)?.powerOff();
  const disks = new FakeDisks();
  const engines = new Map([['qemu', driver]]);
  const images = new FakeImages();
  const records = new FakeRecords();
  const log = options.log ?? silentLog;
  const clock = options.clock ?? systemClock(log);
  const consoles = new FakeKeptConsoles(disks);
  const savedMemories = new FakeSavedMemories();
  const snapshots = new FakeSnapshotFiles();
  savedMemories.onShare = (from, to) => {
    const saved = driver.host.saved.get(from);
    if (saved !== undefined) driver.host.saved.set(to, saved);
  };
  snapshots.hasMemory = (directory) => driver.host.saved.has(directory);
  const network = new FakeNetwork(options.network);
  const edges: Edges = {
    ...{ engines, disks, images, records, consoles, savedMemories, snapshots, network, clock, log },
    guest: options.guest ?? guest,
  };
  const defaults = { image: 'debian-12', engine: 'qemu', vcpuCount: 1, memoryMib: 512, diskMib: 1024 };
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
      imageAliases: options.imageAliases,
      capacity: { memoryMib },
      quotas: options.quotas,
      snapshotsPerMachine: options.snapshotsPerMachine,
      startsMax: 2,
      hostId: 'host',
      bootId: `boot-${boots}`,
      bootTimeoutMs: options.bootTimeoutMs,
      importTimeoutMs: options.importTimeoutMs,
      turnTimeouts: options.turnTimeouts,
      scriptEngine: options.scriptEngine ?? null,
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
  const sshKeys = new SshKeyService({ store, clock, log });
  sshKeys.follow(core.bus);
  return {
    ...core,
    store,
    driver,
    guest,
    disks,
    images,
    records,
    consoles,
    savedMemories,
    snapshotFiles: snapshots,
    apiKeys,
    sshKeys,
    hostNetwork: network,
    edges,
    restarted,
    takenNumbers: () =>
      database.db.selectFrom('allocations').select(['kind', 'value']).where('host_id', '=', 'host').execute(),
    async recovered(restart = {}) {
      const next = await restarted(restart);
      await next.network.restore();
      await (await next.supervisor.recover()).ended;
      await next.reconciler.run();
      return next;
    },
    async close() {
      for (const each of cores) await each.close();
      await driver.close();
      await apiKeys.close();
      await store.close();
    },
  };
}

/** The dependencies of the HTTP application, with one key. */
export function fakeDeps(fake: FakeFlotilla): HttpDeps {
  return {
    machines: fake.machines,
    environments: fake.environments,
    files: fake.files,
    commands: fake.commands,
    connections: fake.connections,
    network: fake.network,
    hosts: fake.hosts,
    operations: fake.operations,
    scripts: fake.scripts,
    templates: fake.templates,
    snapshots: fake.snapshots,
    routes: fake.routes,
    routeUrl: (subdomain) => `http://${subdomain}.flotilla.example`,
    images: fake.images,
    imageService: fake.imageService,
    disks: fake.disks,
    keys: adminKeyVerifier(testKey, fake.apiKeys),
    apiKeys: fake.apiKeys,
    sshKeys: fake.sshKeys,
    sshCertificates: new CertificateService({
      ...{ store: fake.store, clock: fake.edges.clock, log: silentLog, authority: fakeAuthority },
      gateway: () => ({ hostKey: fakeAuthority.publicKey, port: 2222 }),
    }),
    quotas: fake.quotas,
    log: silentLog,
    version: 'test',
    isHostName: null,
    corsOrigins: new Set(),
  };
}

export interface ServeOptions extends Partial<HttpDeps>, ListenOptions {
  /** Served instead of all dialects. */
  readonly dialects?: readonly Dialect[];
}

/** Serves the fake over HTTP. */
export async function serveFake(
  fake: FakeFlotilla,
  { dialects = allDialects, ...options }: ServeOptions = {},
): Promise<{ readonly url: string; readonly server: HttpServer }> {
  const app = createApp(dialects, { ...fakeDeps(fake), ...options });
  const { refusal: refuse } = pickDialect(dialects, '/');
  const server = await listen(app.fetch, { host: '127.0.0.1', port: 0 }, { refuse, ...options });
  return { url: `http://127.0.0.1:${server.port}`, server };
}
