/**
 * Who may import when. A tenant has one import at a time and one that waits, from its first byte on; the host makes one
 * image at a time, because that alone fills the disk's bandwidth. An upload waits for the host only when all of it is
 * here, so a slow sender keeps nobody else waiting.
 */
import { deadline } from '../../lib/abort.ts';
import { Limiter, QueueFullError } from '../../lib/limiter.ts';
import { AppError } from '../errors.ts';

/** Imports that may wait for the one that is being made. */
export const importQueueMax = 16;

export interface TurnTimeouts {
  /** How long a tenant's import waits for the one before it: a client that goes while its upload waits is not seen to go. */
  readonly tenantMs: number;
  /** How long one that is all here waits for the host: it has cost its sender more than that already. */
  readonly hostMs: number;
}
export const turnTimeoutsDefault: TurnTimeouts = { tenantMs: 30_000, hostMs: 10 * 60_000 };
const hint = 'Try again when the imports before it are done.';

interface TenantTurns {
  readonly turns: Limiter;
  users: number;
}

export class ImportTurns {
  readonly #timeouts: TurnTimeouts;
  readonly #host = new Limiter(1, importQueueMax);
  /** Of tenants that import now. */
  readonly #tenants = new Map<string, TenantTurns>();

  constructor(timeouts = turnTimeoutsDefault) {
    this.#timeouts = timeouts;
  }

  /** Runs `work` in the tenant's turn. Raises `exhausted` when another of its imports waits already, or for too long. */
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

  /** Runs `work` in the host's turn. Raises `exhausted` likewise. */
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
