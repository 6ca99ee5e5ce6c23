/**
 * What a route asks of its callers, declared beside its path, and the gate that enforces it. The gate runs after the
 * route is known and before anything else of it, in this order: key, scope, budget, body. Nothing of a body is read
 * before the key is good, whatever the method and path.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { MiddlewareHandler } from 'hono';
import { AppError } from '../core/errors.ts';
import { checkScope, type Scope } from '../core/keys/caller.ts';
import { declaredBytes, hasBody, readWhole } from './body.ts';
import { checkText } from './body-text.ts';
import type { HttpEnv } from './context.ts';
import { BadRequest, BodyTooLarge, BodyTooSlow, UnsupportedMediaType } from './errors.ts';
import type { Session } from './session.ts';

/** The largest body that is no upload: an exec with 8 MiB of stdin in base64 and room for its other fields. */
export const bodyBytesMax = 12 * 1024 * 1024;
/** For bodies of a few fields. */
export const smallBodyBytesMax = 256 * 1024;

/** `none`: never read. `json`: read whole before the route runs. `stream`: read by the route as it comes. */
export type BodyPolicy =
  | { readonly kind: 'none' }
  | { readonly kind: 'json'; readonly bytesMax: number }
  | { readonly kind: 'stream' };

export interface Access {
  readonly auth: 'key' | 'none';
  /** Null: any key will do. */
  readonly scope: Scope | null;
  readonly body: BodyPolicy;
  /** `stream`: the answer goes on, and ends with the caller's key. */
  readonly answer: 'whole' | 'stream';
}

export interface Gate extends MiddlewareHandler<HttpEnv> {
  readonly access: Access;
}

/** What a route's definition spreads in: the gate, and the scope's mention in the OpenAPI document. */
export function needs(scope: Scope, { body = { kind: 'none' }, answer = 'whole' }: Partial<Access> = {}) {
  const access: Access = { auth: 'key', scope, body, answer };
  return { security: [{ bearerAuth: [scope] }], middleware: gate(access) };
}

/** For what strangers may see. */
export function forEveryone() {
  const access: Access = { auth: 'none', scope: null, body: { kind: 'none' }, answer: 'whole' };
  return { security: [], middleware: gate(access) };
}

/** For what is no route: only who has a key is told so. */
export const unknownRouteAccess: Access = {
  ...{ auth: 'key', scope: null, answer: 'whole' },
  body: { kind: 'none' },
};

export function isGate(handler: unknown): handler is Gate {
  return typeof handler === 'function' && 'access' in handler;
}

export function gate(access: Access): Gate {
  const handler: MiddlewareHandler<HttpEnv> = async (c, next) => {
    const session = c.get('session');
    if (access.auth === 'key') {
      const caller = await session.identify();
      if (access.scope !== null) checkScope(caller, access.scope);
      c.set('caller', caller);
      session.admit(caller);
    }
    checkTarget(c.env.incoming.url ?? '');
    if (hasBody(c.env.incoming)) await takeBody(session, access.body);
    await next();
  };
  return Object.assign(handler, { access });
}

async function takeBody(session: Session, policy: BodyPolicy): Promise<void> {
  const { incoming, outgoing, bodyLimits } = session;
  const { method } = incoming;
  // A body of these means nothing, and clients that send one by mistake are served.
  if (method === 'GET') return;
  checkEncoding(incoming.headers);
  if (policy.kind === 'stream') {
    if (incoming.headers.expect !== undefined) outgoing.writeContinue();
    return;
  }
  const bytesMax = Math.min(policy.kind === 'json' ? policy.bytesMax : bodyBytesMax, bodyLimits.bytesMax);
  if (declaredBytes(incoming) > bytesMax) throw new BodyTooLarge(bytesMax);
  if ((method === 'POST' || method === 'PATCH') && !isJson(incoming.headers['content-type'])) {
    throw new BadRequest('Content-Type must be application/json');
  }
  if (policy.kind === 'none') return;
  if (incoming.headers.expect !== undefined) outgoing.writeContinue();
  try {
    const reserve = (bytes: number) => session.reserve(bytes);
    const body = await readWhole(incoming, { bytesMax, deadlineMs: bodyLimits.deadlineMs, reserve });
    checkText(body);
    Object.assign(incoming, { rawBody: body });
  } catch (error) {
    // Who is too slow for the body is too slow for the rest of it.
    if (error instanceof BodyTooSlow) outgoing.setHeader('Connection', 'close');
    throw error;
  }
  // The key may have been revoked or have expired while the body was on its way.
  await session.identify();
}

/** What is not UTF-8 in an address would be taken for other characters than were meant. */
function checkTarget(target: string): void {
  if (!target.includes('%')) return;
  try {
    decodeURIComponent(target);
  } catch {
    throw new BadRequest('The address is not UTF-8 in percent-encoding');
  }
}

/** A packed body would be read as damaged JSON, and an uploaded archive as something else than its name says. */
function checkEncoding({ 'content-encoding': encoding, 'content-type': type }: IncomingHttpHeaders): void {
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
    throw new UnsupportedMediaType('A request body cannot have a Content-Encoding', 'Send it as it is.');
  }
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(type ?? '')?.[1];
  if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) {
    throw new UnsupportedMediaType(
      'A request body must be UTF-8',
      'Send it as UTF-8, without another charset.',
    );
  }
}

/** A body of another type would be read as an empty one, and its fields called missing. */
function isJson(contentType: string | undefined): boolean {
  return contentType?.split(';')[0]?.trim().toLowerCase() === 'application/json';
}

/** The key of `Authorization: Bearer <key>`; null without the header. */
export function bearerKey(header: string | undefined): string | null {
  if (header === undefined) return null;
  const match = /^Bearer +(\S+) *$/i.exec(header);
  if (!match?.[1]) {
    throw new AppError('unauthenticated', 'Authorization header must be of the form: Bearer <key>');
  }
  return match[1];
}
