/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A machine as an object, for scripts and agents that make one, use it and throw it away.
 *
 *   await using machine = await client.machines.launch({ image: 'busybox' });
 *   const { stdout } = await machine.run('uname -r');
 *   await machine.files.write('/srv/note.txt', stdout);
 *
 * It holds an id and no state: every call asks the server. Leaving the block removes the machine, also after an error.
 */
import { FlotillaError } from './errors.ts';
import { type Execs, MachineExecs } from './execs.ts';
import { type Files, MachineFiles } from './files.ts';
import type { Machines } from './machines.ts';
import type { Snapshots } from './snapshots.ts';
import type { StreamOptions } from './stream.ts';
import type { TerminalOptions, TerminalSession } from './terminal.ts';
import type { CallOptions } from './transport.ts';
import type {
  CreateMachine,
  CreateSnapshot,
  ExecOutcome,
  ExecRequest,
  ForkedMachine,
  ForkMachine,
  Machine,
  MachineMetrics,
  Snapshot,
} from './types.ts';

/**
 * What a machine to be launched is like; the rest has a default: one processor, 512 MiB, a name of its own. One with a
 * `source` has the sizes of its snapshot.
 */
export type LaunchMachine = Partial<CreateMachine>;

export interface RunOptions extends StreamOptions, Omit<ExecRequest, 'command'> {
  /** Throws CommandError unless the command exits with 0. Default: false, how it ended is in the result. */
  readonly check?: boolean | undefined;
  /** Called with each piece of output as it comes. */
  readonly onStdout?: (data: Uint8Array) => void;
  readonly onStderr?: (data: Uint8Array) => void;
}

/** How a command ended, with its output as text. */
export interface RunResult {
  readonly outcome: ExecOutcome;
  /** 128 + the signal when a signal ended the command; null after a timeout, or when nobody can tell. */
  readonly exitCode: number | null;
  /** Decoded as UTF-8, up to 8 MiB; later output is only given to `onStdout`. */
  readonly stdout: string;
  readonly stderr: string;
  /** Whether more was written than `stdout` or `stderr` hold. */
  readonly isTruncated: boolean;
}

/** A command that did not exit with 0, when `check` was asked for. */
export class CommandError extends Error {
  readonly result: RunResult;

  constructor(result: RunResult) {
    const { outcome, stderr } = result;
    const how = {
      exited: `exited with ${result.exitCode}`,
      signalled: `was ended by ${'signal' in outcome ? outcome.signal : 'a signal'}`,
      timed_out: 'took too long',
      unknown: 'ended in a way that nobody knows',
    }[outcome.outcome];
    const last = stderr.trimEnd().split('\n').at(-1) ?? '';
    super(`the command ${how}${last === '' ? '' : `: ${last}`}`);
    this.name = 'CommandError';
    this.result = result;
  }
}

/** A method's arguments after the machine's id. */
export type RestArguments<Method extends (id: string, ...rest: never[]) => unknown> = Method extends (
  id: string,
  ...rest: infer Arguments
) => unknown
  ? Arguments
  : never;

/** What a handle offers for its own machine. */
export interface Rooms {
  readonly execs: Execs;
  readonly files: Files;
  readonly snapshots: Snapshots;
}

const keptBytesMax = 8 * 2 ** 20;
const memoryMibDefault = 512;

export class MachineHandle {
  readonly id: string;
  readonly name: string;
  /** Commands that outlive their caller. */
  readonly execs: MachineExecs;
  readonly files: MachineFiles;
  readonly #machines: Machines;
  readonly #rooms: Rooms;

  constructor(machines: Machines, rooms: Rooms, { id, name }: Pick<Machine, 'id' | 'name'>) {
    this.#machines = machines;
    this.#rooms = rooms;
    this.execs = new MachineExecs(rooms.execs, id);
    this.files = new MachineFiles(rooms.files, id);
    this.id = id;
    this.name = name;
  }

  /** The machine as the server describes it now. */
  info(options?: CallOptions): Promise<Machine> {
    return this.#machines.get(this.id, options);
  }

  /**
   * Runs a command: a string in `sh -c`, a list as it is. Output is streamed and also collected. A command that fails is a
   * result, or a CommandError with `check`.
   */
  async run(command: string | readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const { check = false, onStdout, onStderr, signal, timeoutMs, silenceMs, ...request } = options;
    const [stdout, stderr] = [new Kept(), new Kept()];
    let outcome: ExecOutcome = { outcome: 'unknown', reason: 'the stream ended without an outcome' };
    const asked = { ...request, command: typeof command === 'string' ? ['sh', '-c', command] : [...command] };
    for await (const event of this.#machines.execStream(this.id, asked, { signal, timeoutMs, silenceMs })) {
      if (event.type === 'outcome') {
        const { type: _, ...rest } = event;
        outcome = rest;
      } else if (event.type === 'stdout') {
        stdout.add(event.data);
        onStdout?.(event.data);
      } else {
        stderr.add(event.data);
        onStderr?.(event.data);
      }
    }
    const result = {
      outcome,
      exitCode: 'exit_code' in outcome ? outcome.exit_code : null,
      stdout: stdout.text(),
      stderr: stderr.text(),
      isTruncated: stdout.isFull || stderr.isFull,
    };
    if (check && !(outcome.outcome === 'exited' && outcome.exit_code === 0)) throw new CommandError(result);
    return result;
  }

  /** Starts a command in a terminal and talks with it; see `terminal.ts`. */
  terminal(options?: TerminalOptions): Promise<TerminalSession> {
    return this.#machines.terminal(this.id, options);
  }

  stop(options?: CallOptions): Promise<Machine> {
    return this.#machines.stop(this.id, options);
  }

  start(options?: CallOptions): Promise<Machine> {
    return this.#machines.start(this.id, options);
  }

  /** What it uses at this moment; what nobody measured is null. */
  metrics(options?: CallOptions): Promise<MachineMetrics> {
    return this.#machines.metrics(this.id, options);
  }

  pause(options?: CallOptions): Promise<Machine> {
    return this.#machines.pause(this.id, options);
  }

  resume(options?: CallOptions): Promise<Machine> {
    return this.#machines.resume(this.id, options);
  }

  suspend(options?: CallOptions): Promise<Machine> {
    return this.#machines.suspend(this.id, options);
  }

  /** Copies its disk, and its memory if it is up, at this moment. */
  snapshot(snapshot?: CreateSnapshot, options?: CallOptions): Promise<Snapshot> {
    return this.#rooms.snapshots.create(this.id, snapshot, options);
  }

  /**
   * Makes machines that go on from this moment, and resolves when all are there. When one cannot be made or started, those
   * that were made are removed and its error is thrown.
   */
  async fork(fork?: ForkMachine, options?: CallOptions): Promise<readonly MachineHandle[]> {
    const { machines } = await this.#machines.fork(this.id, fork, options);
    const handles = machines.flatMap(({ machine }) =>
      machine === null ? [] : [new MachineHandle(this.#machines, this.#rooms, machine)],
    );
    const failed = machines.find(({ error }) => error !== null);
    if (failed === undefined) return handles;
    // The first error says what went wrong; a machine whose removal fails too is left to look at.
    await Promise.allSettled(handles.map((handle) => handle.remove()));
    throw forkFailure(failed);
  }

  /** Removes the machine and its disk, also while it runs. Does nothing when it is gone. */
  async remove(options: CallOptions = {}): Promise<void> {
    try {
      await this.#machines.delete(this.id, { ...options, force: true });
    } catch (error) {
      if (!(error instanceof FlotillaError) || error.status !== 404) throw error;
    }
  }

  /** At the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.remove();
  }
}

function forkFailure({ name, error }: ForkedMachine): FlotillaError {
  const { code = 'UNKNOWN', message = 'nobody knows why', hint, retryable } = error ?? {};
  return new FlotillaError({ status: 201, code, message: `${name}: ${message}`, hint, retryable });
}

/** Creates and starts a machine. When the start fails, the machine is removed and the start's error is thrown. */
export async function launch(
  machines: Machines,
  rooms: Rooms,
  machine: LaunchMachine,
  options?: CallOptions,
): Promise<MachineHandle> {
  const { name = `sdk-${crypto.randomUUID().slice(0, 8)}`, ...rest } = machine;
  const sizes = machine.source === undefined ? { vcpu_count: 1, mem_size_mib: memoryMibDefault } : {};
  const asked = { ...sizes, ...rest, name } as CreateMachine;
  const handle = new MachineHandle(machines, rooms, await machines.create(asked, options));
  try {
    await handle.start(options);
    return handle;
  } catch (error) {
    // The start's error says what went wrong; a removal that fails too leaves a failed machine to look at.
    await handle.remove().catch(() => undefined);
    throw error;
  }
}

/** The first bytes of a stream. */
class Kept {
  readonly #pieces: Uint8Array[] = [];
  #bytes = 0;
  isFull = false;

  add(data: Uint8Array): void {
    const piece = data.subarray(0, keptBytesMax - this.#bytes);
    this.isFull ||= piece.length < data.length;
    this.#bytes += piece.length;
    if (piece.length > 0) this.#pieces.push(piece);
  }

  text(): string {
    const decoder = new TextDecoder();
    return this.#pieces.map((piece) => decoder.decode(piece, { stream: true })).join('') + decoder.decode();
  }
}
