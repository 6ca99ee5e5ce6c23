/** Every noun of this dialect: where it is mounted, what its routes are, and the application that answers them. */
import type { OpenAPIHono, RouteConfig } from '@hono/zod-openapi';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { machineRoutes } from './definitions.ts';
import { imageRoutes } from './images/definitions.ts';
import { imagesDialect } from './images/routes.ts';
import { keyRoutes } from './keys/definitions.ts';
import { keysDialect } from './keys/routes.ts';
import { operationRoutes, operationsDialect } from './operations/routes.ts';
import { machinesDialect } from './routes.ts';

export interface Noun {
  /** The first is the one documented; the others answer alike. */
  readonly prefixes: readonly [string, ...string[]];
  /** With paths below the prefix. */
  readonly routes: readonly RouteConfig[];
  readonly makeApp: (deps: HttpDeps) => OpenAPIHono<HttpEnv>;
}

export const nouns: readonly Noun[] = [
  { prefixes: ['/machines', '/api/v1/machines'], routes: machineRoutes, makeApp: machinesDialect },
  { prefixes: ['/api/v1/images'], routes: imageRoutes, makeApp: imagesDialect },
  { prefixes: ['/api/v1/keys'], routes: keyRoutes, makeApp: keysDialect },
  { prefixes: ['/api/v1/operations'], routes: operationRoutes, makeApp: operationsDialect },
];

/** Whether a request's body is read by its route as it comes. */
export function isUpload(method: string, path: string): boolean {
  return method === 'PUT' && path.startsWith('/api/v1/images/');
}
