/**
 * The HTTP application: request ids, the caller's session, and the routes of every dialect. Knows no engine,
 * store or guest; it gets core's services.
 */
import { Hono, type MiddlewareHandler } from 'hono';
import { invariant } from '../lib/invariant.ts';
import { bodyBytesMax, gate, isGate, unknownRouteAccess } from './access.ts';
import type { HttpDeps, HttpEnv } from './context.ts';
import { type Dialect, fullPath, methodsOf, pickDialect } from './dialect.ts';
import { docs, frontDoor } from './docs.ts';
import { MethodNotAllowed, toAppError } from './errors.ts';
import { Holdings, memoryHeld, requestsHeld } from './holdings.ts';
import { makeDocuments } from './openapi.ts';
import { allowOrigins, checkHost } from './origin.ts';
import { requestIdOf } from './request-id.ts';
import { type AnsweredRequest, RequestLog } from './request-log.ts';
import { Session, type SessionDeps } from './session.ts';

const bodyDeadlineMs = 60_000;
/** Value of Retry-After for temporary refusals: most shortages end within a second. */
const retryAfterS = 1;

/**
 * No middleware may touch the web Request's body or signal, or create the answer's Headers: the adapter makes
 * those objects on demand, and they cost more than the rest of a small request.
 */
export function createApp(dialects: readonly Dialect[], deps: HttpDeps): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  const root = pickDialect(dialects, '/');
  const document = makeDocuments(dialects, deps.version)[root.document.name];
  invariant(document !== undefined, 'the first dialect has no document');
  app.use(openSessions(deps));
  app.use(allowOrigins(deps.corsOrigins));
  if (deps.isHostName) app.use(checkHost(deps.isHostName, deps.corsOrigins));
  app.route('/', frontDoor());
  app.route('/docs', docs(document));
  for (const { prefixes, routes, makeApp } of dialects.flatMap(({ nouns }) => nouns)) {
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
    const { status, body } = pickDialect(dialects, c.req.path).renderError(error, requestId);
    if (status === 500) deps.log.error({ requestId, path: c.req.path, err: thrown }, 'request failed');
    return c.json(body, status, {
      ...(status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}),
      ...(status === 503 ? { 'Retry-After': String(retryAfterS) } : {}),
      ...(error instanceof MethodNotAllowed ? { Allow: error.allowed.join(', ') } : {}),
    });
  });
  return app;
}

/** Gives every request its session, and logs it once it is answered. */
function openSessions(deps: HttpDeps): MiddlewareHandler<HttpEnv> {
  const requestLog = new RequestLog(deps.log);
  const sessionDeps: SessionDeps = {
    keys: deps.keys,
    endings: deps.apiKeys,
    memory: new Holdings(memoryHeld, 'memory for requests and their answers'),
    requests: new Holdings(requestsHeld, 'requests under way'),
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
    await next();
    const endedMs = performance.now();
    const answered: AnsweredRequest = {
      requestId,
      method: c.env.isHead ? 'HEAD' : c.req.method,
      path: c.req.path,
      status: c.res.status,
      ms: endedMs - begun,
      caller: c.get('caller'),
      address: c.env.connection.address,
    };
    requestLog.note(answered, endedMs);
  };
}
