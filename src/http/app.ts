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
import { nouns } from './dialects/machines/nouns.ts';
import { docs } from './docs.ts';
import { BodyTooLarge } from './errors.ts';

/** The largest request: an exec with 8 MiB of stdin in base64 and room for its other fields. */
const bodyBytesMax = 12 * 1024 * 1024;

export function createApp(deps: HttpDeps): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  app.use(requestId(deps));
  if (deps.allowedHosts) app.use(checkHost(deps.allowedHosts));
  app.route('/docs', docs(deps.version));
  // Before a body is read: strangers have none buffered.
  app.use(authenticate(deps.keys));
  app.use(
    bodyLimit({
      maxSize: bodyBytesMax,
      onError: () => {
        throw new BodyTooLarge(bodyBytesMax);
      },
    }),
  );
  app.get('/health', (c) => c.json({ status: 'ok', version: deps.version }));
  for (const { prefixes, makeApp } of nouns) {
    const noun = makeApp(deps);
    for (const prefix of prefixes) app.route(prefix, noun);
  }
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

/**
 * Without keys, a web page in the user's browser could reach us: by a name it controls (DNS rebinding), or by a request
 * that needs no answer (a form, a fetch without CORS). Programs send neither Origin nor Sec-Fetch-Site.
 */
function checkHost(allowed: ReadonlySet<string>): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const host = hostName(c.req.header('host') ?? '');
    const origin = c.req.header('origin');
    const isForeign =
      !allowed.has(host) ||
      (origin !== undefined && !allowed.has(hostName(origin.replace(/^https?:\/\//, '')))) ||
      c.req.header('sec-fetch-site') === 'cross-site';
    if (isForeign) {
      throw new AppError('forbidden', 'requests from elsewhere are not served while authentication is off', {
        hint: 'Use 127.0.0.1 or localhost, or turn authentication on.',
      });
    }
    await next();
  };
}

function hostName(hostAndPort: string): string {
  return hostAndPort.replace(/:\d+$/, '').toLowerCase();
}
