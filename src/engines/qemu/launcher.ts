/**
 * Launches QEMU from a spec and waits until it answers. On failure it leaves its files; the driver removes
 * them.
 */
import { AppError, wrapError } from '../../core/errors.ts';
import type { EngineCapabilities, EngineHandle, LaunchSpec } from '../../core/ports/engine.ts';
import { abortable, deadline, sleep } from '../../lib/abort.ts';
import { ensureDirectory } from '../../lib/files.ts';
import type { LimitedLogs } from '../../lib/limited-log.ts';
import { isAlive, readBootId } from '../../lib/procfs.ts';
import type { StateLayout } from '../../storage/layout.ts';
import { type Cgroups, type PreparedGroups, vmmLimits } from './cgroup.ts';
import {
  argumentsDigest,
  type KernelSpec,
  kernelArguments,
  ownKernelArguments,
  qemuArguments,
} from './command-line.ts';
import { type Confinement, confinedCommand, fileBytesMax } from './confine.ts';
import { lastWords } from './exit-facts.ts';
import { makeHandle } from './handle.ts';
import { readTscKhz } from './host-facts.ts';
import { machinePaths, type ShimHost } from './jail.ts';
import type { QemuHost } from './probe.ts';
import type { QmpClient } from './qmp.ts';
import { RunDirectory } from './run-directory.ts';
import { spawnShim } from './shim.ts';
import { type Spawned, spawnDetached } from './spawn.ts';
import type { Vmm } from './vmm.ts';

/** QEMU greets after 20 to 50 ms on an idle core; a busy host gets more time. */
const greetTimeoutMs = 15_000;
const greetPollMs = 5;
/** Slots start at 0; the limit keeps the derived user ids in a predictable range. */
const slotMax = 65_535;

export interface LauncherOptions {
  readonly layout: StateLayout;
  readonly uidBase: number | null;
  readonly hasAcpi: boolean;
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
  readonly spec: KernelSpec;
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
  async launch(spec: KernelSpec, host: QemuHost, signal: AbortSignal): Promise<EngineHandle> {
    const log = this.#options.logs.of(spec.incarnation);
    const directory = new RunDirectory(this.#options.layout, spec.incarnation, log);
    const limit = deadline(
      greetTimeoutMs,
      () => new AppError('timeout', 'QEMU did not answer in time'),
      signal,
    );
    try {
      return await this.#launch(spec, host, directory, limit.signal);
    } catch (error) {
      signal.throwIfAborted();
      throw launchError(error, await directory.logTail());
    } finally {
      limit.clear();
    }
  }

  async #launch(
    spec: KernelSpec,
    host: QemuHost,
    directory: RunDirectory,
    signal: AbortSignal,
  ): Promise<EngineHandle> {
    const { layout, uidBase, cgroups, hasNesting } = this.#options;
    const uid = uidBase === null ? null : uidBase + spec.slot;
    // The VMMs' users must pass through to their own directories.
    await ensureDirectory(layout.run, 0o711);
    await directory.create(spec.hostId, uid, host.jail !== null);

    const facts = {
      ...this.#kernelFacts(host),
      hasNesting,
      qmpSocket: directory.qmpSocket,
      agentSocket: directory.agentSocket,
      consoleFile: directory.consoleFile,
    };
    const args = qemuArguments(spec, facts);
    const kernelArgs = kernelArguments(spec.source, facts);
    const groups = await cgroups.prepare(spec.incarnation, vmmLimits(spec));
    signal.throwIfAborted();
    const confinement = { ...host, uid, fileBytesMax: fileBytesMax(spec.diskMib) };
    const argv = [host.qemu, ...args];
    const spawned = host.jail
      ? await this.#spawnJailed(host.jail, { argv, confinement, groups, directory, spec }, signal)
      : await this.#spawnOpen(argv, confinement, groups, directory);
    const { identity } = spawned;
    await directory
      .writeRecord({
        ...identity,
        bootId: readBootId(),
        incarnation: spec.incarnation,
        hostId: spec.hostId,
        machineId: spec.machineId,
        argumentsDigest: argumentsDigest(args),
        kernelArgs,
        qemuVersion: host.version,
      })
      .catch((error) => {
        spawned.abandon();
        throw error;
      });
    spawned.release();
    const vmm = this.#options.watch(directory, spawned);
    await this.#greeted(vmm, signal);
    const notes = [...groups.notes, ...(await cgroups.check(spec.incarnation, groups, identity.pid))];
    const { incarnation } = spec;
    if (notes.length > 0) this.#options.logs.of(incarnation).warn({ incarnation, notes }, 'limits not set');
    return makeHandle(directory, identity, kernelArgs);
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

  /** Retries until QEMU has made its socket and answers, has exited, or the signal aborts. */
  async #greeted(vmm: Vmm, signal: AbortSignal): Promise<QmpClient> {
    for (;;) {
      try {
        return await abortable(vmm.connect(), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!isAlive(vmm.identity)) throw new AppError('engine', 'QEMU ended at once', { cause: error });
      }
      await sleep(greetPollMs, signal);
    }
  }

  /** What kernels are given on this host beside what their image asks for; null where none can be started. */
  ownKernelArguments(host: QemuHost): string | null {
    if (host.accelerator !== 'kvm' && readTscKhz() === null) return null;
    return ownKernelArguments(this.#kernelFacts(host));
  }

  #kernelFacts(host: QemuHost) {
    return {
      accelerator: host.accelerator,
      tscKhz: this.#tscKhz(host),
      hasAcpi: this.#options.hasAcpi,
    };
  }

  #tscKhz(host: QemuHost): number {
    if (host.accelerator === 'kvm') return 0;
    const khz = readTscKhz();
    if (khz === null)
      throw new AppError('unsupported', 'this host does not report the frequency of its time stamp counter');
    return khz;
  }
}

/** Raises `unsupported` for what this engine does not support. Pure. */
export function checkSpec(spec: LaunchSpec, capabilities: EngineCapabilities): KernelSpec {
  const { vcpuCountMax, memoryMibMin, memoryMibMax, diskFormats } = capabilities;
  const { source } = spec;
  if (source.kind !== 'kernel')
    throw new AppError('unsupported', `QEMU here cannot launch from '${source.kind}'`);
  if (spec.nics.length > 0) throw new AppError('unsupported', 'QEMU here takes no network interfaces');
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
