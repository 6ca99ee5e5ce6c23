/**
 * The HTTP application: request ids, the caller's session, and the routes of every dialect. Knows no engine,
 * store or guest; it gets core's services.
 */
import { Hono, type MiddlewareHandler } from 'hono';
import { getPath } from 'hono/utils/url';
import type { AppError } from '../core/errors.ts';
import { invariant } from '../lib/invariant.ts';
import { type RequestContext, withRequestContext } from '../lib/request-context.ts';
import { bearerKeys, bodyBytesMax, gate, isGate, unknownRouteAccess } from './access.ts';
import type { HttpDeps, HttpEnv } from './context.ts';
import { type Dialect, fullPath, methodsOf, pickDialect, routingPath } from './dialect.ts';
import { docs, frontDoor } from './docs.ts';
import { MethodNotAllowed, RangeNotSatisfiable, toAppError, UpgradeRequired } from './errors.ts';
import { Holdings, memoryHeld, requestsHeld } from './holdings.ts';
import { errorFor } from './host-paths.ts';
import { allowOrigins, checkHost } from './origin.ts';
import { Rates } from './rates.ts';
import { requestIdOf } from './request-id.ts';
import { type AnsweredRequest, RequestLog } from './request-log.ts';
import { Session, type SessionDeps } from './session.ts';

const bodyDeadlineMs = 60_000;
/** Value of Retry-After for temporary refusals that do not name one: most shortages end within a second. */
const retryAfterDefaultS = 1;

/**
 * No middleware may touch the web Request's body or signal, or create the answer's Headers: the adapter makes
 * those objects on demand, and they cost more than the rest of a small request.
 */
export function createApp(dialects: readonly Dialect[], deps: HttpDeps): Hono<HttpEnv> {
  const nouns = dialects.flatMap((dialect) => dialect.nouns);
  const named = nouns.flatMap(({ prefixes, hasSlashesInNames }) => (hasSlashesInNames ? prefixes : []));
  const app = new Hono<HttpEnv>({ getPath: (request) => routingPath(named, getPath(request)) });
  const root = pickDialect(dialects, '/');
  app.use(openSessions(dialects, deps));
  app.use(allowOrigins(deps.corsOrigins));
  if (deps.isHostName) app.use(checkHost(deps.isHostName, deps.corsOrigins));
  app.route('/', frontDoor());
  app.route('/docs', docs(dialects, root.document.name, deps.version));
  for (const { prefixes, routes, makeApp } of nouns) {
    const noun = makeApp(deps);
    for (const prefix of prefixes) {
      for (const route of routes) {
        const { middleware } = route;
        invariant(isGate(middleware), `${route.method} ${fullPath(prefix, route)} has no gate`);
      }
      app.route(prefix, noun);
    }
  }
  app.all('*', gate(unknownRouteAccess), (c) => {
    const { method, path } = c.req;
    const dialect = pickDialect(dialects, path);
    throw dialect.unknownRoute(c.env.isHead ? 'HEAD' : method, path, methodsOf(dialect, path));
  });
  app.onError((thrown, c) => {
    const error = toAppError(thrown);
    const requestId = c.get('requestId');
    const shown = errorFor(error, c.get('caller')?.isOperator ?? false);
    const { status, body } = pickDialect(dialects, c.req.path).renderError(shown, requestId);
    if (status === 500) deps.log.error({ requestId, path: c.req.path, err: thrown }, 'request failed');
    return c.json(body, status, {
      ...(status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}),
      ...(status === 503 || status === 429 ? { 'Retry-After': String(retryAfterOf(error)) } : {}),
      ...(error instanceof RangeNotSatisfiable ? { 'Content-Range': `bytes */${error.bytes}` } : {}),
      ...(error instanceof UpgradeRequired ? { Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' } : {}),
      ...(error instanceof MethodNotAllowed ? { Allow: error.allowed.join(', ') } : {}),
    });
  });
  return app;
}

/** Gives every request its session, and logs it once it is answered. */
function openSessions(dialects: readonly Dialect[], deps: HttpDeps): MiddlewareHandler<HttpEnv> {
  const requestLog = new RequestLog(deps.log);
  const sessionDeps: SessionDeps = {
    keys: deps.keys,
    keysOf: ({ url = '/', headers }) => (pickDialect(dialects, pathOf(url)).keysOf ?? bearerKeys)(headers),
    endings: deps.apiKeys,
    memory: new Holdings(memoryHeld, 'memory for requests and their answers'),
    requests: new Holdings(requestsHeld, 'requests under way'),
    rates: deps.rates ?? new Rates(),
    bodyLimits: {
      bytesMax: deps.bodyBytesMax ?? bodyBytesMax,
      deadlineMs: deps.bodyDeadlineMs ?? bodyDeadlineMs,
    },
  };
  return async (c, next) => {
    const requestId = requestIdOf(c.env.outgoing);
    c.set('requestId', requestId);
    c.set('session', new Session(sessionDeps, c.env));
    const begun = performance.now();
    const context: RequestContext = { requestId };
    await withRequestContext(context, next);
    const endedMs = performance.now();
    const answered: AnsweredRequest = {
      ...context,
      method: c.env.isHead ? 'HEAD' : c.req.method,
      path: c.req.path,
      status: c.env.upgrade?.isTaken ? 101 : c.res.status,
      ms: endedMs - begun,
      caller: c.get('caller'),
      address: c.env.connection.address,
    };
    requestLog.note(answered, endedMs);
  };
}

function pathOf(target: string): string {
  const end = target.indexOf('?');
  return end < 0 ? target : target.slice(0, end);
}

/** In seconds. */
function retryAfterOf({ details }: AppError): number {
  const { retryAfterS } = details ?? {};
  return typeof retryAfterS === 'number' ? retryAfterS : retryAfterDefaultS;
}
