/**
 * Launches QEMU from a spec and waits until it answers. On failure it leaves its files; the driver removes
 * them.
 */
import { AppError, wrapError } from '../../core/errors.ts';
import type { EngineCapabilities, EngineHandle, LaunchSpec } from '../../core/ports/engine.ts';
import { abortable, deadline, sleep } from '../../lib/abort.ts';
import { ensureDirectory } from '../../lib/files.ts';
import { inParallel } from '../../lib/in-parallel.ts';
import type { LimitedLogs } from '../../lib/limited-log.ts';
import { isAlive, readBootId } from '../../lib/procfs.ts';
import type { StateLayout } from '../../storage/layout.ts';
import { type Cgroups, type PreparedGroups, vmmLimits } from './cgroup.ts';
import {
  argumentsDigest,
  type CommandLineFacts,
  kernelArguments,
  ownKernelArguments,
  type QemuSpec,
  qemuArguments,
} from './command-line.ts';
import { type Confinement, confinedCommand, fileBytesMax } from './confine.ts';
import { lastWords } from './exit-facts.ts';
import { makeHandle } from './handle.ts';
import { readProcessor, readTscKhz } from './host-facts.ts';
import { machinePaths, type ShimHost } from './jail.ts';
import type { QemuHost } from './probe.ts';
import type { QmpClient } from './qmp.ts';
import { RunDirectory, type VmmRecord } from './run-directory.ts';
import {
  hardwareDigest,
  readManifest,
  requireLoadable,
  type SavedState,
  type StateNeeds,
} from './saved-state.ts';
import { loadState } from './saving.ts';
import { spawnShim } from './shim.ts';
import { type Spawned, spawnDetached } from './spawn.ts';
import type { Vmm } from './vmm.ts';

/** QEMU greets after 20 to 50 ms on an idle core; a busy host gets more time. */
const greetTimeoutMs = 15_000;
const greetPollMs = 5;
/** Slots start at 0; the limit keeps the derived user ids in a predictable range. */
const slotMax = 65_535;

/** A microVM has eight places for virtio devices; five are taken by others. */
const nicsMax = 2;
/** Unicast addresses, in lower case. */
const macPattern = /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/;

export interface LauncherOptions {
  readonly layout: StateLayout;
  readonly uidBase: number | null;
  readonly hasNesting: boolean;
  readonly cgroups: Cgroups;
  readonly watch: (directory: RunDirectory, spawned: Spawned) => Vmm;
  readonly logs: LimitedLogs;
}

interface JailedLaunch {
  readonly argv: readonly string[];
  readonly confinement: Confinement;
  readonly groups: PreparedGroups;
  readonly directory: RunDirectory;
  readonly spec: QemuSpec;
}

interface Started {
  readonly vmm: Vmm;
  readonly record: VmmRecord;
  readonly groups: PreparedGroups;
  /** What it waits for; null: it boots. */
  readonly saved: SavedState | null;
}

/** The guest may not run; `cause` says why. */
class NotAllowed extends Error {}

async function allowed(mayRun: Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    await abortable(mayRun, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new NotAllowed('the guest may not run', { cause: error });
  }
}

/** Translates a system error for callers. */
function launchError(error: unknown, log: string): AppError {
  const words = lastWords(log);
  const code = (error as NodeJS.ErrnoException).code;
  const isFull =
    code === 'ENOSPC' ||
    code === 'EDQUOT' ||
    code === 'EAGAIN' ||
    /No space left on device|Cannot allocate memory|cannot set up guest memory/.test(words ?? '');
  const wrapped = wrapError(error, 'launch QEMU', isFull ? 'exhausted' : 'engine');
  if (words === null) return wrapped;
  return new AppError(isFull ? 'exhausted' : wrapped.code, `${wrapped.message}: ${words}`, { cause: error });
}

export class Launcher {
  readonly #options: LauncherOptions;

  constructor(options: LauncherOptions) {
    this.#options = options;
  }

  /** Raises `engine`, `unsupported`, `exhausted`, `timeout`, and the signal's reason. */
  async launch(
    spec: QemuSpec,
    host: QemuHost,
    mayRun: Promise<void>,
    signal: AbortSignal,
  ): Promise<EngineHandle> {
    const log = this.#options.logs.of(spec.incarnation);
    const directory = new RunDirectory(this.#options.layout, spec.incarnation, log);
    try {
      const { vmm, record, groups, saved } = await this.#start(spec, host, directory, mayRun, signal);
      const qmp = await this.#greeted(vmm, signal);
      const restoredFrom = saved?.incarnation ?? null;
      if (saved && spec.source.kind === 'restore') {
        const socket = directory.stateSocket;
        await loadState(qmp, { directory: spec.source.directory, socket, saved }, signal);
        await directory.writeRecord({ ...record, restoredFrom });
      }
      await this.#checkLimits(spec.incarnation, groups, vmm);
      return makeHandle(directory, vmm.identity, { kernelArgs: record.kernelArgs, restoredFrom });
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof NotAllowed) throw error.cause;
      throw launchError(error, await directory.logTail());
    }
  }

  /** Starts QEMU, which may have ended when this resolves. */
  async #start(
    spec: QemuSpec,
    host: QemuHost,
    directory: RunDirectory,
    mayRun: Promise<void>,
    signal: AbortSignal,
  ): Promise<Started> {
    const { layout, uidBase, cgroups, hasNesting } = this.#options;
    const uid = uidBase === null ? null : uidBase + spec.slot;
    // The VMMs' users must pass through to their own directories.
    await ensureDirectory(layout.run, 0o711);
    const [groups] = await inParallel([
      cgroups.prepare(spec.incarnation, vmmLimits(spec)),
      directory.create(spec.hostId, uid, host.jail !== null),
    ]);
    const saved = spec.source.kind === 'restore' ? await readManifest(spec.source.directory) : null;
    const facts = {
      ...this.#kernelFacts(host, hasAcpi(spec.source, saved)),
      hasNesting,
      qmpSocket: directory.qmpSocket,
      agentSocket: directory.agentSocket,
      consoleFile: directory.consoleFile,
    };
    const args = qemuArguments(spec, facts);
    const needs = stateNeeds(spec, facts, host);
    if (saved) requireLoadable(saved, needs);
    const kernelArgs =
      spec.source.kind === 'kernel' ? kernelArguments(spec.source, facts) : (saved?.kernelArgs ?? null);
    signal.throwIfAborted();
    const confinement = { ...host, uid, fileBytesMax: fileBytesMax(spec.diskMib) };
    const argv = [host.qemu, ...args];
    if (host.jail === null && spec.nics.some(({ kind }) => kind === 'tap')) throw needsShim();
    // Without a shim, QEMU runs as soon as it is spawned.
    if (host.jail === null) await allowed(mayRun, signal);
    const spawned = host.jail
      ? await this.#spawnJailed(host.jail, { argv, confinement, groups, directory, spec }, signal)
      : await this.#spawnOpen(argv, confinement, groups, directory);
    const record: VmmRecord = {
      ...spawned.identity,
      bootId: readBootId(),
      incarnation: spec.incarnation,
      hostId: spec.hostId,
      machineId: spec.machineId,
      argumentsDigest: argumentsDigest(args),
      kernelArgs,
      hasAcpi: facts.hasAcpi,
      memoryMib: spec.memoryMib,
      restoredFrom: null,
      ...needs,
    };
    try {
      await directory.writeRecord(record);
      await allowed(mayRun, signal);
    } catch (error) {
      spawned.abandon();
      throw error;
    }
    spawned.release();
    const vmm = this.#options.watch(directory, spawned);
    return { vmm, groups, record, saved };
  }

  async #checkLimits(incarnation: string, groups: PreparedGroups, { identity }: Vmm): Promise<void> {
    const notes = [
      ...groups.notes,
      ...(await this.#options.cgroups.check(incarnation, groups, identity.pid)),
    ];
    if (notes.length > 0) this.#options.logs.of(incarnation).warn({ incarnation, notes }, 'limits not set');
  }

  /** With the launch shim: limits, namespaces and rights are in force before QEMU's first instruction. */
  async #spawnJailed(
    jail: ShimHost,
    { argv, confinement, groups, directory, spec }: JailedLaunch,
    signal: AbortSignal,
  ): Promise<Spawned> {
    const root = this.#options.layout.jailRoot;
    await ensureDirectory(root, 0o700);
    const request = {
      argv,
      confinement,
      cgroupFiles: groups.files,
      cwd: directory.path,
      statusFile: directory.statusFile,
      diesWithShim: false,
      root,
      taps: spec.nics.flatMap((nic) => (nic.kind === 'tap' ? [{ name: nic.tap, netns: nic.netns }] : [])),
      ...machinePaths(spec, directory.path),
    };
    return await spawnShim(jail, request, directory.logFile, signal);
  }

  /**
   * Without it: rights are in force at once, limits a moment later, and QEMU sees the host's files and
   * network.
   */
  async #spawnOpen(
    argv: readonly string[],
    confinement: Confinement,
    groups: PreparedGroups,
    directory: RunDirectory,
  ): Promise<Spawned> {
    const [command, ...rest] = confinedCommand(argv, confinement);
    const spawned = await spawnDetached(command, rest, { cwd: directory.path, logFile: directory.logFile });
    await this.#options.cgroups.enter(groups, spawned.identity.pid);
    return spawned;
  }

  /** Retries until QEMU has made its socket and answers, has exited, it is too late, or the signal aborts. */
  async #greeted(vmm: Vmm, signal: AbortSignal): Promise<QmpClient> {
    const late = () => new AppError('timeout', 'QEMU did not answer in time');
    const limit = deadline(greetTimeoutMs, late, signal);
    try {
      for (;;) {
        try {
          return await abortable(vmm.connect(), limit.signal);
        } catch (error) {
          limit.signal.throwIfAborted();
          if (!isAlive(vmm.identity)) throw new AppError('engine', 'QEMU ended at once', { cause: error });
        }
        await sleep(greetPollMs, limit.signal);
      }
    } finally {
      limit.clear();
    }
  }

  /** What kernels are given on this host beside what their image asks for; null where none can be started. */
  ownKernelArguments(host: QemuHost, needsAcpi: boolean): string | null {
    if (host.accelerator !== 'kvm' && readTscKhz() === null) return null;
    return ownKernelArguments(this.#kernelFacts(host, needsAcpi));
  }

  #kernelFacts(host: QemuHost, hasAcpi: boolean) {
    return { accelerator: host.accelerator, tscKhz: this.#tscKhz(host), hasAcpi };
  }

  #tscKhz(host: QemuHost): number {
    if (host.accelerator === 'kvm') return 0;
    const khz = readTscKhz();
    if (khz === null)
      throw new AppError('unsupported', 'this host does not report the frequency of its time stamp counter');
    return khz;
  }
}

/** A guest keeps the tables that it was booted with: its kernel and its saved devices know no others. */
function hasAcpi(source: QemuSpec['source'], saved: SavedState | null): boolean {
  if (source.kind === 'kernel') return source.needsAcpi ?? true;
  return saved?.hasAcpi ?? true;
}

/** What a state saved from this launch, or loaded by it, depends on. */
function stateNeeds(spec: QemuSpec, facts: CommandLineFacts, host: QemuHost): StateNeeds {
  return {
    qemuVersion: host.version,
    processor: host.accelerator === 'kvm' ? readProcessor() : null,
    hardware: hardwareDigest(spec, facts),
  };
}

function needsShim(): AppError {
  return new AppError('unsupported', 'a tap device needs the launch shim, which cannot run on this host', {
    hint: 'Run flotilla doctor to see why.',
  });
}

/** Raises `unsupported` for what this engine does not support. Pure. */
export function checkSpec(spec: LaunchSpec, capabilities: EngineCapabilities): QemuSpec {
  const { vcpuCountMax, memoryMibMin, memoryMibMax, diskFormats } = capabilities;
  const { source } = spec;
  if (source.kind === 'container')
    throw new AppError('unsupported', `QEMU here cannot launch from '${source.kind}'`);
  if (spec.nics.length > nicsMax)
    throw new AppError('unsupported', `QEMU here takes at most ${nicsMax} network interfaces`);
  const badMac = spec.nics.find(({ mac }) => !macPattern.test(mac));
  if (badMac)
    throw new AppError('unsupported', `QEMU here takes no interface with the address '${badMac.mac}'`);
  const odd = spec.disks.find(({ format }) => !diskFormats.includes(format));
  if (odd) throw new AppError('unsupported', `QEMU here takes no ${odd.format} disks`);
  const isWithin = (value: number, min: number, max: number) =>
    Number.isInteger(value) && value >= min && value <= max;
  const isFit =
    isWithin(spec.vcpuCount, 1, vcpuCountMax) &&
    isWithin(spec.memoryMib, memoryMibMin, memoryMibMax) &&
    isWithin(spec.slot, 0, slotMax);
  if (isFit) return { ...spec, source };
  throw new AppError(
    'unsupported',
    `QEMU here takes 1 to ${vcpuCountMax} vCPUs and ${memoryMibMin} to ${memoryMibMax} MiB of memory`,
    { details: { vcpuCount: spec.vcpuCount, memoryMib: spec.memoryMib, slot: spec.slot } },
  );
}
