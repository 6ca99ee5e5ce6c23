/**
 * Queues imports. Each tenant has one running and one waiting import, counted from the first byte. The host
 * builds two images at a time, so a build that takes long leaves a place to the other tenants. An upload joins
 * the host's queue only when it is complete, so a slow sender delays nobody else.
 */
import { deadline } from '../../lib/abort.ts';
import { Limiter, QueueFullError } from '../../lib/limiter.ts';
import { AppError } from '../errors.ts';

/** Builds at a time. More would share the disk's bandwidth, which one build nearly uses up. */
export const importsAtOnce = 2;
/** Limit of the host's queue; it holds at most one import of each tenant. */
export const importQueueMax = 16;

export interface TurnTimeouts {
  /**
   * How long a tenant's import waits for the previous one. Bounded because a client's disconnect is not
   * noticed while its upload waits.
   */
  readonly tenantMs: number;
  /**
   * How long a complete upload waits for the host: as long as a build that started before it may take.
   */
  readonly hostMs: number;
}
export const turnTimeoutsDefault: TurnTimeouts = { tenantMs: 30_000, hostMs: 20 * 60_000 };
const hint = 'Try again when the imports before it are done.';

interface TenantTurns {
  readonly turns: Limiter;
  users: number;
}

export class ImportTurns {
  readonly #timeouts: TurnTimeouts;
  readonly #host = new Limiter(importsAtOnce, importQueueMax);
  /** Tenants with a running import. */
  readonly #tenants = new Map<string, TenantTurns>();

  constructor(timeouts = turnTimeoutsDefault) {
    this.#timeouts = timeouts;
  }

  /**
   * Runs `work` in the tenant's turn. Raises `exhausted` when another import of the tenant waits already, or
   * the wait is too long.
   */
  async ofTenant<T>(tenant: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const entry = this.#tenants.get(tenant) ?? { turns: new Limiter(1, 1), users: 0 };
    this.#tenants.set(tenant, entry);
    entry.users += 1;
    try {
      const full = 'your tenant has an import under way and one that waits already';
      return await inTurn(entry.turns, { signal, full, timeoutMs: this.#timeouts.tenantMs }, work);
    } finally {
      entry.users -= 1;
      if (entry.users === 0) this.#tenants.delete(tenant);
    }
  }

  /** Runs `work` in the host's turn. Raises `exhausted` in the same cases. */
  ofHost<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const full = `${importQueueMax} imports wait already`;
    return inTurn(this.#host, { signal, full, timeoutMs: this.#timeouts.hostMs }, work);
  }
}

interface TurnOptions {
  readonly signal: AbortSignal;
  readonly full: string;
  readonly timeoutMs: number;
}

async function inTurn<T>(turns: Limiter, options: TurnOptions, work: () => Promise<T>): Promise<T> {
  const { signal, full, timeoutMs } = options;
  const message = `the import’s turn did not come within ${timeoutMs / 1000} s`;
  const limit = deadline(timeoutMs, () => new AppError('exhausted', message, { hint }), signal);
  let release: () => void;
  try {
    release = await turns.acquire(limit.signal);
  } catch (error) {
    if (!(error instanceof QueueFullError)) throw error;
    throw new AppError('exhausted', full, { cause: error, hint });
  } finally {
    limit.clear();
  }
  try {
    return await work();
  } finally {
    release();
  }
}
