/**
 * What callers hold of this daemon's memory and attention while their requests last: bytes of bodies and of gathered
 * answers, and requests under way. Each tenant has a share; the operator's share is nobody else's, so the operator always gets in.
 */
import { AppError } from '../core/errors.ts';
import type { Caller } from '../core/keys/caller.ts';

/** All tenants together, and each; the operator has `perHolder` beside that. */
export interface HoldingLimits {
  readonly total: number;
  readonly perHolder: number;
}

/**
 * Bytes of bodies and of answers that are gathered: two of the largest for each caller; more than three tenants' worth of
 * them would not fit 300 MiB.
 */
export const memoryHeld: HoldingLimits = { total: 64 * 2 ** 20, perHolder: 25 * 2 ** 20 };
/** A request under way takes some 20 KiB. */
export const requestsHeld: HoldingLimits = { total: 3072, perHolder: 1024 };

/** The name that a caller's holdings are counted under. */
export function holderOf({ isOperator, tenant }: Caller): string | null {
  return isOperator ? null : tenant;
}

export class Holdings {
  readonly #limits: HoldingLimits;
  readonly #what: string;
  /** By holder; null: the operator. */
  readonly #held = new Map<string | null, number>();
  #total = 0;

  /** `what` names the thing in a refusal: `bytes of request bodies`. */
  constructor(limits: HoldingLimits, what: string) {
    this.#limits = limits;
    this.#what = what;
  }

  /** Raises `exhausted` when the holder, or all together, would hold too much. */
  take(holder: string | null, amount: number): void {
    const held = (this.#held.get(holder) ?? 0) + amount;
    if (held > this.#limits.perHolder) throw this.#refusal('your other requests hold');
    if (holder !== null) {
      if (this.#total + amount > this.#limits.total) throw this.#refusal('other requests hold');
      this.#total += amount;
    }
    this.#held.set(holder, held);
  }

  give(holder: string | null, amount: number): void {
    const held = (this.#held.get(holder) ?? 0) - amount;
    if (held > 0) this.#held.set(holder, held);
    else this.#held.delete(holder);
    if (holder !== null) this.#total -= amount;
  }

  /** What is held now, of all holders. */
  get isEmpty(): boolean {
    return this.#held.size === 0;
  }

  #refusal(whose: string): AppError {
    return new AppError('exhausted', `${whose} all the ${this.#what} there is room for`, {
      hint: 'Try again when some of them have ended.',
    });
  }
}
