/**
 * TTstack: its controller at `/api`, and the routes of its hosts on a listener of their own (`serve --role host`). What is
 * below `/api/v1` belongs to other dialects.
 */
import type { Dialect } from '../../dialect.ts';
import { neutralRefusal } from '../../errors.ts';
import { controllerRoutes, hostRoutes } from './definitions.ts';
import { refusal, renderError, unknownRoute } from './errors.ts';
import { controllerApp, hostApp } from './routes.ts';

const description = `
TTstack's controller, served by Flotilla for one host: this one. A VM is a machine of Flotilla's own API, with the same id.

Every answer is an envelope: \`{"ok":true,"data":…}\`, or \`{"ok":false,"error":"text"}\`.
`.trim();

const tags = [
  { name: 'envs', description: 'Environments: VMs that live and end together.' },
  { name: 'vms', description: 'VMs.' },
  { name: 'hosts', description: 'Hosts, and what they offer.' },
];

const common = { renderError, unknownRoute } as const;

export const ttstackDialect: Dialect = {
  ...common,
  name: 'ttstack',
  prefixes: ['/api'],
  nouns: [{ prefixes: ['/api'], routes: controllerRoutes, makeApp: controllerApp }],
  document: { name: 'ttstack', title: 'TTstack API', description, tags },
  refusal: neutralRefusal,
};

/** The only dialect on the host's own listener. */
export const ttstackHostDialect: Dialect = {
  ...common,
  name: 'ttstack-host',
  prefixes: ['/'],
  nouns: [{ prefixes: ['/api'], routes: hostRoutes, makeApp: hostApp }],
  document: { name: 'ttstack-host', title: 'TTstack host API', description, tags },
  refusal,
};
