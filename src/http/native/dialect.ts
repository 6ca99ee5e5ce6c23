/** Flotilla's own nouns, and all paths that no other dialect has. Its errors have the neutral format. */
import { AppError } from '../../core/errors.ts';
import type { Dialect } from '../dialect.ts';
import { neutralError, neutralRefusal } from '../errors.ts';
import { mcpApp, mcpRoutes } from '../mcp/routes.ts';
import { nativeDocument } from './document.ts';
import { environmentRoutes } from './environments/definitions.ts';
import { environmentsApp } from './environments/routes.ts';
import { healthApp, healthRoutes } from './health.ts';
import { imageRoutes } from './images/definitions.ts';
import { imagesApp } from './images/routes.ts';
import { keyRoutes } from './keys/definitions.ts';
import { keysApp } from './keys/routes.ts';
import { operationRoutes, operationsApp } from './operations/routes.ts';
import { quotaRoutes, quotasApp } from './quotas/routes.ts';
import { routeRoutes } from './routes/definitions.ts';
import { routesApp } from './routes/routes.ts';
import { snapshotRoutes } from './snapshots/definitions.ts';
import { snapshotsApp } from './snapshots/routes.ts';
import { sshKeyRoutes } from './ssh-keys/definitions.ts';
import { sshKeysApp } from './ssh-keys/routes.ts';
import { templateRoutes } from './templates/definitions.ts';
import { templatesApp } from './templates/routes.ts';

export const nativeDialect: Dialect = {
  name: 'native',
  prefixes: ['/', '/api/v1'],
  nouns: [
    { prefixes: ['/', '/api/v1'], routes: healthRoutes, makeApp: healthApp },
    { prefixes: ['/api/v1/environments'], routes: environmentRoutes, makeApp: environmentsApp },
    {
      prefixes: ['/api/v1/images'],
      routes: imageRoutes,
      makeApp: imagesApp,
      hasSlashesInNames: true,
    },
    { prefixes: ['/api/v1/keys'], routes: keyRoutes, makeApp: keysApp },
    { prefixes: ['/api/v1/quotas'], routes: quotaRoutes, makeApp: quotasApp },
    { prefixes: ['/api/v1/operations'], routes: operationRoutes, makeApp: operationsApp },
    { prefixes: ['/api/v1/routes'], routes: routeRoutes, makeApp: routesApp },
    { prefixes: ['/api/v1/snapshots'], routes: snapshotRoutes, makeApp: snapshotsApp },
    { prefixes: ['/api/v1/ssh-keys'], routes: sshKeyRoutes, makeApp: sshKeysApp },
    { prefixes: ['/api/v1/templates'], routes: templateRoutes, makeApp: templatesApp },
    { prefixes: ['/'], routes: mcpRoutes, makeApp: mcpApp },
  ],
  document: nativeDocument,
  renderError: neutralError,
  refusal: neutralRefusal,
  unknownRoute: (method, path) =>
    new AppError('not_found', `Route ${method} ${path} not found`, { hint: 'GET /docs shows every route.' }),
};
