/** The documented and validated routes of TTstack's controller and host; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi';
import { needs, smallBodyBytesMax } from '../../access.ts';
import { bodyOf, json } from '../../documented.ts';
import { closedQuery } from '../../schema.ts';
import * as schema from './schema.ts';

const failure = (description: string, error: string) => ({
  description,
  content: { 'application/json': { schema: schema.errorBody, example: { ok: false as const, error } } },
});
const common = {
  400: failure('The request is wrong.', 'vms is required'),
  401: failure('No key, or not a valid one.', 'invalid or missing API key'),
  403: failure(
    'The key does not allow it, or a quota is used up.',
    'Insufficient permissions for this action',
  ),
  429: failure('Too many requests for the key’s tier.', 'Rate limit exceeded'),
  500: failure('It failed on the machines that are named.', 'internal error'),
  503: failure('Not now: no room, or shutting down.', 'the daemon is shutting down'),
} as const;
/** Of what looks at the host, writes, or waits for guests. */
const slow = {
  ...common,
  504: failure('A deadline passed.', 'the guest did not answer within 60 s'),
} as const;
const bodyRefused = {
  413: failure('The body is over the limit.', 'request body is larger than 262144 bytes'),
  415: failure('The body is packed, or not UTF-8.', 'A request body cannot have a Content-Encoding'),
} as const;
const unschedulable = {
  422: failure('No host can carry it out.', 'no online host supports engine=docker'),
} as const;
const noHost = { 404: failure('No such host.', 'host not found: h1') } as const;
const noEnv = { 404: failure('No such environment.', 'environment not found: ci-42') } as const;
const noVm = { 404: failure('No such VM.', 'VM not found: 0a1b2c3d-4e5') } as const;
const inTheWay = (text: string) => ({ 409: failure('Its state does not allow it.', text) });
const lost = { 502: failure('The guest cannot be reached.', 'the guest’s link is closed') } as const;

const jsonBody = { kind: 'json', bytesMax: smallBodyBytesMax } as const;
const read = () => needs('machines:read');
const write = () => needs('machines:write');
const { idParams: params } = schema;

const done = (description: string) => json(description, schema.nothing);
const dataOf = <T extends z.ZodType>(description: string, content: T) =>
  json(description, schema.data(content));

const hosts = ['hosts'];
const envs = ['envs'];
const vms = ['vms'];

/** Of the controller and of its hosts. */
const vmRoutes = {
  listVms: createRoute({
    ...{ method: 'get', path: '/vms', operationId: 'listVms', tags: vms, summary: 'List VMs' },
    ...read(),
    responses: { 200: dataOf('Your VMs.', z.array(schema.vmBody)), ...common },
  }),
  deleteVm: createRoute({
    ...{ method: 'delete', path: '/vms/{id}', operationId: 'deleteVm', tags: vms, summary: 'Delete a VM' },
    description: 'In any state; of an unknown one, nothing is to be done.',
    ...{ ...write(), request: { params } },
    responses: { 200: done('It is gone.'), ...slow, ...bodyRefused, ...inTheWay('it is being changed') },
  }),
  stopVm: createRoute({
    ...{ method: 'post', path: '/vms/{id}/stop', operationId: 'stopVm', tags: vms, summary: 'Stop a VM' },
    description: 'Pauses it, or powers it off where its engine cannot pause.',
    ...{ ...write(), request: { params } },
    responses: {
      ...{ 200: done('It is stopped.'), ...slow, ...bodyRefused, ...noVm, ...unschedulable },
      ...inTheWay('cannot stop VM in state failed'),
    },
  }),
  startVm: createRoute({
    ...{ method: 'post', path: '/vms/{id}/start', operationId: 'startVm', tags: vms, summary: 'Start a VM' },
    ...{ ...write(), request: { params } },
    responses: {
      ...{ 200: done('It runs.'), ...slow, ...bodyRefused, ...noVm, ...lost, ...unschedulable },
      ...inTheWay('cannot start VM in state running. It is stopping; try again in a moment.'),
    },
  }),
} as const;

export const controller = {
  addHost: createRoute({
    ...{ method: 'post', path: '/hosts', operationId: 'addHost', tags: hosts, summary: 'Register a host' },
    description: 'Only this server’s own address is accepted; it is registered from the start.',
    ...needs('machines:write', { body: jsonBody }),
    request: bodyOf(schema.addHostBody, { addr: '127.0.0.1:3000' }),
    responses: {
      ...{ 201: dataOf('This host.', schema.hostBody), ...slow, ...bodyRefused },
      409: failure('Another host.', 'fleet limit reached (1 host): this server manages only its own host'),
    },
  }),
  listHosts: createRoute({
    ...{ method: 'get', path: '/hosts', operationId: 'listHosts', tags: hosts, summary: 'List hosts' },
    ...read(),
    responses: { 200: dataOf('This host.', z.array(schema.hostBody)), ...slow },
  }),
  getHost: createRoute({
    ...{ method: 'get', path: '/hosts/{id}', operationId: 'getHost', tags: hosts, summary: 'Get a host' },
    ...{ ...read(), request: { params } },
    responses: { 200: dataOf('The host.', schema.hostBody), ...slow, ...noHost },
  }),
  removeHost: createRoute({
    ...{
      method: 'delete',
      path: '/hosts/{id}',
      operationId: 'removeHost',
      tags: hosts,
      summary: 'Remove a host',
    },
    description: 'This host cannot be removed; of an unknown one, nothing is to be done.',
    ...{ ...write(), request: { params } },
    responses: {
      ...{ 200: done('It is not registered.'), ...slow, ...bodyRefused },
      ...inTheWay('host h1 still has 3 VMs; destroy them first'),
    },
  }),
  createEnv: createRoute({
    ...{
      method: 'post',
      path: '/envs',
      operationId: 'createEnv',
      tags: envs,
      summary: 'Create an environment',
    },
    description: `
Creates all VMs and starts them. VMs that fail are deleted and named in \`warnings\`; when all fail, nothing is left. What
takes longer than 45 s goes on, and \`warnings\` says so. Each of \`ports\`, and 22, gets a port of the host, shown in
\`port_map\`.`.trim(),
    ...needs('machines:write', { body: jsonBody }),
    request: bodyOf(schema.createEnvBody, { id: 'ci-42', owner: 'ann', vms: [{ image: 'debian-12' }] }),
    responses: {
      ...{ 201: dataOf('It is made.', schema.envDetail), ...slow, ...bodyRefused, ...unschedulable },
      ...inTheWay("environment 'ci-42' already exists"),
      502: failure('No VM could be created.', 'all VM creation attempts failed; check agent connectivity'),
    },
  }),
  listEnvs: createRoute({
    ...{ method: 'get', path: '/envs', operationId: 'listEnvs', tags: envs, summary: 'List environments' },
    ...needs('machines:read', { query: 'declared' }),
    request: {
      query: closedQuery({
        owner: z
          .string()
          .max(256)
          .optional()
          .openapi({ param: { description: 'Of one owner.' } }),
      }),
    },
    responses: { 200: dataOf('Your environments, newest first.', z.array(schema.envBody)), ...common },
  }),
  getEnv: createRoute({
    ...{
      method: 'get',
      path: '/envs/{id}',
      operationId: 'getEnv',
      tags: envs,
      summary: 'Get an environment',
    },
    ...{ ...read(), request: { params } },
    responses: { 200: dataOf('It and its VMs.', schema.envDetail), ...common, ...noEnv },
  }),
  deleteEnv: createRoute({
    ...{
      method: 'delete',
      path: '/envs/{id}',
      operationId: 'deleteEnv',
      tags: envs,
      summary: 'Delete an environment',
    },
    description:
      'With all its VMs. When one cannot be deleted, the environment stays with it, and the error names it.',
    ...{ ...write(), request: { params } },
    responses: {
      200: done('It is gone.'),
      ...slow,
      ...bodyRefused,
      ...noEnv,
    },
  }),
  stopEnv: createRoute({
    ...{
      method: 'post',
      path: '/envs/{id}/stop',
      operationId: 'stopEnv',
      tags: envs,
      summary: 'Stop an environment',
    },
    description: 'Pauses its VMs; its lifetime stands still. An error names the VMs that were not stopped.',
    ...{ ...write(), request: { params } },
    responses: {
      ...{ 200: done('All VMs are stopped.'), ...slow, ...bodyRefused, ...noEnv },
      ...inTheWay("environment 'ci-42' is being started"),
    },
  }),
  startEnv: createRoute({
    ...{
      method: 'post',
      path: '/envs/{id}/start',
      operationId: 'startEnv',
      tags: envs,
      summary: 'Start an environment',
    },
    description: 'Resumes or starts its VMs. An error names the VMs that were not started.',
    ...{ ...write(), request: { params } },
    responses: {
      ...{ 200: done('All VMs run.'), ...slow, ...bodyRefused, ...noEnv },
      ...inTheWay("environment 'ci-42' is being stopped"),
    },
  }),
  extendEnv: createRoute({
    ...{ method: 'post', path: '/envs/{id}/extend', operationId: 'extendEnv', tags: envs },
    ...{ summary: 'Extend an environment', description: 'Sets its lifetime, counted from now.' },
    ...needs('machines:write', { body: jsonBody }),
    request: { params, ...bodyOf(schema.extendBody, { lifetime: 3600 }) },
    responses: { 200: dataOf('It and its VMs.', schema.envDetail), ...slow, ...bodyRefused, ...noEnv },
  }),
  getVm: createRoute({
    ...{ method: 'get', path: '/vms/{id}', operationId: 'getVm', tags: vms, summary: 'Get a VM' },
    ...{ ...read(), request: { params } },
    responses: { 200: dataOf('The VM as it is now.', schema.vmBody), ...common, ...noVm },
  }),
  ...vmRoutes,
  listImages: createRoute({
    ...{ method: 'get', path: '/images', operationId: 'listHostImages', tags: hosts, summary: 'List images' },
    ...read(),
    responses: { 200: dataOf('The images of each host.', z.array(schema.hostImage)), ...common },
  }),
  status: createRoute({
    ...{ method: 'get', path: '/status', operationId: 'fleetStatus', tags: hosts, summary: 'Show the fleet' },
    ...read(),
    responses: { 200: dataOf('Sums over all hosts.', schema.statusBody), ...slow },
  }),
} as const;

export const host = {
  ...vmRoutes,
  info: createRoute({
    ...{ method: 'get', path: '/info', operationId: 'info', tags: hosts, summary: 'Describe this host' },
    ...read(),
    responses: { 200: dataOf('This host.', schema.infoBody), ...slow },
  }),
  images: createRoute({
    ...{ method: 'get', path: '/images', operationId: 'images', tags: hosts, summary: 'List images' },
    ...read(),
    responses: { 200: dataOf('Names of images.', z.array(z.string())), ...common },
  }),
  createVm: createRoute({
    ...{ method: 'post', path: '/vms', operationId: 'createVm', tags: vms, summary: 'Create a VM' },
    description: 'Creates it and starts it. A VM that does not start is deleted again.',
    ...needs('machines:write', { body: jsonBody }),
    request: bodyOf(schema.createVmBody, {
      ...{ vm_id: '0a1b2c3d-4e5', env_id: 'ci-42', image: 'debian-12', engine: 'qemu', cpu: 2, mem: 1024 },
      ...{ disk: 40_960, ports: [22], deny_outgoing: false },
    }),
    responses: {
      201: dataOf('It runs.', z.object({ vm: schema.vmBody })),
      ...{ ...slow, ...bodyRefused, ...unschedulable, ...lost },
      ...inTheWay("Machine with name '0a1b2c3d-4e5' already exists"),
    },
  }),
  getVm: createRoute({
    ...{ method: 'get', path: '/vms/{id}', operationId: 'getHostVm', tags: vms, summary: 'Get a VM' },
    ...{ ...read(), request: { params } },
    responses: { 200: dataOf('The VM.', schema.vmBody), ...common, ...noVm },
  }),
} as const;

export const controllerRoutes: readonly RouteConfig[] = Object.values(controller);
export const hostRoutes: readonly RouteConfig[] = Object.values(host);
