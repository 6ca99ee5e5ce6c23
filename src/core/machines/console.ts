/**
 * A machine's serial console: its last lines, and new output for followers. The guest controls these bytes
 * and is not trusted: make them printable before showing them to a person.
 */
import { abortable } from '../../lib/abort.ts';
import { AppError } from '../errors.ts';
import type { EventBus } from '../events/bus.ts';
import type { EngineConsole } from '../ports/engine.ts';
import type { Store } from '../ports/store.ts';
import type { Machine } from './machine.ts';
import { endingIterator, PerMachineLimit } from './per-machine-limit.ts';
import { type Edges, engineOf } from './steps/context.ts';

export interface ConsoleRequest {
  /** Number of last lines, at least 1. */
  readonly lines: number;
  /** Whether to continue with new output until the machine stops. */
  readonly follow: boolean;
}

/** Limit of all last lines together; if they are longer, the first one is cut at its beginning. */
export const consoleBytesMax = 1024 * 1024;
/** Followers allowed per machine. */
export const followersPerMachineMax = 16;

export interface ConsolesDeps {
  readonly store: Store;
  readonly bus: EventBus;
  readonly edges: Edges;
}

export class Consoles {
  readonly #deps: ConsolesDeps;
  readonly #closing = new AbortController();
  readonly #followers = new PerMachineLimit(
    followersPerMachineMax,
    (machineId) =>
      new AppError(
        'exhausted',
        `the console of machine ${machineId} has ${followersPerMachineMax} followers already`,
        { hint: 'End one of them.' },
      ),
  );

  constructor(deps: ConsolesDeps) {
    this.#deps = deps;
  }

  /**
   * Opens the console of the machine's latest start; empty when there was none. With `follow`, it ends when
   * that run ends, also by a restart; for a machine on its way to run, it waits. Its only reader leaves by
   * the signal or by `return`; the stream then ends. Raises `unsupported`, and `exhausted` when there are too
   * many followers.
   */
  async open(
    machine: Machine,
    { lines, follow }: ConsoleRequest,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const console = consoleOf(this.#deps.edges, machine);
    const { incarnation } = machine;
    if (incarnation === null) return oneOf(new Uint8Array(0));
    if (!follow) return oneOf(lastLines(await console.read(incarnation, consoleBytesMax, signal), lines));
    const free = this.#followers.take(machine.id);
    const leaving = new AbortController();
    const stop = AbortSignal.any([leaving.signal, this.#closing.signal]);
    const pieces = this.#follow(console, machine, lines, stop);
    const end = () => {
      signal.removeEventListener('abort', end);
      leaving.abort();
      // An iterator that nobody reads is suspended and would not notice the end.
      pieces.return(undefined).catch(() => undefined);
      free();
    };
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    return { [Symbol.asyncIterator]: () => endingIterator(pieces, end) };
  }

  /** Ends the streams of all followers. */
  close(): void {
    this.#closing.abort();
  }

  async *#follow(
    console: EngineConsole,
    machine: Machine,
    lines: number,
    stop: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { incarnation } = machine;
    if (incarnation === null) return;
    try {
      await this.#launched(machine, stop);
      let isFirst = true;
      for await (const bytes of console.follow(incarnation, consoleBytesMax, stop)) {
        yield isFirst ? lastLines(bytes, lines) : bytes;
        isFirst = false;
      }
    } catch (error) {
      if (!stop.aborted) throw error;
    }
    // A normal end would mean that the machine has stopped.
    if (this.#closing.signal.aborted) throw new AppError('unavailable', 'the daemon is shutting down');
  }

  /** A start that has just begun, or waits in the queue, has no console yet. */
  async #launched({ id, incarnation }: Machine, signal: AbortSignal): Promise<void> {
    const { store, bus } = this.#deps;
    let news = Promise.withResolvers<void>();
    const unsubscribe = bus.subscribe(id, () => news.resolve());
    try {
      for (;;) {
        const now = await store.machines.get(id);
        if (now?.incarnation !== incarnation || now?.state !== 'starting' || now.handle !== null) return;
        await abortable(news.promise, signal);
        news = Promise.withResolvers<void>();
      }
    } finally {
      unsubscribe();
    }
  }
}

function consoleOf(edges: Edges, machine: Machine): EngineConsole {
  const { console, kind } = engineOf(edges, machine);
  if (console) return console;
  throw new AppError('unsupported', `machines of engine '${kind}' have no console`);
}

async function* oneOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const newline = 0x0a;

/** The last lines of a text, including a final newline if there is one. */
export function lastLines(bytes: Uint8Array, lines: number): Uint8Array {
  let end = bytes.at(-1) === newline ? bytes.length - 1 : bytes.length;
  for (let left = lines; left > 0; left--) {
    if (end <= 0) return bytes;
    end = bytes.lastIndexOf(newline, end - 1);
    if (end < 0) return bytes;
  }
  return bytes.subarray(end + 1);
}
