/** Validates values against schemas when they enter or leave the database. */
import type { z } from 'zod';
import { invariant } from '../lib/invariant.ts';

/** Returns the value as its type; raises InvariantError naming the invalid fields, never their contents. */
export function validate<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = result.error.issues.map((issue) => `${issue.path.join('.') || 'it'} (${issue.code})`);
  invariant(false, `${what} is malformed: ${fields.join(', ')}`);
}
