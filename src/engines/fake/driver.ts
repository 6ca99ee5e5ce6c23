/**
 * An engine in memory, for tests and the demo: no process, no disk, no kernel. Its machines run on a
 * FakeHost, which outlives its drivers just as VMMs outlive the daemon. Passes the same contract as the real
 * engines.
 */
import { AppError } from '../../core/errors.ts';
import {
  type Captured,
  type CaptureRequest,
  type ConsolePiece,
  type EngineCapabilities,
  type EngineConsole,
  type EngineDriver,
  type EngineHandle,
  type EngineMeter,
  type EnginePause,
  type EngineProbe,
  type EngineSnapshots,
  type EngineStatus,
  type EngineUsage,
  type ExitFacts,
  type FoundIncarnation,
  type LaunchSpec,
  pausedOnRequest,
} from '../../core/ports/engine.ts';
import { abortable, sleep } from '../../lib/abort.ts';
import { FakeMachine } from './machine.ts';

/** Holds the fake machines; share one among several drivers to simulate a restart of the daemon. */
export class FakeHost {
  /** By incarnation; ended ones stay until destroyed. */
  readonly machines = new Map<string, FakeMachine>();
  /** By directory: the incarnation whose memory was saved, and its spec. */
  readonly saved = new Map<string, { readonly incarnation: string; readonly spec: LaunchSpec }>();
}

/** The driver's calls that can be delayed or made to fail. */
export type FakeCall =
  | 'launch'
  | 'find'
  | 'inspect'
  | 'pause'
  | 'resume'
  | 'save'
  | 'capture'
  | 'stop'
  | 'destroy'
  | 'list';

/** Plays the guest of a launched machine; called before `launch` resolves. An error fails the launch. */
export type LaunchHook = (
  spec: LaunchSpec,
  handle: EngineHandle,
  machine: FakeMachine,
) => void | Promise<void>;

export interface FakeDriverOptions {
  /** The engine's name. Default: `fake`. */
  readonly kind?: string;
  readonly host?: FakeHost;
  readonly capabilities?: Partial<EngineCapabilities>;
  /** Features that this engine lacks. */
  readonly without?: readonly ('console' | 'pause' | 'snapshots')[];
  readonly onLaunch?: LaunchHook;
}

interface Script {
  readonly delaysMs: Map<FakeCall, number>;
  /** Errors that the next calls throw, in order. */
  readonly failures: Map<FakeCall, Error[]>;
}

export class FakeDriver implements EngineDriver {
  readonly kind: string;
  readonly capabilities: EngineCapabilities;
  readonly console: EngineConsole | null;
  readonly pause: EnginePause | null;
  /** The value of `pause` if there is one; tests may replace its methods. */
  readonly processors: EnginePause;
  readonly snapshots: EngineSnapshots | null;
  readonly meter: EngineMeter = {
    measure: async (handle, signal) => {
      signal.throwIfAborted();
      this.#living(handle);
      return this.usage;
    },
  };
  /** What the meter reads. */
  usage: EngineUsage = {
    processorTimeMs: 1500,
    memoryBytes: 64 * 1024 * 1024,
    diskReadBytes: 4096,
    diskWriteBytes: null,
    diskReads: 1,
    diskWrites: null,
    guestMemory: {
      ...{ totalBytes: 250_000_000, freeBytes: 200_000_000, availableBytes: 220_000_000 },
      ...{ cacheBytes: 10_000_000, majorFaults: null },
    },
  };
  warnings: readonly string[] = [];
  readonly host: FakeHost;
  /** Number of calls of each kind. */
  readonly calls = new Map<FakeCall, number>();
  readonly #onLaunch: LaunchHook;
  readonly #script: Script = { delaysMs: new Map(), failures: new Map() };
  readonly #launching = new Map<string, Promise<EngineHandle>>();
  readonly #watches = new Set<() => void>();
  readonly #closing = new AbortController();

  constructor(options: FakeDriverOptions = {}) {
    this.kind = options.kind ?? 'fake';
    this.host = options.host ?? new FakeHost();
    this.#onLaunch = options.onLaunch ?? (() => undefined);
    this.capabilities = {
      vcpuCountMax: 32,
      memoryMibMin: 1,
      memoryMibMax: 1024 * 1024,
      diskFormats: ['qcow2', 'raw'],
      missing: {
        gpu_passthrough: 'there is no IOMMU',
      },
      ...options.capabilities,
    };
    this.console = options.without?.includes('console') ? null : this.#makeConsole();
    this.processors = this.#makePause();
    this.pause = options.without?.includes('pause') ? null : this.processors;
    const save: EngineSnapshots['save'] = (...args) => this.#save(...args);
    const capture: EngineSnapshots['capture'] = (...args) => this.#capture(...args);
    const abandonCapture: EngineSnapshots['abandonCapture'] = async () => undefined;
    this.snapshots = options.without?.includes('snapshots') ? null : { save, capture, abandonCapture };
  }

  kernelArgs(): string {
    return 'console=fake';
  }

  /** Delays every later `call` by `ms`; 0 removes the delay. */
  delay(call: FakeCall, ms: number): void {
    this.#script.delaysMs.set(call, ms);
  }

  /** Makes the next `call` throw this before it does anything; several errors are thrown in order. */
  failNext(call: FakeCall, error: Error = new AppError('engine', `scripted failure of ${call}`)): void {
    this.#script.failures.set(call, [...(this.#script.failures.get(call) ?? []), error]);
  }

  /** The machine of an incarnation, to script its end; throws when there is none. */
  machine(incarnation: string): FakeMachine {
    const machine = this.host.machines.get(incarnation);
    if (machine === undefined) throw new Error(`no fake machine ${incarnation}`);
    return machine;
  }

  async probe(): Promise<EngineProbe> {
    return { isAvailable: true, accelerator: 'memory', version: '1', missing: [], notes: [] };
  }

  async launch(
    spec: LaunchSpec,
    signal: AbortSignal,
    mayRun: Promise<void> = Promise.resolve(),
  ): Promise<EngineHandle> {
    signal.throwIfAborted();
    const { incarnation, source } = spec;
    if (source.kind === 'container')
      throw new AppError('unsupported', `engine '${this.kind}' cannot launch from '${source.kind}'`);
    const underWay = this.#launching.get(incarnation);
    if (underWay !== undefined) return await abortable(underWay, signal);
    const launching = this.#launch(spec, signal, mayRun).finally(() => this.#launching.delete(incarnation));
    this.#launching.set(incarnation, launching);
    return await launching;
  }

  async find(incarnation: string, signal?: AbortSignal): Promise<EngineHandle | null> {
    await this.#play('find', signal);
    const machine = this.host.machines.get(incarnation);
    return machine === undefined || machine.status.state === 'exited' ? null : machine.handle;
  }

  async inspect(handle: EngineHandle, signal?: AbortSignal): Promise<EngineStatus> {
    await this.#play('inspect', signal);
    return this.host.machines.get(handle.incarnation)?.status ?? { state: 'absent' };
  }

  async stop(handle: EngineHandle, signal: AbortSignal): Promise<void> {
    await this.#play('stop', signal);
    this.#end(handle.incarnation);
  }

  async destroy(incarnation: string, signal?: AbortSignal): Promise<void> {
    await this.#play('destroy', signal);
    this.#end(incarnation);
    this.host.machines.delete(incarnation);
  }

  onExit(handle: EngineHandle, listener: (facts: ExitFacts) => void): () => void {
    const machine = this.host.machines.get(handle.incarnation);
    const tell = (facts: ExitFacts) => {
      this.#watches.delete(unwatch);
      listener(facts);
    };
    const unwatch = machine === undefined ? tellGone(tell) : machine.onExit(tell);
    this.#watches.add(unwatch);
    return () => {
      this.#watches.delete(unwatch);
      unwatch();
    };
  }

  async listLiving(signal?: AbortSignal): Promise<readonly string[]> {
    signal?.throwIfAborted();
    const machines = [...this.host.machines.values()];
    return machines.filter(({ status }) => status.state !== 'exited').map(({ handle }) => handle.incarnation);
  }

  async list(signal?: AbortSignal): Promise<readonly FoundIncarnation[]> {
    await this.#play('list', signal);
    return [...this.host.machines].map(([incarnation, { spec }]) => ({ incarnation, hostId: spec.hostId }));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const unwatch of this.#watches) unwatch();
    this.#watches.clear();
  }

  #makeConsole(): EngineConsole {
    const machineOf = (incarnation: string) => this.host.machines.get(incarnation);
    const closing = this.#closing.signal;
    return {
      read: async (incarnation, bytesMax, signal) => {
        signal.throwIfAborted();
        return machineOf(incarnation)?.console(bytesMax) ?? nothing;
      },
      async *follow(incarnation, bytesMax, signal) {
        const machine = machineOf(incarnation);
        if (machine === undefined) yield nothing;
        else yield* machine.followConsole(bytesMax, closing, signal);
      },
    };
  }

  #makePause(): EnginePause {
    return {
      pause: async (handle, signal) => {
        await this.#play('pause', signal);
        this.#living(handle).pause(pausedOnRequest);
      },
      resume: async (handle, signal) => {
        await this.#play('resume', signal);
        this.#living(handle).resume();
      },
    };
  }

  async #launch(spec: LaunchSpec, signal: AbortSignal, mayRun: Promise<void>): Promise<EngineHandle> {
    await this.#play('launch', signal);
    await abortable(mayRun, signal);
    const { incarnation } = spec;
    const known = this.host.machines.get(incarnation);
    if (known !== undefined && known.status.state !== 'exited') return known.handle;
    const saved = spec.source.kind === 'restore' ? this.#savedIn(spec.source.directory, spec) : null;
    const handle: EngineHandle = {
      engine: this.kind,
      version: 1,
      incarnation,
      guest: { transport: 'memory', key: incarnation },
      pid: null,
      controlSocket: null,
      kernelArgs:
        `${this.kernelArgs()} ${spec.source.kind === 'kernel' ? spec.source.kernelArgs : ''}`.trim(),
      restoredFrom: saved?.incarnation ?? null,
      data: {},
    };
    const machine = new FakeMachine(spec, handle);
    if (saved !== null) machine.pause(pausedOnRequest);
    this.host.machines.set(incarnation, machine);
    try {
      await this.#onLaunch(spec, handle, machine);
    } catch (error) {
      this.#end(incarnation);
      this.host.machines.delete(incarnation);
      throw error;
    }
    return handle;
  }

  async #save(handle: EngineHandle, directory: string, signal: AbortSignal): Promise<void> {
    await this.#play('save', signal);
    const { incarnation } = handle;
    const { spec, status } = this.#living(handle);
    if (status.state !== 'paused') throw new AppError('engine', `a ${status.state} guest cannot be saved`);
    this.host.saved.set(directory, { incarnation, spec });
  }

  async #capture(
    handle: EngineHandle,
    { memoryDirectory }: CaptureRequest,
    signal: AbortSignal,
  ): Promise<Captured> {
    await this.#play('capture', signal);
    const { incarnation } = handle;
    const { spec } = this.#living(handle);
    if (memoryDirectory !== null) this.host.saved.set(memoryDirectory, { incarnation, spec });
    return { pausedMs: 0 };
  }

  #savedIn(directory: string, spec: LaunchSpec): { readonly incarnation: string } {
    const saved = this.host.saved.get(directory);
    if (saved === undefined) throw new AppError('not_found', 'there is no saved memory');
    if (saved.spec.memoryMib !== spec.memoryMib || saved.spec.vcpuCount !== spec.vcpuCount)
      throw new AppError('unsupported', 'the saved memory cannot be loaded here: other hardware');
    return saved;
  }

  #living(handle: EngineHandle): FakeMachine {
    const machine = this.host.machines.get(handle.incarnation);
    if (machine !== undefined && machine.status.state !== 'exited') return machine;
    throw new AppError('engine', `fake machine ${handle.incarnation} has ended`);
  }

  #end(incarnation: string): void {
    const reason = 'the machine was stopped';
    this.host.machines.get(incarnation)?.end({ kind: 'stopped', exitCode: null, signal: null, reason });
  }

  async #play(call: FakeCall, signal?: AbortSignal): Promise<void> {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
    signal?.throwIfAborted();
    const delayMs = this.#script.delaysMs.get(call) ?? 0;
    if (delayMs > 0) await sleep(delayMs, signal);
    const [failure, ...later] = this.#script.failures.get(call) ?? [];
    this.#script.failures.set(call, later);
    if (failure !== undefined) throw failure;
  }
}

const nothing: ConsolePiece = { bytes: new Uint8Array(0), seen: [] };

/** For an incarnation that has nothing left. */
function tellGone(listener: (facts: ExitFacts) => void): () => void {
  let isWatching = true;
  queueMicrotask(() => {
    if (isWatching) listener({ kind: 'died', exitCode: null, signal: null, reason: 'nothing is left of it' });
  });
  return () => {
    isWatching = false;
  };
}
