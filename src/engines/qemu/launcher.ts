/** From a spec to a QEMU that answers. Leaves what it made when it fails; the driver removes it. */
import { AppError, wrapError } from '../../core/errors.ts';
import type { EngineCapabilities, EngineHandle, LaunchSpec } from '../../core/ports/engine.ts';
import { abortable, deadline, sleep } from '../../lib/abort.ts';
import { ensureDirectory } from '../../lib/files.ts';
import type { LimitedLogs } from '../../lib/limited-log.ts';
import { isAlive, readBootId } from '../../lib/procfs.ts';
import type { StateLayout } from '../../storage/layout.ts';
import { type Cgroups, vmmLimits } from './cgroup.ts';
import { argumentsDigest, type KernelSpec, qemuArguments } from './command-line.ts';
import { confinedCommand, fileBytesMax } from './confine.ts';
import { lastWords } from './exit-facts.ts';
import { makeHandle } from './handle.ts';
import { readTscKhz } from './host-facts.ts';
import type { QemuHost } from './probe.ts';
import type { QmpClient } from './qmp.ts';
import { RunDirectory } from './run-directory.ts';
import { type Spawned, spawnDetached } from './spawn.ts';
import type { Vmm } from './vmm.ts';

/** QEMU greets after 20 to 50 ms on a free core; a crowded host is given time. */
const greetTimeoutMs = 15_000;
const greetPollMs = 5;
/** Slots are handed out from 0; the limit keeps derived user ids in a range the operator can know. */
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

/** A system error in a caller's terms. */
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
    const { layout, uidBase, cgroups, hasAcpi, hasNesting } = this.#options;
    const uid = uidBase === null ? null : uidBase + spec.slot;
    // The VMMs' users pass through to their own directories.
    await ensureDirectory(layout.run, 0o711);
    await directory.create(uid);

    const args = qemuArguments(spec, {
      accelerator: host.accelerator,
      tscKhz: this.#tscKhz(host),
      hasAcpi,
      hasNesting,
      qmpSocket: directory.qmpSocket,
      agentSocket: directory.agentSocket,
      consoleFile: directory.consoleFile,
    });
    const [command, ...rest] = confinedCommand([host.qemu, ...args], {
      ...host,
      uid,
      fileBytesMax: fileBytesMax(spec.diskMib),
    });
    signal.throwIfAborted();
    const spawned = await spawnDetached(command, rest, { cwd: directory.path, logFile: directory.logFile });
    const { identity } = spawned;
    const vmm = this.#options.watch(directory, spawned);

    const notes = await cgroups.apply(spec.incarnation, identity.pid, vmmLimits(spec));
    const { incarnation } = spec;
    if (notes.length > 0) this.#options.logs.of(incarnation).warn({ incarnation, notes }, 'limits not set');
    const qmp = await this.#greeted(vmm, signal);
    await directory.writeRecord({
      ...identity,
      bootId: readBootId(),
      incarnation: spec.incarnation,
      machineId: spec.machineId,
      argumentsDigest: argumentsDigest(args),
      qemuVersion: await qmp.version,
    });
    return makeHandle(directory, identity);
  }

  /** Tries until QEMU has made its socket and answers, or has ended, or the signal aborts. */
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

  #tscKhz(host: QemuHost): number {
    if (host.accelerator === 'kvm') return 0;
    const khz = readTscKhz();
    if (khz === null)
      throw new AppError('unsupported', 'this host does not tell the frequency of its time stamp counter');
    return khz;
  }
}

/** Raises `unsupported` for what this engine does not take. Pure. */
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
