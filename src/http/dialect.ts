/**
 * A dialect: one API that this daemon implements, with its prefixes, routes, error format and OpenAPI
 * document. A request belongs to the dialect with the longest matching prefix, even if it is refused before a
 * route is known.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { OpenAPIHono, RouteConfig } from '@hono/zod-openapi';
import type { AppError } from '../core/errors.ts';
import type { HttpDeps, HttpEnv } from './context.ts';
import type { ErrorAnswer, RefusalStatus } from './errors.ts';

export interface Noun {
  /** The first prefix is documented; the others work the same. */
  readonly prefixes: readonly [string, ...string[]];
  /** With paths below the prefix. */
  readonly routes: readonly RouteConfig[];
  readonly makeApp: (deps: HttpDeps) => OpenAPIHono<HttpEnv>;
  /** What follows the prefix is one name, which may have slashes: they need no encoding. Default: false. */
  readonly hasSlashesInNames?: boolean;
}

export interface DocumentHead {
  /**
   * The document's file name in `openapi/`, without extension. Dialects with the same name share a document.
   */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  /** A header that carries a key, besides `Authorization: Bearer`. Example: `X-API-Key`. */
  readonly keyHeader?: string;
}

export interface Dialect {
  readonly name: string;
  /** `/` matches everything that no other dialect has. */
  readonly prefixes: readonly [string, ...string[]];
  readonly nouns: readonly Noun[];
  readonly document: DocumentHead;
  /**
   * The keys that a request carries, of which one must be valid. Absent: that of `Authorization: Bearer <key>`. Raises
   * `unauthenticated` for a malformed header.
   */
  readonly keysOf?: (headers: IncomingHttpHeaders) => readonly string[];
  renderError(error: AppError, requestId: string | null): ErrorAnswer;
  /** The JSON for input that never becomes a request; the dialect at `/` provides it, as no path is known. */
  refusal(status: RefusalStatus, requestId: string | null): string;
  /** The error for a path without a route for this method; `allowed`: the methods it has. */
  unknownRoute(method: string, path: string, allowed: readonly string[]): AppError;
}

/** The dialect with the longest prefix that matches whole path segments. */
export function pickDialect(dialects: readonly Dialect[], path: string): Dialect {
  let picked = dialects[0];
  let length = -1;
  for (const dialect of dialects) {
    for (const prefix of dialect.prefixes) {
      if (prefix.length <= length || !isBelow(path, prefix)) continue;
      picked = dialect;
      length = prefix.length;
    }
  }
  if (picked === undefined) throw new Error('there is no dialect');
  return picked;
}

/**
 * The path by which a request's route is found: the slashes inside a name are encoded. Example:
 * `/api/v1/images/ghcr.io/org/app:1` becomes `/api/v1/images/ghcr.io%2Forg%2Fapp:1`.
 */
export function routingPath(prefixesWithNames: readonly string[], path: string): string {
  const prefix = prefixesWithNames.find((each) => path.startsWith(`${each}/`));
  if (prefix === undefined) return path;
  const name = path.slice(prefix.length + 1);
  return `${prefix}/${name.replaceAll('/', '%2F')}`;
}

/** The methods that a path has routes for. */
export function methodsOf({ nouns }: Dialect, path: string): readonly string[] {
  const methods = nouns.flatMap(({ prefixes, routes }) =>
    routes
      .filter((route) => prefixes.some((prefix) => isPathOf(fullPath(prefix, route), path)))
      .map((route) => route.method.toUpperCase()),
  );
  return [...new Set(methods)].sort();
}

/** A route's path with its noun's prefix. */
export function fullPath(prefix: string, route: Pick<RouteConfig, 'path'>): string {
  return route.path === '/' ? prefix : `${prefix === '/' ? '' : prefix}${route.path}`;
}

function isBelow(path: string, prefix: string): boolean {
  return prefix === '/' || path === prefix || path.startsWith(`${prefix}/`);
}

function isPathOf(template: string, path: string): boolean {
  const [wanted, given] = [template.split('/'), path.split('/')];
  return (
    wanted.length === given.length &&
    wanted.every((part, index) => (part.startsWith('{') ? given[index] !== '' : part === given[index]))
  );
}
