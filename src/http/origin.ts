/**
 * Without keys, a web page in the user's browser could reach us: by a name it controls (DNS rebinding), or by a request
 * that needs no answer (a form, a fetch without CORS). Programs send neither Origin nor Sec-Fetch-Site.
 */
import type { MiddlewareHandler } from 'hono';
import { AppError } from '../core/errors.ts';
import type { HttpEnv } from './context.ts';

/** Refuses requests of pages that are neither this daemon's nor named. */
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
