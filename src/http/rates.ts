/**
 * Limits of requests per minute, by the tier of the key. All keys of one tier that a tenant has share one budget, which
 * refills evenly: with 60 a minute, one request a second, and up to 60 at once after a quiet minute.
 */
import { AppError } from '../core/errors.ts';
import type { Caller } from '../core/keys/caller.ts';
import { tierLimits } from '../core/quotas/tiers.ts';

const minuteMs = 60_000;
/** Beyond this, budgets that are full again are forgotten. */
const budgetsMax = 10_000;

interface Budget {
  /** Requests that may be made at once; a fraction while it refills. */
  left: number;
  atMs: number;
}

/** What is left after a request, for the headers of its answer. */
export interface RateState {
  readonly limit: number;
  readonly remaining: number;
  /** Seconds until the budget is full again. */
  readonly resetS: number;
}

export class Rates {
  readonly #budgets = new Map<string, Budget>();
  readonly #nowMs: () => number;

  /** `nowMs`: a monotonic clock. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Counts one request; null when the caller has no limit. Raises `rate_limited`. */
  take({ tenant, tier }: Pick<Caller, 'tenant' | 'tier'>): RateState | null {
    const limit = tier === null ? null : tierLimits[tier].requestsPerMinute;
    if (limit === null) return null;
    const name = `${tier} ${tenant}`;
    const now = this.#nowMs();
    const budget = this.#refilled(name, limit, now);
    if (budget.left < 1) {
      const retryAfterS = Math.max(1, Math.ceil(((1 - budget.left) * minuteMs) / limit / 1000));
      throw new AppError(
        'rate_limited',
        `More than ${limit} requests a minute: the limit of tier '${tier}'`,
        {
          hint: `Try again in ${retryAfterS} s, or use a key of a higher tier.`,
          details: { limit, tier, retryAfterS },
        },
      );
    }
    budget.left -= 1;
    const resetS = Math.ceil(((limit - budget.left) * minuteMs) / limit / 1000);
    return { limit, remaining: Math.floor(budget.left), resetS };
  }

  #refilled(name: string, limit: number, now: number): Budget {
    const known = this.#budgets.get(name);
    if (known) {
      known.left = Math.min(limit, known.left + ((now - known.atMs) * limit) / minuteMs);
      known.atMs = now;
      return known;
    }
    if (this.#budgets.size >= budgetsMax) this.#forgetFull(now);
    const full = { left: limit, atMs: now };
    this.#budgets.set(name, full);
    return full;
  }

  /** A budget is full a minute after its last request, and then the same as none. */
  #forgetFull(now: number): void {
    for (const [name, { atMs }] of this.#budgets) if (now - atMs >= minuteMs) this.#budgets.delete(name);
  }
}
