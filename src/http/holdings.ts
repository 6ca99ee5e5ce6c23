/**
 * Limits what callers hold while their requests last: bytes of bodies and buffered answers, and open
 * requests. Each tenant has a share. The operator has a separate share, so that the operator always gets in.
 */
import { AppError } from '../core/errors.ts';
import type { Caller } from '../core/keys/caller.ts';

/** Limits for all tenants together and for each; the operator has `perHolder` in addition. */
export interface HoldingLimits {
  readonly total: number;
  readonly perHolder: number;
}

/**
 * Bytes of bodies and buffered answers: two of the largest per caller. More than three tenants' worth would
 * not fit into 300 MiB.
 */
export const memoryHeld: HoldingLimits = { total: 64 * 2 ** 20, perHolder: 25 * 2 ** 20 };
/** An open request uses about 20 KiB. */
export const requestsHeld: HoldingLimits = { total: 3072, perHolder: 1024 };

/** The name under which a caller's holdings are counted. */
export function holderOf({ isOperator, tenant }: Caller): string | null {
  return isOperator ? null : tenant;
}

export class Holdings {
  readonly #limits: HoldingLimits;
  readonly #what: string;
  /** By holder; null: the operator. */
  readonly #held = new Map<string | null, number>();
  #total = 0;

  /** `what` names the resource in a refusal: `bytes of request bodies`. */
  constructor(limits: HoldingLimits, what: string) {
    this.#limits = limits;
    this.#what = what;
  }

  /** Raises `exhausted` when the holder, or all holders together, would exceed the limit. */
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
