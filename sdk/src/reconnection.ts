/**
 * When to try again after a connection was lost: at once first, then ever more slowly, until nothing has worked for a while.
 * Used by what reads long answers and can continue where it was.
 */
import { sleep } from './abort.ts';
import { clientErrorCodes, FlotillaError } from './errors.ts';

export interface ReconnectOptions {
  /** How long to try again after the connection was lost, until something works. 0: never. Default: 60 s. */
  readonly reconnectMs?: number | undefined;
}

const reconnectMsDefault = 60_000;
const pauseMsMin = 100;
const pauseMsMax = 5_000;

export class Reconnection {
  readonly #forMs: number;
  #lostAtMs: number | null = null;
  #attempts = 0;

  constructor({ reconnectMs = reconnectMsDefault }: ReconnectOptions) {
    this.#forMs = reconnectMs;
  }

  /** Something worked. */
  succeeded(): void {
    this.#lostAtMs = null;
    this.#attempts = 0;
  }

  /**
   * Resolves when it is time to try again. Rejects with `error` if another attempt would not help or the time is over, and
   * with the signal's reason.
   */
  async next(error: unknown, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!isPassing(error)) throw error;
    const nowMs = performance.now();
    this.#lostAtMs ??= nowMs;
    const leftMs = this.#lostAtMs + this.#forMs - nowMs;
    const ceilingMs = Math.min(pauseMsMax, pauseMsMin * 2 ** this.#attempts);
    const pauseMs = this.#attempts === 0 ? 0 : ceilingMs / 2 + (Math.random() * ceilingMs) / 2;
    if (leftMs <= pauseMs) throw error;
    this.#attempts += 1;
    await sleep(pauseMs, signal);
  }
}

/** No usable answer, or one that says that a later attempt may work. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof FlotillaError)) return false;
  if (error.status !== 0) return error.retryable ?? [429, 502, 503].includes(error.status);
  return error.code === clientErrorCodes.unreachable || error.code === clientErrorCodes.timeout;
}
