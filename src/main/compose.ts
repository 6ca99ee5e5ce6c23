/** Composes edges and core; used by `serve` and by tests. The only place that names drivers. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { type Core, createCore } from '../core/core.ts';
import { adoptState } from '../core/hosts/adopt.ts';
import { keepForeignSlots } from '../core/hosts/foreign-slots.ts';
import { Recorder } from '../core/hosts/recorder.ts';
import { KeyService } from '../core/keys/service.ts';
import type { Edges } from '../core/machines/steps/context.ts';
import type { RunnerHooks } from '../core/operations/runner.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { EngineDriver } from '../core/ports/engine.ts';
import type { Network } from '../core/ports/network.ts';
import type { Store } from '../core/ports/store.ts';
import { SshKeyService } from '../core/ssh/service.ts';
import { QemuDriver } from '../engines/qemu/driver.ts';
import { GuestClient } from '../guest/client.ts';
import { dialUnixConnect } from '../guest/transports/unix-connect.ts';
import { dialVirtioSerial } from '../guest/transports/virtio-serial.ts';
import { writeFileAtomic } from '../lib/files.ts';
import type { Logger } from '../lib/log.ts';
import { readBootId } from '../lib/procfs.ts';
import { chooseNetwork } from '../network/choose.ts';
import { RhaiEngine } from '../scripts/rhai-engine.ts';
import { makeTreeKit } from '../setup/kit/tree-kit.ts';
import { KeptConsoleFiles } from '../storage/disks/kept-consoles.ts';
import { QcowDisks } from '../storage/disks/qcow-disks.ts';
import { RecordFiles } from '../storage/disks/records.ts';
import { SavedMemoryFiles } from '../storage/disks/saved-memory.ts';
import { bringInLaunchShim } from '../storage/go-programs.ts';
import { ImageStore } from '../storage/images/store.ts';
import { toolEnvironment } from '../storage/images/tools.ts';
import { CacheLayout, StateLayout } from '../storage/layout.ts';
import { StoredSnapshots } from '../storage/snapshots/files.ts';
import { parseMachine } from '../store/machine-row.ts';
import { systemClock } from './clock.ts';
import type { Config } from './config.ts';
import { enterState } from './entrance.ts';
import { noteHostEpoch } from './host-id.ts';
import { makeStateDirectory } from './state-directory.ts';

/** Defaults for omitted fields, besides sizes. */
const defaults = { image: 'debian-12', engine: 'qemu' };

/** Making a bridge takes a tenth of a second. */
const networkTimeoutMs = 60_000;

const mib = 1024 * 1024;
/** Memory reserved for the daemon and the host. */
const hostMemoryMib = 512;

export interface Flotilla extends Core {
  readonly layout: StateLayout;
  readonly store: Store;
  readonly edges: Edges;
  readonly images: ImageStore;
  readonly apiKeys: KeyService;
  readonly sshKeys: SshKeyService;
}

export interface ComposeOptions {
  /** For tests only; see RunnerHooks. */
  readonly hooks?: RunnerHooks;
  readonly clock?: Clock;
  /** Adopts the machines of the state directory into a database that knows none; see core/hosts/adopt.ts. */
  readonly isAdopting?: boolean;
  /** Replaces the engines of this host; for tests. */
  readonly engines?: ReadonlyMap<string, EngineDriver>;
  /** Replaces the network of this host; for tests. */
  readonly network?: Network;
}

/** If it raises, everything that it opened is closed. */
export async function compose(config: Config, log: Logger, options: ComposeOptions = {}): Promise<Flotilla> {
  const opened = new AsyncDisposableStack();
  try {
    return await composeOn(opened, config, log, options);
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

/** Resources to close are added to `opened`; the last added is closed first. */
async function composeOn(
  opened: AsyncDisposableStack,
  config: Config,
  log: Logger,
  options: ComposeOptions,
): Promise<Flotilla> {
  const layout = new StateLayout(config.stateDir);
  await makeStateDirectory(layout, config.uidBase);
  const records = new RecordFiles(layout);
  const { isAdopting = false } = options;
  const { store, hostId, isToAdopt, before } = await enterState(config, layout, records, log, isAdopting);
  opened.defer(() => store.close());
  const { edges, images } = await makeEdges(opened, config, records, log, options);
  const apiKeys = new KeyService({ store, clock: edges.clock, log });
  opened.defer(() => apiKeys.close());
  if (isToAdopt) {
    const claim = { hostId, ...before, at: edges.clock.now().toISOString() };
    await adoptState({
      store,
      records,
      parse: parseMachine,
      engines: edges.engines,
      savedMemories: edges.savedMemories,
      claim,
      log,
      network: edges.network.facts,
    });
  }
  const scriptEngine = new RhaiEngine();
  opened.defer(() => scriptEngine.close());
  const core = await createCore({
    store,
    edges,
    images,
    scriptEngine,
    defaults: { ...defaults, ...config.sizes },
    imageAliases: config.imageAliases,
    capacity: { memoryMib: Math.floor((totalmem() / mib - hostMemoryMib) * config.memoryOvercommit) },
    startsMax: availableParallelism(),
    hostId,
    bootId: readBootId(),
    ...before,
    processorCount: availableParallelism(),
    portRange: config.portRange,
    sshPortRange: config.sshPortRange,
    lifetimeSecondsMax: config.environmentLifetimeSecondsMax,
    quotas: config.quotas,
    snapshotsPerMachine: config.snapshotsPerMachine,
    quarantineDays: config.quarantineDays,
    hooks: options.hooks,
  });
  opened.defer(() => core.close());
  const recorder = new Recorder({ store, bus: core.bus, records, hostId, log });
  // Before the bus that notifies it.
  opened.defer(() => recorder.close());
  opened.defer(() => core.interrupt());
  opened.defer(await noteHostEpoch(layout, core.owner.epoch, edges));
  await keepForeignSlots({ store, records, hostId, log, now: edges.clock.now() });
  await recorder.recordAll();
  apiKeys.follow(core.bus);
  const sshKeys = new SshKeyService({ store, clock: edges.clock, log });
  sshKeys.follow(core.bus);
  return { ...core, layout, store, edges, images, apiKeys, sshKeys, close: () => opened.disposeAsync() };
}

interface OpenEdges {
  readonly edges: Edges;
  readonly images: ImageStore;
}

async function makeEdges(
  opened: AsyncDisposableStack,
  config: Config,
  records: RecordFiles,
  log: Logger,
  options: ComposeOptions,
): Promise<OpenEdges> {
  const layout = new StateLayout(config.stateDir);
  const cache = new CacheLayout(config.cacheDir);
  const images = new ImageStore({
    state: layout,
    cache,
    log,
    makeBootKit: (tree, target, signal) => makeTreeKit({ cache, env: toolEnvironment, signal }, tree, target),
  });
  const { uidBase } = config;
  const shim = options.engines ? null : await bringInLaunchShim(cache, layout);
  const engines =
    options.engines ??
    new Map([['qemu', new QemuDriver({ layout, uidBase, log, shim, probeParent: layout.root })]]);
  opened.defer(async () => {
    for (const engine of engines.values()) await engine.close();
  });
  const guest = new GuestClient({
    secret: await loadLinkKey(layout.linkKeyFile),
    transports: { 'virtio-serial': dialVirtioSerial, unix: dialUnixConnect },
    log,
  });
  opened.defer(() => guest.close());
  const disks = new QcowDisks({ layout, uidBase });
  const clock = options.clock ?? systemClock(log);
  const consoles = new KeptConsoleFiles(layout);
  const savedMemories = new SavedMemoryFiles(layout);
  const network =
    options.network ??
    (await chooseNetwork(
      config.network,
      { owner: config.stateDir, uidBase, log },
      AbortSignal.timeout(networkTimeoutMs),
    ));
  opened.defer(() => network.close());
  const snapshots = new StoredSnapshots(layout);
  const stored = { disks, images, records, consoles, savedMemories, snapshots };
  return { edges: { engines, guest, ...stored, network, clock, log }, images };
}

/** The secret from which each incarnation's link token is derived. */
async function loadLinkKey(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const secret = randomBytes(32);
  await writeFileAtomic(path, secret, 0o600);
  return secret;
}
