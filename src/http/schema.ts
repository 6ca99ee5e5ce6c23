/** Schemas shared by several nouns. */
import { z } from '@hono/zod-openapi';
import { nearest } from './nearest.ts';

/** What `request_id` looks like in examples. */
export const exampleRequestId = '0a1b8d52-3f6c-4d7e-9b1a-5c2e7f8d9a10';

/** The library’s types only know the keywords of OpenAPI 3.0. */
export const openApi31 = (keywords: Readonly<Record<string, unknown>>): object => keywords;

/** The maximum of `z.int()`, which the document would otherwise omit. */
export const integerMax = Number.MAX_SAFE_INTEGER;

/** Text that may become a file name, argument or environment entry must not contain NUL. */
export const noNul = (text: string) => !text.includes('\0');
export const noNulPattern = '^[^\\u0000]*$';

/** A time, as every noun shows it. */
export const moment = z.iso
  .datetime()
  .openapi({ description: 'Time in UTC, ISO 8601.', example: '2026-11-22T08:30:00.000Z' });

/**
 * Numbers in queries must be decimal digits: JavaScript’s own conversion would accept `1e1`, `0x10` and an
 * empty text.
 */
export const wholeNumber = <T extends z.ZodType>(number: T) =>
  z.preprocess((text) => (typeof text === 'string' && /^-?\d+$/.test(text) ? Number(text) : text), number);

const flags: ReadonlyMap<unknown, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

/** A boolean query parameter; false by default. */
export const flag = (description: string) =>
  z
    .preprocess(
      (text) => flags.get(typeof text === 'string' ? text.toLowerCase() : text) ?? text,
      z.boolean().default(false),
    )
    .openapi({ param: { description } });

/** A query parameter that may be repeated: any of its values matches, unless the description says otherwise. */
export const many = <T extends z.ZodType>(item: T) =>
  z.preprocess(
    (value) => (typeof value === 'string' ? [value] : value),
    z.array(item).min(1).max(16).optional(),
  );

/**
 * An object with exactly these fields. If unknown names were ignored, a misspelled filter would list too much, and a
 * misspelled option would have no effect.
 */
export const closed = <Shape extends z.ZodRawShape>(shape: Shape) => closedObject(shape, 'field');

/** The same for the parameters of a query. */
export const closedQuery = <Shape extends z.ZodRawShape>(shape: Shape) =>
  closedObject(shape, 'query parameter');

function closedObject<Shape extends z.ZodRawShape>(shape: Shape, what: string) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? unknownName(what, issue.keys[0] ?? '', Object.keys(shape))
        : undefined,
  });
}

const namesShownMax = 40;

/** `unknown field 'lables': did you mean 'labels'?` */
export function unknownName(what: string, name: string, known: readonly string[]): string {
  const shown = `unknown ${what} '${name.slice(0, namesShownMax)}'`;
  const meant = nearest(name.slice(0, namesShownMax), known);
  if (meant !== null) return `${shown}: did you mean '${meant}'?`;
  return known.length === 0 ? `${shown}: there are none here` : `${shown}: there are ${known.join(', ')}`;
}

/** Query parameters for a page of `things`, a capitalised plural. */
export const pageQuery = (things: string) => ({
  limit: wholeNumber(z.number().int().min(1).max(1000).default(50)).openapi({
    param: { description: `Maximum number of ${things.toLowerCase()} to return, at most 1000.` },
  }),
  offset: wholeNumber(z.number().int().min(0).default(0)).openapi({
    maximum: integerMax,
    param: { description: `Number of ${things.toLowerCase()} to skip.` },
  }),
});

export const errorBody = z
  .object({
    error: z.object({
      code: z.string().openapi({ description: 'For programs.', example: 'NOT_FOUND' }),
      message: z
        .string()
        .openapi({ description: 'For people.', example: "Machine with id 'abc123' not found" }),
      request_id: z.string().optional().openapi({ description: 'The id in the daemon’s log.' }),
      retryable: z
        .boolean()
        .optional()
        .openapi({ description: 'Whether the same request may succeed later without further effects.' }),
      hint: z.string().optional().openapi({ description: 'What to do next.' }),
      details: z.record(z.string(), z.unknown()).optional().openapi({
        description:
          'Further facts for programs, such as the output of a command that was killed at its timeout.',
      }),
    }),
  })
  .openapi('Error');
