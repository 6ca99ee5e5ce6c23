/**
 * Reads bodies as Hatch does: whatever their content type, and in the handler, because some routes check other things
 * first.
 */
import type { Context } from 'hono';
import type { z } from 'zod';
import { AppError } from '../../../core/errors.ts';
import { hasBody } from '../../body.ts';
import type { HttpEnv } from '../../context.ts';
import { BadRequest, oneJsonValue } from '../../errors.ts';
import { describeIssue } from '../../issues.ts';
import { idParams } from './schema.ts';

/** Raises BadRequest for a missing or unreadable body, `invalid` for a wrong one. */
export async function readBody<T extends z.ZodType>(c: Context<HttpEnv>, schema: T): Promise<z.infer<T>> {
  if (!hasBody(c.env.incoming)) throw new BadRequest('the request body is empty', oneJsonValue);
  const value: unknown = await c.req.json().catch(() => {
    throw new BadRequest('Malformed JSON in request body', oneJsonValue);
  });
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new AppError('invalid', describeIssue(parsed.error, value));
  return parsed.data;
}

/** The id in the path, of a route that validates its body itself. Raises `invalid`. */
export function idOf(c: Context<HttpEnv>): string {
  const parsed = idParams.safeParse({ id: c.req.param('id') });
  if (parsed.success) return parsed.data.id;
  throw new AppError('invalid', describeIssue(parsed.error, {}));
}
