/** Reads elements of sets as `nft -j` shows them. Pure. */
import { z } from 'zod';

const range = z.object({
  range: z.tuple([z.union([z.string(), z.number()]), z.union([z.string(), z.number()])]),
});
const prefix = z.object({ prefix: z.object({ addr: z.string(), len: z.number() }) });
const part = z.union([z.string(), z.number(), range, prefix]);
const value = z.union([z.object({ concat: z.array(part) }), part]);
const withFacts = z.object({
  elem: z.object({
    val: value,
    timeout: z.number().optional(),
    expires: z.number().optional(),
    counter: z.object({ packets: z.number(), bytes: z.number() }).optional(),
  }),
});

export interface ShownElement {
  /** Each part of the key as nft reads it. */
  readonly parts: readonly string[];
  /** Seconds until it expires. */
  readonly expiresS: number | null;
  readonly packets: number;
}

/** Raises when nft shows something else. */
export function readElement(shown: unknown): ShownElement {
  const facts = withFacts.safeParse(shown);
  const { val, expires, counter } = facts.success ? facts.data.elem : { val: value.parse(shown) };
  const parts = typeof val === 'object' && 'concat' in val ? val.concat : [val];
  return { parts: parts.map(textOf), expiresS: expires ?? null, packets: counter?.packets ?? 0 };
}

function textOf(shown: z.infer<typeof part>): string {
  if (typeof shown !== 'object') return String(shown);
  return 'range' in shown ? shown.range.join('-') : `${shown.prefix.addr}/${shown.prefix.len}`;
}
