/** Every noun of this dialect: where it is mounted, what its routes are, and the application that answers them. */
import type { OpenAPIHono, RouteConfig } from '@hono/zod-openapi';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { machineRoutes } from './definitions.ts';
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
];
