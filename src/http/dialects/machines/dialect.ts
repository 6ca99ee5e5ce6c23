/**
 * Hyperfleet's `/machines`, extended. It is part of Flotilla's own document: SDK and CLI use it together with
 * the native nouns.
 */
import { bearerKeys } from '../../access.ts';
import type { Dialect } from '../../dialect.ts';
import { nativeDialect } from '../../native/dialect.ts';
import { machineRouteRoutes } from '../../native/routes/definitions.ts';
import { machineRoutesApp } from '../../native/routes/routes.ts';
import { machineSnapshotRoutes } from '../../native/snapshots/definitions.ts';
import { machineSnapshotsApp } from '../../native/snapshots/routes.ts';
import { keyOfProtocols } from '../../websocket.ts';
import { machineRoutes } from './definitions.ts';
import { renderError } from './errors.ts';
import { execRoutes } from './execs/definitions.ts';
import { execsApp } from './execs/routes.ts';
import { fileRoutes } from './files/definitions.ts';
import { filesApp } from './files/routes.ts';
import { networkRoutes } from './network-definitions.ts';
import { networkApp } from './network-routes.ts';
import { portsApp } from './ports/routes.ts';
import { machinesApp } from './routes.ts';
import { sshApp, sshRoutes } from './ssh/routes.ts';

const prefixes = ['/machines', '/api/v1/machines'] as const;

export const machinesDialect: Dialect = {
  name: 'machines',
  prefixes,
  nouns: [
    { prefixes, routes: machineRoutes, makeApp: machinesApp },
    { prefixes, routes: execRoutes, makeApp: execsApp },
    { prefixes, routes: fileRoutes, makeApp: filesApp },
    { prefixes, routes: sshRoutes, makeApp: sshApp },
    { prefixes, routes: networkRoutes, makeApp: networkApp },
    { prefixes, routes: machineRouteRoutes, makeApp: machineRoutesApp },
    { prefixes, routes: machineSnapshotRoutes, makeApp: machineSnapshotsApp },
    // Only WebSockets, which OpenAPI cannot describe.
    { prefixes, routes: [], makeApp: portsApp },
  ],
  document: nativeDialect.document,
  keysOf: (headers) => {
    const offered = keyOfProtocols(headers);
    return offered === null ? bearerKeys(headers) : [offered, ...bearerKeys(headers)];
  },
  renderError,
  refusal: nativeDialect.refusal,
  unknownRoute: nativeDialect.unknownRoute,
};
