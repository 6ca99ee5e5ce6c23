/**
 * Input on its way to a command that runs, as it comes, for `exec -i` and `attach`. A request carries what comes without a long
 * pause, because the daemon ends one whose body stands still; the next input begins another.
 */
import type { Readable } from 'node:stream';
import { FlotillaError } from '../sdk/src/index.ts';
import { again, isOfConnection } from './again.ts';
import type { Context } from './context.ts';

/** The daemon waits 60 s for a body that stands still. */
const pauseMsMax = 20_000;

export interface Feeding {
  readonly machine: string;
  readonly exec: string;
  /** Whether the end of the input is the end of the command's. */
  readonly isEnded: boolean;
  /** Whether input is dropped while the daemon cannot be reached, as that of somebody who types is. */
  readonly isLossy: boolean;
  readonly signal: AbortSignal;
}

/**
 * Resolves when the command has all of the input, or when it takes none (any more). Rejects with the signal's reason, and unless
 * it is lossy, when the daemon cannot be reached.
 */
export async function feed(
  context: Context,
  source: AsyncIterable<Uint8Array>,
  { machine, exec, isEnded, isLossy, signal }: Feeding,
): Promise<void> {
  const { execs } = context.patientClient;
  const input = new Input(source);
  try {
    for (let first = await input.next(); first !== null; first = await input.next()) {
      try {
        await execs.write(machine, exec, input.burst(first), { signal });
      } catch (error) {
        if (!isLossy || !isOfConnection(error)) throw error;
      }
    }
    const end = () => execs.write(machine, exec, nothing(), { end: true, signal });
    // An end may be told twice, which no other input may.
    if (isEnded) await again({ signal, onLost: () => undefined }, end);
  } catch (error) {
    signal.throwIfAborted();
    if (!isOver(error)) throw error;
  }
}

/** The pieces of a stream of ours, until its end or the signal. */
export async function* piecesOf(stream: Readable, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const onAbort = () => stream.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const piece of stream as AsyncIterable<Uint8Array>) yield piece;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** The command has ended, or has no standard input. */
function isOver(error: unknown): boolean {
  return error instanceof FlotillaError && (error.status === 409 || error.status === 404);
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // A body without a byte.
}

/** Pieces one by one; one that nobody has waited for long enough is the next one. */
class Input {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #pending: Promise<Uint8Array | null> | null = null;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#pieces = source[Symbol.asyncIterator]();
  }

  /** Null: the end. */
  async next(): Promise<Uint8Array | null> {
    const pending = this.#peek();
    const piece = await pending;
    if (piece !== null) this.#take(pending);
    return piece;
  }

  /** The first piece, and what follows until a pause or the end. */
  async *burst(first: Uint8Array): AsyncGenerator<Uint8Array> {
    yield first;
    for (;;) {
      const pause = Promise.withResolvers<null>();
      const timer = setTimeout(() => pause.resolve(null), pauseMsMax);
      const pending = this.#peek();
      const piece = await Promise.race([pending, pause.promise]).finally(() => clearTimeout(timer));
      if (piece === null) return;
      this.#take(pending);
      yield piece;
    }
  }

  #peek(): Promise<Uint8Array | null> {
    this.#pending ??= this.#pieces.next().then(({ done, value }) => (done === true ? null : value));
    return this.#pending;
  }

  /** A burst that nobody reads any more may have waited for the same piece, and takes no later one. */
  #take(piece: Promise<Uint8Array | null>): void {
    if (this.#pending === piece) this.#pending = null;
  }
}
