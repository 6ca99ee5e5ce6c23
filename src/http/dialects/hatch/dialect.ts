/** Hatch: `/vms`, `/routes`, `/images`, `/templates` and `/healthz`. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Dialect } from '../../dialect.ts';
import { neutralRefusal } from '../../errors.ts';
import { deleteRoute, vmRoutes } from './definitions.ts';
import { renderError, unknownRoute } from './errors.ts';
import { healthApp, healthRoutes, imageRoutes, imagesApp, templateRoutes, templatesApp } from './nouns.ts';
import { routesApp, vmsApp } from './routes.ts';

const description = `
Hatch's API, served by Flotilla. A VM made here is a machine of Flotilla's own API and the other way round; its id is the
same with \`vm_\` before it.

Every error is \`{"error":"text"}\`. The key is sent as \`Authorization: Bearer\` or as \`X-API-Key\`.
`.trim();

export const hatchDialect: Dialect = {
  name: 'hatch',
  prefixes: ['/vms', '/routes', '/images', '/templates', '/healthz'],
  nouns: [
    { prefixes: ['/vms'], routes: vmRoutes, makeApp: vmsApp },
    { prefixes: ['/routes'], routes: [deleteRoute], makeApp: routesApp },
    { prefixes: ['/images'], routes: imageRoutes, makeApp: imagesApp },
    { prefixes: ['/templates'], routes: templateRoutes, makeApp: templatesApp },
    { prefixes: ['/healthz'], routes: healthRoutes, makeApp: healthApp },
  ],
  document: {
    name: 'hatch',
    title: 'Hatch API',
    description,
    tags: [
      { name: 'vms', description: 'Virtual machines: their life, and commands in them.' },
      { name: 'routes', description: 'Ports of VMs under a name.' },
      { name: 'images', description: 'Root file systems that VMs start from.' },
      { name: 'templates', description: 'What VMs made from one template have in common.' },
      { name: 'health', description: 'The daemon itself.' },
    ],
    keyHeader: 'X-API-Key',
  },
  keysOf,
  renderError,
  refusal: neutralRefusal,
  unknownRoute,
};

/** An Authorization of another scheme does not hide the other header. */
function keysOf({ authorization = '', ...headers }: IncomingHttpHeaders): readonly string[] {
  const bearer = /^Bearer +(\S+) *$/i.exec(authorization)?.[1];
  return [...(bearer === undefined ? [] : [bearer]), ...[headers['x-api-key'] ?? []].flat()];
}
