/**
 * Tokens that open a private route until they expire: `r1.<expiry>.<signature>`, where the expiry is in seconds since 1970
 * in base 36 and the signature an HMAC with the route's secret. Nothing is stored for a token: another secret revokes all.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { timeText } from '../../lib/times.ts';
import type { Route } from './route.ts';

export interface RouteToken {
  readonly token: string;
  /** RFC 3339, UTC, with `Z`. */
  readonly expiresAt: string;
}

/** What a request must open before it is passed on. */
export type RouteLock = Pick<Route, 'id'> & { readonly secret: string };

const shape = /^r1\.([0-9a-z]{1,8})\.([A-Za-z0-9_-]{43})$/;

export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** The expiry is rounded up to a whole second. */
export function signToken(lock: RouteLock, expiresMs: number): RouteToken {
  const seconds = Math.ceil(expiresMs / 1000);
  const expiry = seconds.toString(36);
  const token = `r1.${expiry}.${signature(lock, expiry)}`;
  return { token, expiresAt: timeText(seconds * 1000) };
}

/** Until when the token opens the route, in milliseconds since 1970; null when it does not. */
export function opensUntil(lock: RouteLock, token: string, nowMs: number): number | null {
  const [, expiry = '', signed = ''] = shape.exec(token) ?? [];
  const untilMs = Number.parseInt(expiry, 36) * 1000;
  // Compared also when it has expired, so that the time taken tells nothing.
  const isOurs = timingSafeEqual(Buffer.from(signed.padEnd(43)), Buffer.from(signature(lock, expiry)));
  return isOurs && untilMs > nowMs ? untilMs : null;
}

function signature({ id, secret }: RouteLock, expiry: string): string {
  return createHmac('sha256', secret).update(`${id} ${expiry}`).digest('base64url');
}
