/** HyperMachine: `/api/v1/vms`, what agents find at `/agentic`, and the manifests at `/.well-known`. */
import type { IncomingHttpHeaders } from 'node:http';
import { bearerKeys } from '../../access.ts';
import type { Dialect } from '../../dialect.ts';
import { neutralRefusal } from '../../errors.ts';
import { nativeDialect } from '../../native/dialect.ts';
import { makeDocument } from '../../openapi.ts';
import { agenticRoutes, manifestRoutes } from './agentic-definitions.ts';
import { agenticApp, manifestsApp } from './agentic-routes.ts';
import { vmRoutes } from './definitions.ts';
import { renderError } from './errors.ts';
import { vmsApp } from './routes.ts';

const description = `
HyperMachine's API, served by Flotilla. A virtual machine made here is a machine of Flotilla's own API and the other way
round; its id is the same with \`vm-\` before it.

Every error is \`{"error":{"code","message","details"}}\`, with the request's id.
`.trim();

export const hypermachineDialect: Dialect = {
  name: 'hypermachine',
  prefixes: ['/api/v1/vms', '/agentic', '/.well-known'],
  nouns: [
    { prefixes: ['/api/v1/vms'], routes: vmRoutes, makeApp: vmsApp },
    {
      prefixes: ['/agentic'],
      routes: agenticRoutes,
      makeApp: (deps) =>
        agenticApp(deps, () => makeDocument([hypermachineDialect], 'hypermachine', deps.version)),
    },
    { prefixes: ['/.well-known'], routes: manifestRoutes, makeApp: manifestsApp },
  ],
  document: {
    name: 'hypermachine',
    title: 'HyperMachine API',
    description,
    tags: [
      { name: 'vms', description: 'Virtual machines: their life, their figures, and scripts for them.' },
    ],
    keyHeader: 'X-API-Key',
  },
  keysOf,
  renderError,
  refusal: neutralRefusal,
  unknownRoute: nativeDialect.unknownRoute,
};

/** HyperMachine's server takes a key with or without `Bearer`. */
function keysOf(headers: IncomingHttpHeaders): readonly string[] {
  const { authorization } = headers;
  const bare =
    authorization !== undefined && /^\S+$/.test(authorization) ? [authorization] : bearerKeys(headers);
  return [...bare, ...[headers['x-api-key'] ?? []].flat()];
}
