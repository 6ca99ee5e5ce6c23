/**
 * Protection against web pages while authentication is off. A page in the user's browser could reach the
 * daemon under a name that it controls (DNS rebinding), or by a request whose answer it does not need (a
 * form, a fetch without CORS). Programs send neither Origin nor Sec-Fetch-Site.
 */
import type { MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import { AppError } from '../core/errors.ts';
import type { HttpEnv } from './context.ts';
import { requestIdHeader } from './request-id.ts';

/** How long a browser may cache that an origin is allowed. */
const corsMaxAgeS = 600;
/** What MCP clients in pages send. */
const mcpHeaders = ['Mcp-Session-Id', 'Mcp-Protocol-Version', 'Last-Event-ID'];
/** Limit of an origin in a message; a DNS name has at most 253 characters. */
const originCharactersMax = 300;

/**
 * Allows pages of these origins to call the API from a browser (CORS). A browser sends a preflight request
 * first and hides refusals from its user, so the answer contains a hint for the developer tools.
 */
export function allowOrigins(origins: ReadonlySet<string>): MiddlewareHandler<HttpEnv> {
  const allow = cors({
    origin: [...origins],
    allowHeaders: ['Authorization', 'Content-Type', requestIdHeader, 'X-Correlation-ID', ...mcpHeaders],
    exposeHeaders: [requestIdHeader, 'Retry-After', 'Mcp-Session-Id'],
    maxAge: corsMaxAgeS,
  });
  // Not async, because it is called for every request.
  return (c, next) => {
    const { method, headers } = c.env.incoming;
    const { origin } = headers;
    if (origin !== undefined && origins.has(origin)) return allow(c, next);
    const isPreflight = method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
    if (origin !== undefined && isPreflight) {
      throw new AppError('forbidden', `Pages of ${shortened(origin)} may not call this API`, {
        hint: `Start the daemon with FLOTILLA_CORS_ORIGINS=${shortened(origin)}; several origins are separated by commas.`,
      });
    }
    return next();
  };
}

function shortened(origin: string): string {
  return origin.slice(0, originCharactersMax);
}

/** Refuses requests of pages that are neither this daemon's nor of an allowed origin. */
export function checkHost(
  isHostName: (name: string) => boolean,
  corsOrigins: ReadonlySet<string>,
): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const { headers } = c.env.incoming;
    const { host = '', origin } = headers;
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

/** The port matters: another port of this host may belong to anyone. */
export function isOwnOrigin(origin: string | undefined, host: string): boolean {
  return origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
}

function isOwnSite(site: string | undefined): boolean {
  return site === undefined || site === 'none' || site === 'same-origin';
}

function hostNameOf(hostAndPort: string): string {
  return hostAndPort.replace(/:\d+$/, '').toLowerCase();
}
