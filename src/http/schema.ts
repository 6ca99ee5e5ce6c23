/** Schemas shared by several nouns. */
import { z } from '@hono/zod-openapi';

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
  .openapi({ description: 'UTC, ISO 8601.', example: '2026-11-22T08:30:00.000Z' });

/**
 * Numbers in queries must be decimal digits: JavaScript’s own conversion would accept `1e1`, `0x10` and an
 * empty text.
 */
export const wholeNumber = <T extends z.ZodType>(number: T) =>
  z.preprocess((text) => (typeof text === 'string' && /^-?\d+$/.test(text) ? Number(text) : text), number);

/** Query parameters for a page of `things`, a capitalised plural. */
export const pageQuery = (things: string) => ({
  limit: wholeNumber(z.number().int().min(1).max(1000).default(50)).openapi({
    param: { description: `${things} on a page.` },
  }),
  offset: wholeNumber(z.number().int().min(0).default(0)).openapi({
    maximum: integerMax,
    param: { description: `${things} to skip.` },
  }),
});

export const errorBody = z
  .object({
    error: z.object({
      code: z.string().openapi({ example: 'NOT_FOUND' }),
      message: z.string().openapi({ example: "Machine with id 'abc123' not found" }),
      request_id: z.string().optional(),
      retryable: z.boolean().optional(),
      hint: z.string().optional(),
      details: z.record(z.string(), z.unknown()).optional().openapi({
        description: 'Facts for programs: of a command that was killed at its timeout, what it had written.',
      }),
    }),
  })
  .openapi('Error');
