/** From an Authorization header to a Caller. Paths that answer without a key are named here and nowhere else. */
import type { MiddlewareHandler } from 'hono';
import { AppError } from '../core/errors.ts';
import { checkScope, type KeyVerifier, type Scope } from '../core/keys/caller.ts';
import type { HttpEnv } from './context.ts';

const publicPaths: ReadonlySet<string> = new Set(['/health', '/docs', '/docs/json']);

export function authenticate(keys: KeyVerifier): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    if (!publicPaths.has(c.req.path))
      c.set('caller', await keys.verify(bearerKey(c.req.header('authorization'))));
    await next();
  };
}

/**
 * What a route's definition spreads in to be for callers with this scope only: the check, and its mention in the
 * OpenAPI document.
 */
export function needs(scope: Scope) {
  const middleware: MiddlewareHandler<HttpEnv> = async (c, next) => {
    checkScope(c.get('caller'), scope);
    await next();
  };
  return { security: [{ bearerAuth: [scope] }], middleware };
}

function bearerKey(header: string | undefined): string | null {
  if (header === undefined) return null;
  const match = /^Bearer +(\S+) *$/i.exec(header);
  if (!match?.[1]) {
    throw new AppError('unauthenticated', 'Authorization header must be of the form: Bearer <key>');
  }
  return match[1];
}
