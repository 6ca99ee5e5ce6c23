/**
 * Hyperfleet's `/machines`, extended. It is part of Flotilla's own document: SDK and CLI use it together with
 * the native nouns.
 */
import type { Dialect } from '../../dialect.ts';
import { nativeDialect } from '../../native/dialect.ts';
import { machineRoutes } from './definitions.ts';
import { renderError } from './errors.ts';
import { machinesApp } from './routes.ts';

const prefixes = ['/machines', '/api/v1/machines'] as const;

export const machinesDialect: Dialect = {
  name: 'machines',
  prefixes,
  nouns: [{ prefixes, routes: machineRoutes, makeApp: machinesApp }],
  document: nativeDialect.document,
  renderError,
  refusal: nativeDialect.refusal,
  unknownRoute: nativeDialect.unknownRoute,
};
