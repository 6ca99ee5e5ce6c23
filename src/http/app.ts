/**
 * The one HTTP application: request ids, limits, authentication, then the dialects. Knows no engine, store or guest;
 * it is handed core's services.
 */
import { Hono, type MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import { AppError } from '../core/errors.ts';
import type { Caller } from '../core/keys/caller.ts';
import { authenticate } from './auth.ts';
import { readBodies } from './body.ts';
import type { HttpDeps, HttpEnv } from './context.ts';
import { renderError } from './dialects/machines/errors.ts';
import { isUpload, nouns } from './dialects/machines/nouns.ts';
import { docs } from './docs.ts';
import { requestIdHeader, requestIdOf } from './request-id.ts';

/** The largest request: an exec with 8 MiB of stdin in base64 and room for its other fields. */
const bodyBytesMax = 12 * 1024 * 1024;
const bodyDeadlineMs = 60_000;
/** How long a browser may remember that an origin is allowed. */
const corsMaxAgeS = 600;

/**
 * The order matters: what refuses strangers comes before what reads their bodies. No middleware may touch the web
 * Request's body or signal, or make the answer's Headers: the adapter builds those objects only when they are asked
 * for, and they cost more than all else that a small request does.
 */
export function createApp(deps: HttpDeps): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  app.use(logRequests(deps));
  if (deps.corsOrigins.size > 0) app.use(allowOrigins(deps.corsOrigins));
  if (deps.isHostName) app.use(checkHost(deps.isHostName, deps.corsOrigins));
  app.route('/docs', docs(deps.version));
  app.use(authenticate(deps.keys));
  app.use(
    readBodies({
      bytesMax: deps.bodyBytesMax ?? bodyBytesMax,
      deadlineMs: deps.bodyDeadlineMs ?? bodyDeadlineMs,
      isStreamed: isUpload,
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

/** What changes something or is refused is told at `info`; what only reads, and strangers, at `debug`. */
function logRequests({ log }: HttpDeps): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const requestId = requestIdOf(c.env.outgoing);
    c.set('requestId', requestId);
    const begun = performance.now();
    await next();
    const { method, path } = c.req;
    const caller: Caller | undefined = c.get('caller');
    const isRead = method === 'GET' || method === 'HEAD';
    log[caller === undefined || (isRead && c.res.status < 400) ? 'debug' : 'info'](
      {
        requestId,
        method,
        path,
        status: c.res.status,
        ms: performance.now() - begun,
        tenant: caller?.tenant,
        keyName: caller?.keyName,
      },
      'request',
    );
  };
}

function allowOrigins(origins: ReadonlySet<string>): MiddlewareHandler<HttpEnv> {
  return cors({
    origin: [...origins],
    allowHeaders: ['Authorization', 'Content-Type', requestIdHeader, 'X-Correlation-ID'],
    exposeHeaders: [requestIdHeader, 'Retry-After'],
    maxAge: corsMaxAgeS,
  });
}

/**
 * Without keys, a web page in the user's browser could reach us: by a name it controls (DNS rebinding), or by a request
 * that needs no answer (a form, a fetch without CORS). Programs send neither Origin nor Sec-Fetch-Site.
 */
function checkHost(
  isHostName: (name: string) => boolean,
  corsOrigins: ReadonlySet<string>,
): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const host = c.req.header('host') ?? '';
    const origin = c.req.header('origin');
    const isWelcome = origin !== undefined && corsOrigins.has(origin);
    const isOurs = isOwnOrigin(origin, host) && isOwnSite(c.req.header('sec-fetch-site'));
    if (!isHostName(hostNameOf(host)) || !(isWelcome || isOurs)) {
      throw new AppError('forbidden', 'requests from elsewhere are not served while authentication is off', {
        hint: 'Use the address itself or localhost, or turn authentication on.',
      });
    }
    await next();
  };
}

/** The port counts: another of this host's may be anybody's. */
function isOwnOrigin(origin: string | undefined, host: string): boolean {
  return origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
}

function isOwnSite(site: string | undefined): boolean {
  return site === undefined || site === 'none' || site === 'same-origin';
}

function hostNameOf(hostAndPort: string): string {
  return hostAndPort.replace(/:\d+$/, '').toLowerCase();
}
