/**
 * How requests show the token of a private route: a header (programs), a parameter of the address (a signed URL), or the
 * cookie that a browser gets when it opens a signed URL. Tokens are never passed on to guests. Pure.
 */
import { opensUntil, type RouteLock } from '../core/routes/tokens.ts';
import { valuesOf } from './headers.ts';

export const tokenHeader = 'x-flotilla-token';
/** Of the parameter and of the cookie. */
export const tokenName = 'flotilla_token';

interface Asked {
  readonly rawHeaders: readonly string[];
  readonly method?: string | undefined;
}

/** A request without its tokens. */
export interface Admitted {
  readonly rawHeaders: readonly string[];
  readonly path: string;
  /** Set for a browser that has opened a signed URL: its answer is a cookie and the address without the token. */
  readonly cookie: { readonly token: string; readonly untilMs: number } | null;
}

/** Null: no token of the request opens the route. `path` is the request's, with its query. */
export function admit(lock: RouteLock, request: Asked, path: string, nowMs: number): Admitted | null {
  const { rawHeaders } = request;
  const [bare, fromQuery] = withoutParameter(path);
  const [kept, fromCookies] = withoutTokens(rawHeaders);
  const until = (token: string) => opensUntil(lock, token, nowMs);
  const admitted: Admitted = { rawHeaders: kept, path: bare, cookie: null };
  if (valuesOf(rawHeaders, tokenHeader).some(until)) return admitted;
  for (const token of fromQuery) {
    const untilMs = until(token);
    if (untilMs === null) continue;
    return isPageOf(request) ? { ...admitted, cookie: { token, untilMs } } : admitted;
  }
  return isOfRoutesPages(rawHeaders) && fromCookies.some(until) ? admitted : null;
}

/** A value for Set-Cookie: for this host only, not for scripts, and not for other sites' requests. */
export function cookieOf(token: string, untilMs: number, isEncrypted: boolean): string {
  const expires = new Date(untilMs).toUTCString();
  const secure = isEncrypted ? '; Secure' : '';
  return `${tokenName}=${token}; Path=/; Expires=${expires}; HttpOnly; SameSite=Lax${secure}`;
}

function isPageOf({ method, rawHeaders }: Asked): boolean {
  return method === 'GET' && valuesOf(rawHeaders, 'accept').some((value) => /\btext\/html\b/i.test(value));
}

/**
 * Whether the request comes from a page of the route itself, or opens one. The other names of the proxy’s domain are the
 * same site to a browser, which sends them the cookie, and they are pages of other tenants.
 */
function isOfRoutesPages(raw: readonly string[]): boolean {
  const [host] = valuesOf(raw, 'host');
  const origins = valuesOf(raw, 'origin');
  if (origins.some((origin) => URL.parse(origin)?.host !== host?.toLowerCase())) return false;
  const sites = valuesOf(raw, 'sec-fetch-site');
  const isOpened = valuesOf(raw, 'sec-fetch-mode').includes('navigate');
  return isOpened || sites.every((site) => site === 'same-origin' || site === 'none');
}

function withoutParameter(path: string): [path: string, tokens: readonly string[]] {
  const at = path.indexOf('?');
  if (at < 0) return [path, []];
  const start = `${tokenName}=`;
  const parts = path.slice(at + 1).split('&');
  const kept = parts.filter((part) => !part.startsWith(start));
  const tokens = parts.filter((part) => part.startsWith(start)).map((part) => part.slice(start.length));
  return [kept.length === 0 ? path.slice(0, at) : `${path.slice(0, at)}?${kept.join('&')}`, tokens];
}

function withoutTokens(raw: readonly string[]): [raw: readonly string[], tokens: readonly string[]] {
  const kept: string[] = [];
  const tokens: string[] = [];
  const start = `${tokenName}=`;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const [name = '', value = ''] = [raw[index], raw[index + 1]];
    const lower = name.toLowerCase();
    if (lower === tokenHeader) continue;
    if (lower !== 'cookie') {
      kept.push(name, value);
      continue;
    }
    const cookies = value.split(';').map((cookie) => cookie.trim());
    tokens.push(
      ...cookies.filter((cookie) => cookie.startsWith(start)).map((cookie) => cookie.slice(start.length)),
    );
    const others = cookies.filter((cookie) => !cookie.startsWith(start));
    if (others.length > 0) kept.push(name, others.join('; '));
  }
  return [kept, tokens];
}
