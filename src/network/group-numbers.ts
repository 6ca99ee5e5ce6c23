/** Numbers of machines' groups, as the rules know them: packets cannot be marked with names. */
import type { Attachment } from '../core/ports/network.ts';
import { numberOf } from './rules/elements.ts';

type Member = Pick<Attachment, 'tenant' | 'group'>;

export class GroupNumbers {
  /** Those in use, by tenant and group. */
  readonly #numbers = new Map<string, number>();

  /** The same number for the same group, in the next daemon too, unless another group has it. Null without a group. */
  of(member: Member): number | null {
    const key = keyOf(member);
    if (key === null) return null;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const taken = new Set(this.#numbers.values());
    let number = numberOf(key);
    while (taken.has(number) || number === 0) number = (number + 1) >>> 0;
    this.#numbers.set(key, number);
    return number;
  }

  /** Frees the numbers of groups that have no member any more. */
  retain(members: readonly Member[]): void {
    if (this.#numbers.size === 0) return;
    const used = new Set(members.map(keyOf));
    for (const key of this.#numbers.keys()) if (!used.has(key)) this.#numbers.delete(key);
  }
}

function keyOf({ tenant, group }: Member): string | null {
  return group === null ? null : JSON.stringify([tenant, group]);
}
