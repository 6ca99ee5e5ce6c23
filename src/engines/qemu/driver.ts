/**
 * The QEMU engine: one detached, unprivileged QEMU process per incarnation, controlled over QMP. Knows
 * processes and files of this host; knows nothing about machine states, the guest link's content, or the
 * origin of disks.
 *
 * Everything that belongs to an incarnation is named after it (run directory, process name, cgroup), so that
 * `find` and `destroy` also work on what a crashed daemon has left.
 */
import { AppError } from '../../core/errors.ts';
import type {
  Captured,
  CaptureRequest,
  ConsolePiece,
  EngineConsole,
  EngineDriver,
  EngineHandle,
  EngineMeter,
  EnginePause,
  EngineProbe,
  EngineSnapshots,
  EngineStatus,
  ExitFacts,
  FoundIncarnation,
  LaunchSpec,
} from '../../core/ports/engine.ts';
import { abortable } from '../../lib/abort.ts';
import { KeyedLock } from '../../lib/keyed-lock.ts';
import { LimitedLogs } from '../../lib/limited-log.ts';
import { type Logger, silentLog } from '../../lib/log.ts';
import { isAlive, type ProcessIdentity, readBootId } from '../../lib/procfs.ts';
import type { StateLayout } from '../../storage/layout.ts';
import { Cgroups } from './cgroup.ts';
import { Consoles } from './consoles.ts';
import { diedFacts } from './exit-facts.ts';
import { identityOf, makeHandle, qemuKind } from './handle.ts';
import { qemuCapabilities } from './host-facts.ts';
import { checkSpec, Launcher } from './launcher.ts';
import {
  isJailNote,
  type ProbeOptions,
  probeQemu,
  type QemuHost,
  type QemuProbe,
  removeStaleProbes,
  setupHint,
} from './probe.ts';
import { findVmms, isVmmOf, killProcess, waitGone } from './processes.ts';
import { listRunDirectories, RunDirectory } from './run-directory.ts';
import type { SaveRequest } from './saving.ts';
import type { Spawned } from './spawn.ts';
import { consoleLimits, logLimits, trimFile } from './tail-file.ts';
import { Vmm } from './vmm.ts';

/** Interval for checking VMM processes and console sizes. QMP reports exits at once; this is the fallback. */
const tickMs = 1000;
const killTimeoutMs = 10_000;

export interface QemuDriverOptions {
  readonly layout: StateLayout;
  /** The VMM of slot n runs as user and group uidBase + n. Null: as the daemon's own user. */
  readonly uidBase: number | null;
  readonly log?: Logger;
  /** A name to find in the system's directories, or an absolute path. */
  readonly binary?: string;
  readonly kvmDevice?: string;
  /**
   * A directory of the daemon's own for probing the engine; remains of a killed daemon's probe are removed.
   */
  readonly probeParent?: string;
  /** The launch shim's path. Null or absent: VMMs are only restricted by user and capabilities. */
  readonly shim?: string | null;
  /** Whether guests may use nested virtualisation. Default: no. */
  readonly hasNesting?: boolean;
}

export class QemuDriver implements EngineDriver {
  readonly kind = qemuKind;
  readonly capabilities = qemuCapabilities();
  readonly console: EngineConsole = {
    read: (incarnation, bytesMax, signal) =>
      abortable(this.#consoles.read(this.#directory(incarnation), withinConsole(bytesMax)), signal),
    follow: (incarnation, bytesMax, signal) => this.#followConsole(incarnation, bytesMax, signal),
  };
  readonly pause: EnginePause = {
    pause: async (handle, signal) => await this.#living(handle).command('stop', signal),
    resume: async (handle, signal) => await this.#living(handle).command('cont', signal),
  };
  readonly snapshots: EngineSnapshots = {
    save: async (handle, directory, signal) => {
      signal.throwIfAborted();
      const vmm = this.#living(handle);
      await vmm.save(await this.#saveRequest(handle, directory), signal);
    },
    capture: (handle, request, signal) => this.#capture(handle, request, signal),
    abandonCapture: async (handle, isRunning, signal) => {
      signal.throwIfAborted();
      await this.#vmmOf(handle)?.abandonCapture(isRunning, signal);
      await this.#directory(handle.incarnation).removeDiskTargets();
    },
  };
  readonly meter: EngineMeter = {
    measure: async (handle, signal) => {
      signal.throwIfAborted();
      return await this.#living(handle).usage(signal);
    },
  };
  readonly #layout: StateLayout;
  readonly #logs: LimitedLogs;
  readonly #probeOptions: Omit<ProbeOptions, 'notes'>;
  readonly #launcher: Launcher;
  readonly #cgroups = new Cgroups();
  readonly #lock = new KeyedLock();
  readonly #vmms = new Map<string, Vmm>();
  readonly #consoles = new Consoles({
    onTrouble: (incarnation, error) => this.#trouble(incarnation, 'times of a console not kept', error),
  });
  readonly #closing = new AbortController();
  #probe: Promise<QemuProbe> | null = null;
  #warnings: readonly string[] = [];
  #found: QemuHost | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isTrimming = false;

  constructor(options: QemuDriverOptions) {
    this.#layout = options.layout;
    this.#logs = new LimitedLogs(options.log ?? silentLog);
    this.#probeOptions = {
      binary: options.binary ?? 'qemu-system-x86_64',
      uid: options.uidBase,
      kvmDevice: options.kvmDevice ?? '/dev/kvm',
      shim: options.shim ?? null,
      ...(options.probeParent === undefined ? {} : { parent: options.probeParent }),
    };
    this.#launcher = new Launcher({
      layout: options.layout,
      uidBase: options.uidBase,
      hasNesting: options.hasNesting ?? false,
      cgroups: this.#cgroups,
      watch: (directory, spawned) => this.#watch(directory, spawned.identity, spawned),
      logs: this.#logs,
    });
  }

  kernelArgs(needsAcpi: boolean): string | null {
    return this.#found && this.#launcher.ownKernelArguments(this.#found, needsAcpi);
  }

  get warnings(): readonly string[] {
    return this.#warnings;
  }

  async probe(signal: AbortSignal = new AbortController().signal): Promise<EngineProbe> {
    try {
      return (await this.#probed(signal)).probe;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return { isAvailable: false, accelerator: null, version: null, missing: [`probe: ${why}`], notes: [] };
    }
  }

  async launch(
    spec: LaunchSpec,
    signal: AbortSignal,
    mayRun: Promise<void> = Promise.resolve(),
  ): Promise<EngineHandle> {
    const checked = checkSpec(spec, this.capabilities);
    return await this.#lock.run(spec.incarnation, async () => {
      signal.throwIfAborted();
      // The directory is made before the process, so without it there is nothing to find.
      const isKnown = await this.#directory(spec.incarnation).exists();
      const found = isKnown ? await this.#find(spec.incarnation) : null;
      // A daemon that ended while it loaded the memory has left a VMM that cannot run its guest.
      const isRestore = spec.source.kind === 'restore';
      if (found !== null && (!isRestore || found.restoredFrom)) return found;
      const host = await this.#host(signal);
      // Remains of an incomplete launch.
      if (isKnown) await this.#destroy(spec.incarnation);
      try {
        return await this.#launcher.launch(checked, host, mayRun, signal);
      } catch (error) {
        await this.#destroy(spec.incarnation);
        throw error;
      }
    });
  }

  /** Raises `unsupported` for a guest that an earlier version has launched. */
  async #saveRequest({ incarnation }: EngineHandle, directory: string): Promise<SaveRequest> {
    const run = this.#directory(incarnation);
    const record = await run.readRecord();
    const { qemuVersion, hardware, processor, memoryMib, kernelArgs, hasAcpi } = record ?? {};
    if (!qemuVersion || !hardware || !memoryMib)
      throw new AppError(
        'unsupported',
        'the machine was started by an earlier version, which cannot save its memory',
        {
          hint: 'Restart the machine, and try again.',
        },
      );
    const facts = {
      incarnation,
      qemuVersion,
      hardware,
      processor: processor ?? null,
      hasAcpi: hasAcpi ?? true,
      kernelArgs: kernelArgs ?? null,
    };
    return { directory, socket: run.stateSocket, memoryMib, facts };
  }

  async #capture(
    handle: EngineHandle,
    { memoryDirectory, disk }: CaptureRequest,
    signal: AbortSignal,
  ): Promise<Captured> {
    signal.throwIfAborted();
    const vmm = this.#living(handle);
    const run = this.#directory(handle.incarnation);
    const memory = memoryDirectory === null ? null : await this.#saveRequest(handle, memoryDirectory);
    await run.removeDiskTargets();
    const diskTarget = await run.addDiskTarget(disk, signal);
    try {
      const pausedMs = await vmm.capture({ memory, diskTarget }, signal);
      await run.takeDiskTarget(diskTarget, disk, signal);
      return { pausedMs };
    } finally {
      await run.removeDiskTargets();
    }
  }

  async find(incarnation: string, signal: AbortSignal): Promise<EngineHandle | null> {
    return await whileWanted(signal, () => this.#find(incarnation));
  }

  async #find(incarnation: string): Promise<EngineHandle | null> {
    const directory = this.#directory(incarnation);
    const recorded = await this.#recordedProcess(directory);
    const identity = recorded ?? (await findVmms(this.#layout, incarnation))[0];
    if (identity === undefined) return null;
    this.#watch(directory, identity);
    const record = await directory.readRecord();
    const { kernelArgs = null, restoredFrom = null } = record ?? {};
    return makeHandle(directory, identity, { kernelArgs, restoredFrom });
  }

  async inspect(handle: EngineHandle, signal: AbortSignal): Promise<EngineStatus> {
    return await whileWanted(signal, () => this.#inspect(handle));
  }

  async #inspect(handle: EngineHandle): Promise<EngineStatus> {
    const vmm = this.#vmmOf(handle);
    if (vmm !== null) return await vmm.status();
    const directory = this.#directory(handle.incarnation);
    if (!(await directory.exists())) return { state: 'absent' };
    return { state: 'exited', facts: await this.#pastFacts(directory) };
  }

  async stop(handle: EngineHandle, signal: AbortSignal): Promise<void> {
    await whileWanted(signal, async () => {
      const vmm = this.#vmmOf(handle);
      if (vmm === null) await this.#release(this.#directory(handle.incarnation));
      else await vmm.stop();
    });
  }

  async destroy(incarnation: string, signal: AbortSignal): Promise<void> {
    await whileWanted(signal, () => this.#lock.run(incarnation, () => this.#destroy(incarnation)));
  }

  onExit(handle: EngineHandle, listener: (facts: ExitFacts) => void): () => void {
    const vmm = this.#vmmOf(handle);
    if (vmm !== null) return vmm.onExit(listener);
    let isWatching = true;
    this.#pastFacts(this.#directory(handle.incarnation))
      .then((facts) => {
        if (isWatching) listener(facts);
      })
      .catch((error) => this.#trouble(handle.incarnation, 'exit not reported', error));
    return () => {
      isWatching = false;
    };
  }

  async list(signal: AbortSignal): Promise<readonly FoundIncarnation[]> {
    const [directories, vmms] = await whileWanted(signal, () =>
      Promise.all([listRunDirectories(this.#layout), findVmms(this.#layout)]),
    );
    const incarnations = new Set([...directories, ...vmms.map((vmm) => vmm.incarnation)]);
    const found = [...incarnations].map(async (incarnation) => ({
      incarnation,
      hostId: await this.#directory(incarnation).readHostId(),
    }));
    return await whileWanted(signal, () => Promise.all(found));
  }

  async listLiving(signal: AbortSignal): Promise<readonly string[]> {
    const vmms = await whileWanted(signal, () => findVmms(this.#layout));
    return vmms.map(({ incarnation }) => incarnation);
  }

  async *#followConsole(
    incarnation: string,
    bytesMax: number,
    signal: AbortSignal,
  ): AsyncGenerator<ConsolePiece> {
    const handle = await this.find(incarnation, signal);
    const ended = new AbortController();
    const unwatch = handle === null ? ended.abort() : this.onExit(handle, () => ended.abort());
    const last = AbortSignal.any([ended.signal, this.#closing.signal]);
    try {
      const directory = this.#directory(incarnation);
      yield* this.#consoles.follow(directory, withinConsole(bytesMax), last, signal);
    } finally {
      unwatch?.();
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    for (const vmm of this.#vmms.values()) vmm.close();
    this.#vmms.clear();
    await this.#consoles.close();
    // It ends the VMM that it has booted, and removes its files.
    await this.#probe?.catch(() => undefined);
  }

  async #probed(signal: AbortSignal): Promise<QemuProbe> {
    if (this.#probe === null) {
      // Shared by all concurrent callers, so a single caller's abort must not end it; it has its own
      // deadlines.
      const probing = this.#probeHost();
      this.#probe = probing;
      probing.catch(() => {
        this.#probe = null;
      });
    }
    return await abortable(this.#probe, signal);
  }

  async #probeHost(): Promise<QemuProbe> {
    const { parent } = this.#probeOptions;
    if (parent !== undefined) await removeStaleProbes(parent);
    const notes = [...(await this.#cgroups.probe())];
    if (this.#probeOptions.uid === null) notes.push("machines run as the daemon's own user");
    const found = await probeQemu({ ...this.#probeOptions, notes }, this.#closing.signal);
    this.#warnings = [...notes, ...found.probe.notes.filter(isJailNote)];
    this.#found = found.host;
    return found;
  }

  async #host(signal: AbortSignal): Promise<QemuHost> {
    const { host, probe } = await this.#probed(signal);
    if (host !== null) return host;
    throw new AppError('unsupported', `QEMU cannot run here: ${probe.missing.join('; ')}`, {
      hint: setupHint,
    });
  }

  #directory(incarnation: string): RunDirectory {
    return new RunDirectory(this.#layout, incarnation, this.#logs.of(incarnation));
  }

  async #recordedProcess(directory: RunDirectory): Promise<ProcessIdentity | null> {
    const watched = this.#vmms.get(directory.incarnation)?.identity;
    if (watched !== undefined && isAlive(watched)) return watched;
    const record = await directory.readRecord();
    if (record === null || record.bootId !== readBootId() || !isAlive(record)) return null;
    const uid = await directory.vmmUid();
    if (!(await isVmmOf(record, directory.incarnation, this.#layout, uid))) {
      const why = `process ${record.pid} is not its VMM`;
      const { incarnation } = directory;
      this.#logs.of(incarnation).warn({ incarnation, why }, 'record rejected');
      return null;
    }
    return { pid: record.pid, startTime: record.startTime };
  }

  /** The running VMM of a handle; null when it is gone. */
  #vmmOf(handle: EngineHandle): Vmm | null {
    const known = this.#vmms.get(handle.incarnation);
    if (known !== undefined) return known;
    const identity = identityOf(handle);
    if (identity === null || !isAlive(identity)) return null;
    return this.#watch(this.#directory(handle.incarnation), identity);
  }

  #living(handle: EngineHandle): Vmm {
    const vmm = this.#vmmOf(handle);
    if (vmm !== null) return vmm;
    throw new AppError('engine', `the VMM of ${handle.incarnation} is gone`);
  }

  #watch(directory: RunDirectory, identity: ProcessIdentity, spawned: Spawned | null = null): Vmm {
    const { incarnation } = directory;
    const known = this.#vmms.get(incarnation);
    if (known !== undefined) return known;
    const vmm = new Vmm({
      identity,
      directory,
      spawned,
      hasRunOutOfMemory: () => this.#cgroups.hasRunOutOfMemory(incarnation),
      onEnded: async () => {
        this.#vmms.delete(incarnation);
        await this.#consoles
          .unwatch(directory)
          .catch((error: unknown) => this.#trouble(incarnation, 'times of a console not kept', error));
        await this.#release(directory);
      },
      consoleTail: (bytesMax) => this.#consoles.tail(directory, bytesMax),
      onTrouble: (message, error) => this.#trouble(incarnation, message, error),
    });
    this.#vmms.set(incarnation, vmm);
    this.#consoles.watch(directory);
    this.#timer ??= setInterval(() => this.#tick(), tickMs).unref();
    // An adopted VMM is connected at once, so that its exit is noticed at once.
    if (spawned === null) vmm.tick();
    return vmm;
  }

  #tick(): void {
    for (const vmm of this.#vmms.values()) vmm.tick();
    if (this.#isTrimming) return;
    this.#isTrimming = true;
    this.#trimFiles().finally(() => {
      this.#isTrimming = false;
    });
  }

  async #trimFiles(): Promise<void> {
    for (const incarnation of [...this.#vmms.keys()]) {
      const directory = this.#directory(incarnation);
      const tell = (error: unknown) => this.#trouble(incarnation, 'console or log not trimmed', error);
      await this.#consoles.trim(directory).catch(tell);
      await trimFile(directory.logFile, logLimits).catch(tell);
    }
  }

  /** The exit facts of an incarnation without a process. */
  async #pastFacts(directory: RunDirectory): Promise<ExitFacts> {
    const written = await directory.readExit();
    if (written !== null) return written;
    const { exitCode = null, signal = null } = (await directory.awaitStatus()) ?? {};
    return diedFacts(exitCode, signal, await directory.logTail());
  }

  async #destroy(incarnation: string): Promise<void> {
    const directory = this.#directory(incarnation);
    const identity = await this.#recordedProcess(directory);
    if (identity !== null) await this.#watch(directory, identity).stop();
    for (const stray of await findVmms(this.#layout, incarnation)) {
      killProcess(stray);
      if (!(await waitGone(stray, killTimeoutMs)))
        throw new AppError('timeout', `destroy ${incarnation}: process ${stray.pid} does not end`);
    }
    // A shim that is still writing would interfere with the removal.
    await directory.awaitStatus();
    await directory.remove();
    await this.#cgroups.remove(incarnation);
  }

  /**
   * Releases what a dead incarnation no longer needs (sockets, cgroup). Console and records stay until
   * `destroy`.
   */
  async #release(directory: RunDirectory): Promise<void> {
    await directory.removeSockets();
    await this.#cgroups.remove(directory.incarnation);
  }

  #trouble(incarnation: string, message: string, error: unknown): void {
    this.#logs.of(incarnation).warn({ incarnation, err: error }, message);
  }
}

/** The console's file keeps no more than this. */
function withinConsole(bytesMax: number): number {
  return Math.min(bytesMax, consoleLimits.bytesMax);
}

/**
 * Does not begin work for a caller that has left, and stops waiting for work that does not end; that work
 * continues unobserved.
 */
async function whileWanted<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  return await abortable(work(), signal);
}
