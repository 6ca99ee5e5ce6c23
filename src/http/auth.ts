/** From an Authorization header to a Caller. Paths that answer without a key are named here and nowhere else. */
import type { MiddlewareHandler } from 'hono';
import { AppError } from '../core/errors.ts';
import type { KeyVerifier } from '../core/keys/caller.ts';
import type { HttpEnv } from './context.ts';

const publicPaths: ReadonlySet<string> = new Set(['/health', '/docs', '/docs/json']);

export function authenticate(keys: KeyVerifier): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    if (!publicPaths.has(c.req.path))
      c.set('caller', await keys.verify(bearerKey(c.req.header('authorization'))));
    await next();
  };
}

function bearerKey(header: string | undefined): string | null {
  if (header === undefined) return null;
  const match = /^Bearer +(\S+) *$/i.exec(header);
  if (!match?.[1]) {
    throw new AppError('unauthenticated', 'Authorization header must be of the form: Bearer <key>');
  }
  return match[1];
}
