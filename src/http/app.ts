/**
 * The one HTTP application: request ids, limits, authentication, then the dialects. Knows no engine, store or guest;
 * it is handed core's services.
 */
import { randomUUID } from 'node:crypto';
import { Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { AppError } from '../core/errors.ts';
import { authenticate } from './auth.ts';
import type { HttpDeps, HttpEnv } from './context.ts';
import { renderError } from './dialects/machines/errors.ts';
import { machinesDialect } from './dialects/machines/routes.ts';
import { BodyTooLarge } from './errors.ts';

/** The largest request: an exec with 8 MiB of stdin in base64 and room for its other fields. */
const bodyBytesMax = 12 * 1024 * 1024;

export function createApp(deps: HttpDeps): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  app.use(requestId(deps));
  if (deps.allowedHosts) app.use(checkHost(deps.allowedHosts));
  app.use(
    bodyLimit({
      maxSize: bodyBytesMax,
      onError: () => {
        throw new BodyTooLarge(bodyBytesMax);
      },
    }),
  );
  app.use(authenticate(deps.keys));
  app.get('/health', (c) => c.json({ status: 'ok', version: deps.version }));
  app.route('/machines', machinesDialect(deps));
  app.notFound((c) => {
    throw new AppError('not_found', `Route ${c.req.method} ${c.req.path} not found`);
  });
  app.onError((error, c) => renderError(error, c, deps.log));
  return app;
}

/** Accepts the caller's id for the request when it is a plain one, else makes one; echoes it and logs by it. */
function requestId(deps: HttpDeps): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const given = c.req.header('x-request-id') ?? c.req.header('x-correlation-id');
    const id = given && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
    c.set('requestId', id);
    c.header('X-Request-Id', id);
    const correlation = c.req.header('x-correlation-id');
    if (correlation && /^[\w.:-]{1,128}$/.test(correlation)) c.header('X-Correlation-ID', correlation);
    const begun = performance.now();
    await next();
    deps.log.debug(
      {
        requestId: id,
        method: c.req.method,
        path: c.req.path,
        status: c.res.status,
        ms: performance.now() - begun,
      },
      'request',
    );
  };
}

/** Without keys, a web page in the user's browser could reach us by a name it controls (DNS rebinding). */
function checkHost(allowed: ReadonlySet<string>): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const host = (c.req.header('host') ?? '').replace(/:\d+$/, '').toLowerCase();
    if (!allowed.has(host)) {
      throw new AppError('forbidden', `Host '${host}' is not served while authentication is off`, {
        hint: 'Use 127.0.0.1 or localhost.',
      });
    }
    await next();
  };
}
