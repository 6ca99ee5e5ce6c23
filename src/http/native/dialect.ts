/** Flotilla's own nouns, and all paths that no other dialect has. Its errors have the neutral format. */
import { AppError } from '../../core/errors.ts';
import type { Dialect } from '../dialect.ts';
import { neutralError, neutralRefusal } from '../errors.ts';
import { nativeDocument } from './document.ts';
import { healthApp, healthRoutes } from './health.ts';
import { imageRoutes } from './images/definitions.ts';
import { imagesApp } from './images/routes.ts';
import { keyRoutes } from './keys/definitions.ts';
import { keysApp } from './keys/routes.ts';
import { operationRoutes, operationsApp } from './operations/routes.ts';

export const nativeDialect: Dialect = {
  name: 'native',
  prefixes: ['/'],
  nouns: [
    { prefixes: ['/', '/api/v1'], routes: healthRoutes, makeApp: healthApp },
    { prefixes: ['/api/v1/images'], routes: imageRoutes, makeApp: imagesApp },
    { prefixes: ['/api/v1/keys'], routes: keyRoutes, makeApp: keysApp },
    { prefixes: ['/api/v1/operations'], routes: operationRoutes, makeApp: operationsApp },
  ],
  document: nativeDocument,
  renderError: neutralError,
  refusal: neutralRefusal,
  unknownRoute: (method, path) => new AppError('not_found', `Route ${method} ${path} not found`),
};
