/**
 * Connections to programs in guests: of one request, of many, and the wait for a program that has not begun to listen yet.
 * Knows nothing of requests and answers.
 */
import type { Duplex } from 'node:stream';
import { AppError, isAppError } from '../core/errors.ts';
import type { AwakeMachine } from '../core/machines/waking.ts';
import { deadline, sleep } from '../lib/abort.ts';
import { Lru } from '../lib/lru.ts';
import { clientOn } from './http-client.ts';
import { type Kept, Ports, type Turn } from './ports.ts';

/** Connects to a port of a machine. */
export type Connect = (awake: AwakeMachine, port: number, signal: AbortSignal) => Promise<Duplex>;

const connectMs = 10_000;
/** A program of a machine that has just started may take as long as the machine may take to wake. */
const firstRetryMs = 50;
const retryMsMax = 500;
const knownMax = 10_000;

/** Limits the time to connect, and not the life of the connection, which ends with the signal. */
async function connectInTime(connect: Connect, awake: AwakeMachine, port: number): Promise<Duplex> {
  const late = () =>
    new AppError('guest', `port ${port} of machine ${awake.machine.id} did not accept in time`);
  const limit = deadline(connectMs, late);
  try {
    return await connect(awake, port, limit.signal);
  } finally {
    limit.clear();
  }
}

export class Upstreams {
  readonly #connect: Connect;
  readonly #ports = new Ports();
  /** Ports that have accepted a connection since their machine's boot. */
  readonly #known = new Lru<string, true>(knownMax);
  /** Machines as recorded that have run for longer than anybody waits for their programs. */
  readonly #settled = new WeakSet<AwakeMachine['machine']>();
  readonly #waits = new Map<string, Promise<void>>();

  constructor(connect: Connect) {
    this.#connect = connect;
  }

  /** See `Ports.turn`. */
  turn(awake: AwakeMachine, port: number, begin: () => void): Turn {
    return this.#ports.turn(keyOf(awake, port), begin);
  }

  /** A new connection for this request and later ones. */
  async open(turn: Turn, awake: AwakeMachine, port: number): Promise<Kept> {
    turn.makeRoom();
    const stream = await this.connect(awake, port);
    // Its client reports errors only while a request uses it.
    stream.on('error', () => undefined);
    const kept = { client: clientOn(stream), stream, isReused: false };
    turn.opened(kept);
    return kept;
  }

  /** A connection of its own, also for a protocol that begins as HTTP. */
  connect(awake: AwakeMachine, port: number): Promise<Duplex> {
    return connectInTime(this.#connect, awake, port);
  }

  /**
   * Resolves when the port accepts connections, if its machine has begun to run within the last `graceMs`; null when it has
   * accepted one, or when it is for the request itself to fail. All who wait for the same port share the attempts. Rejects
   * with the last failure.
   */
  readiness(awake: AwakeMachine, port: number, graceMs: number): Promise<void> | null {
    if (this.#settled.has(awake.machine)) return null;
    const { startedAt } = awake.machine;
    const leftMs = startedAt === null ? 0 : Date.parse(startedAt) + graceMs - Date.now();
    if (leftMs <= 0) {
      this.#settled.add(awake.machine);
      return null;
    }
    const key = keyOf(awake, port);
    if (this.#known.get(key) !== undefined) return null;
    return this.#waits.get(key) ?? this.#waitFor(key, awake, port, leftMs);
  }

  close(): void {
    this.#ports.close();
  }

  #waitFor(key: string, awake: AwakeMachine, port: number, leftMs: number): Promise<void> {
    const until = performance.now() + leftMs;
    const attempts = async () => {
      for (let pauseMs = firstRetryMs; ; pauseMs = Math.min(2 * pauseMs, retryMsMax)) {
        try {
          const connection = await this.connect(awake, port);
          connection.destroy();
          this.#known.set(key, true);
          return;
        } catch (error) {
          if (!isNotListening(error)) throw error;
          if (performance.now() + pauseMs > until) throw notReady(awake, port, error);
        }
        await sleep(pauseMs);
      }
    };
    const waiting = attempts().finally(() => this.#waits.delete(key));
    this.#waits.set(key, waiting);
    return waiting;
  }
}

function keyOf({ machine: { id, incarnation } }: AwakeMachine, port: number): string {
  return `${id} ${incarnation} ${port}`;
}

function isNotListening(error: unknown): error is AppError {
  return isAppError(error, 'conflict') && error.details?.state === undefined;
}

function notReady({ machine }: AwakeMachine, port: number, cause: AppError): AppError {
  return new AppError('timeout', `nothing listens on port ${port} of machine ${machine.id} yet`, { cause });
}
