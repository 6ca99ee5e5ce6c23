/**
 * A machine's serial console: its last lines, and new output for followers. The guest controls these bytes
 * and is not trusted: make them printable before showing them to a person.
 */
import { abortable } from '../../lib/abort.ts';
import { AppError } from '../errors.ts';
import type { EventBus } from '../events/bus.ts';
import type { ConsolePiece, EngineConsole } from '../ports/engine.ts';
import type { Store } from '../ports/store.ts';
import { LineTimes, lastLinesOf } from './console-lines.ts';
import type { Machine } from './machine.ts';
import { endingIterator, PerMachineLimit } from './per-machine-limit.ts';
import { type Edges, engineOf } from './steps/context.ts';

export interface ConsoleRequest {
  /** Number of last lines, at least 1. */
  readonly lines: number;
  /** Whether to continue with new output until the machine stops. */
  readonly follow: boolean;
  /** Whether each line begins with the time at which it was seen. */
  readonly timestamps?: boolean | undefined;
  /** Whether to read the console of the boot before the latest one, which has ended. */
  readonly previous?: boolean | undefined;
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
    null,
    followersPerMachineMax,
    (machineId) =>
      new AppError(
        'exhausted',
        `the console of machine ${machineId} has ${followersPerMachineMax} followers already`,
        { hint: 'End one of them, then try again.' },
      ),
  );

  constructor(deps: ConsolesDeps) {
    this.#deps = deps;
  }

  /**
   * Opens the console of the machine's latest start; empty when there was none. With `follow`, it ends when
   * that run ends, also by a restart; for a machine on its way to run, it waits. Its only reader leaves by
   * the signal or by `return`; the stream then ends. Raises `unsupported`, `exhausted` when there are too
   * many followers, and `not_found` when a previous boot is requested that does not exist.
   */
  async open(
    machine: Machine,
    request: ConsoleRequest,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>> {
    const console = consoleOf(this.#deps.edges, machine);
    const { incarnation } = machine;
    if (request.previous) return shown(oneOf(await this.#previous(machine, signal)), request);
    if (incarnation === null) return shown(oneOf(nothing), request);
    if (!request.follow)
      return shown(oneOf(await console.read(incarnation, consoleBytesMax, signal)), request);
    const free = this.#followers.take(machine.id);
    const leaving = new AbortController();
    const stop = AbortSignal.any([leaving.signal, this.#closing.signal]);
    const pieces = shown(this.#follow(console, machine, stop), request);
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

  async *#follow(console: EngineConsole, machine: Machine, stop: AbortSignal): AsyncGenerator<ConsolePiece> {
    const { incarnation } = machine;
    if (incarnation === null) return;
    try {
      await this.#launched(machine, stop);
      yield* console.follow(incarnation, consoleBytesMax, stop);
    } catch (error) {
      if (!stop.aborted) throw error;
    }
    // A normal end would mean that the machine has stopped.
    if (this.#closing.signal.aborted)
      throw new AppError('unavailable', 'the daemon is shutting down', {
        hint: 'Try again when it has restarted.',
      });
  }

  async #previous(machine: Machine, signal: AbortSignal): Promise<ConsolePiece> {
    const kept = await abortable(this.#deps.edges.consoles.read(machine.id), signal);
    if (kept !== null) return kept;
    throw new AppError('not_found', `machine ${machine.id} has no console of a previous boot`, {
      hint: 'It is kept when the machine starts again. Leave out previous to read the latest boot.',
    });
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

const nothing: ConsolePiece = { bytes: new Uint8Array(0), seen: [] };

async function* oneOf(piece: ConsolePiece): AsyncGenerator<ConsolePiece> {
  yield piece;
}

/** The last lines of the first piece and everything of the others, with times if requested. */
async function* shown(
  pieces: AsyncGenerator<ConsolePiece>,
  { lines, timestamps }: ConsoleRequest,
): AsyncGenerator<Uint8Array> {
  const times = timestamps ? new LineTimes() : null;
  let isFirst = true;
  for await (const piece of pieces) {
    const wanted = isFirst ? lastLinesOf(piece, lines) : piece;
    isFirst = false;
    yield times?.add(wanted) ?? wanted.bytes;
  }
}
