/**
 * The requirements of a route, declared beside its path, and the gate that enforces them. The gate runs when
 * the route is known and before the route's handler, in this order: key, scope, budget, body. No byte of a
 * body is read before the key is accepted, whatever the method and path.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { MiddlewareHandler } from 'hono';
import { AppError } from '../core/errors.ts';
import { checkScope, type Scope } from '../core/keys/caller.ts';
import { declaredBytes, hasBody, readWhole } from './body.ts';
import { checkText } from './body-text.ts';
import type { HttpEnv } from './context.ts';
import { BadRequest, BodyTooLarge, BodyTooSlow, UnsupportedMediaType } from './errors.ts';
import { unknownName } from './schema.ts';
import type { Session } from './session.ts';

/** The largest body that is not an upload: an exec with 8 MiB of stdin in base64, plus its other fields. */
export const bodyBytesMax = 12 * 1024 * 1024;
/** For bodies of a few fields. */
export const smallBodyBytesMax = 256 * 1024;

/**
 * `none`: never read. `empty`: may be absent, or an object without fields; what it asks for would have no effect. `json`:
 * read completely before the handler runs. `stream`: read by the handler as it arrives. `isAnyType`: the content type
 * does not matter; a handler that validates such a body parses it itself.
 */
export type BodyPolicy =
  | { readonly kind: 'none'; readonly isAnyType?: boolean }
  | { readonly kind: 'empty'; readonly isAnyType?: boolean }
  | { readonly kind: 'json'; readonly bytesMax: number; readonly isAnyType?: boolean }
  | { readonly kind: 'stream' };

export interface Access {
  readonly auth: 'key' | 'none';
  /** Null: any key suffices. */
  readonly scope: Scope | null;
  readonly body: BodyPolicy;
  /** `declared`: what the route's schema says. `none`: a query is refused. */
  readonly query: 'declared' | 'none';
  /** `stream`: the answer continues, and ends with the caller's key. */
  readonly answer: 'whole' | 'stream';
}

export interface Gate extends MiddlewareHandler<HttpEnv> {
  readonly access: Access;
}

/** For a route's definition: its gate, and the scope's mention in the OpenAPI document. */
export function needs(
  scope: Scope,
  { body = { kind: 'none' }, query = 'none', answer = 'whole' }: Partial<Access> = {},
) {
  const access: Access = { auth: 'key', scope, body, query, answer };
  return { security: [{ bearerAuth: [scope] }], middleware: gate(access) };
}

/** For routes that any key suffices for; what they do may need more. */
export function needsKey({ body = { kind: 'none' } }: Partial<Pick<Access, 'body'>> = {}) {
  const access: Access = { auth: 'key', scope: null, body, query: 'none', answer: 'whole' };
  return { security: [{ bearerAuth: [] }], middleware: gate(access) };
}

/** For routes that need no key. */
export function forEveryone() {
  const access: Access = {
    ...{ auth: 'none', scope: null, query: 'declared', answer: 'whole' },
    body: { kind: 'none' },
  };
  return { security: [], middleware: gate(access) };
}

/** For unknown routes: only callers with a key learn that they do not exist. */
export const unknownRouteAccess: Access = {
  ...{ auth: 'key', scope: null, query: 'declared', answer: 'whole' },
  body: { kind: 'none', isAnyType: true },
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
    checkTarget(c.env.incoming.url ?? '', access.query);
    if (hasBody(c.env.incoming)) await takeBody(session, access.body);
    else requireBody(c.req.method, access.body);
    await next();
  };
  return Object.assign(handler, { access });
}

/** A PUT replaces what there is: without a body, which would count as `{}`, it would remove everything. */
function requireBody(method: string, { kind }: BodyPolicy): void {
  if (method === 'PUT' && kind === 'json')
    throw new BadRequest('a JSON body is required', 'Send the new value as a JSON object.');
}

async function takeBody(session: Session, policy: BodyPolicy): Promise<void> {
  const { incoming, outgoing, bodyLimits } = session;
  const { method } = incoming;
  // GET bodies have no meaning, and clients that send one by mistake are served.
  if (method === 'GET') return;
  checkEncoding(incoming.headers);
  if (policy.kind === 'stream') {
    if (incoming.headers.expect !== undefined) outgoing.writeContinue();
    return;
  }
  const bytesMax = Math.min(bytesMaxOf(policy), bodyLimits.bytesMax);
  if (declaredBytes(incoming) > bytesMax) throw new BodyTooLarge(bytesMax);
  if (
    (method === 'POST' || method === 'PUT' || method === 'PATCH') &&
    !policy.isAnyType &&
    !isJson(incoming.headers['content-type'])
  ) {
    throw new BadRequest(
      'Content-Type must be application/json',
      'Send the header `Content-Type: application/json`.',
    );
  }
  if (policy.kind === 'none') return;
  if (incoming.headers.expect !== undefined) outgoing.writeContinue();
  try {
    const reserve = (bytes: number) => session.reserve(bytes);
    const body = await readWhole(incoming, { bytesMax, deadlineMs: bodyLimits.deadlineMs, reserve });
    checkText(body);
    if (policy.kind === 'empty') checkEmpty(body);
    Object.assign(incoming, { rawBody: body });
  } catch (error) {
    // A client too slow for the body would also be too slow for the rest of it.
    if (error instanceof BodyTooSlow) outgoing.setHeader('Connection', 'close');
    throw error;
  }
  // The key may have been revoked or have expired while the body arrived.
  await session.identify();
}

function bytesMaxOf(policy: BodyPolicy): number {
  if (policy.kind === 'empty') return smallBodyBytesMax;
  return policy.kind === 'json' ? policy.bytesMax : bodyBytesMax;
}

/** Raises `invalid` for a body with a field, BadRequest for one that is no JSON object. */
function checkEmpty(body: Buffer): void {
  const text = body.toString();
  if (text.trim() === '') return;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BadRequest('Malformed JSON in request body', 'This request needs no body.');
  }
  if (value === null) return;
  if (typeof value !== 'object' || Array.isArray(value))
    throw new BadRequest('the body must be an object', 'This request needs no body.');
  const [name] = Object.keys(value);
  if (name === undefined) return;
  throw new AppError('invalid', unknownName('field', name, []), {
    hint: 'This request has no body; parameters go into the query, as GET /docs describes.',
  });
}

/** What is not UTF-8 in an address would be taken for other characters than were meant; an unknown query for none. */
function checkTarget(target: string, query: Access['query']): void {
  if (target.includes('%')) {
    try {
      decodeURIComponent(target);
    } catch {
      throw new BadRequest('The address is not UTF-8 in percent-encoding', 'Write ü as %C3%BC and % as %25.');
    }
  }
  const begin = target.indexOf('?');
  if (begin < 0 || query === 'declared') return;
  const [name] = new URLSearchParams(target.slice(begin)).keys();
  if (name !== undefined) throw new AppError('invalid', unknownName('query parameter', name, []));
}

/** A compressed body would look like damaged JSON, and a compressed upload like another format. */
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

/** A body of another type would be treated as empty, and its fields reported as missing. */
function isJson(contentType: string | undefined): boolean {
  return contentType?.split(';')[0]?.trim().toLowerCase() === 'application/json';
}

/** The key of `Authorization: Bearer <key>`; none without the header. */
export function bearerKeys({ authorization }: IncomingHttpHeaders): readonly string[] {
  const key = bearerKey(authorization);
  return key === null ? [] : [key];
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
