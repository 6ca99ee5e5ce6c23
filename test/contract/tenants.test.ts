/**
 * Sends requests with another tenant's key, which has all scopes, to every operation of the document and
 * every subject of the first tenant. The operations come from the document, so a new route is tested too, or
 * fails because its path has no value here.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../support/fake.ts';
import { type DocumentedOperation, readContract } from './document.ts';

const { operations } = readContract();
/** Operations that create something for the caller under any name. */
const making = [
  'createEnvironment',
  'createMachine',
  'createKey',
  'createSshKey',
  'createRoute',
  'createTemplate',
  'importImage',
  'uploadImage',
];
/** Operations without an owner, and those that are for the operator alone. */
const common = ['getHealth', 'listQuotas'];
const mine = 'alpine-of-acme';
const sshKeyOfAcme = 'AAAAC3NzaC1lZDI1NTE5AAAAIGcAdYFaHZ5VMPZaX8RQHQQjxVfnLwUSQvYgbCfqNnCu';

let fake: FakeFlotilla;
let served: Awaited<ReturnType<typeof serveFake>>;
let keys: { readonly acme: string; readonly other: string };
let owned: {
  readonly machine: string;
  readonly key: string;
  readonly operation: string;
  readonly template: string;
  readonly snapshot: string;
  readonly sshKey: string;
  readonly route: string;
  readonly exec: string;
};

beforeAll(async () => {
  fake = await startFake();
  served = await serveFake(fake);
  const secretOf = async (tenant: string) =>
    (await call(testKey, 'POST', '/api/v1/keys', { name: tenant, scopes: ['*'], tenant })).body.key as string;
  keys = { acme: await secretOf('acme'), other: await secretOf('other') };
  const machine = { name: 'web', vcpu_count: 1, mem_size_mib: 128 };
  const { id } = (await call(keys.acme, 'POST', '/machines', machine)).body;
  await call(keys.acme, 'POST', `/machines/${id}/start`);
  await call(keys.acme, 'POST', `/machines/${id}/files`, { path: '/srv/file', content: 'aGk=' });
  const exec = await call(keys.acme, 'POST', `/machines/${id}/exec`, { command: ['x'], detach: true });
  const listed = await call(keys.acme, 'GET', '/api/v1/operations');
  const made = await call(keys.acme, 'POST', '/api/v1/keys', { name: 'ci', scopes: ['machines:read'] });
  const template = await call(keys.acme, 'POST', '/api/v1/templates', {
    ...{ name: 'plan-of-acme', image: 'busybox', vcpu_count: 1, mem_size_mib: 128 },
  });
  const snapshot = await call(keys.acme, 'POST', `/machines/${id}/snapshots`, { name: 'moment-of-acme' });
  const sshKey = await call(keys.acme, 'POST', '/api/v1/ssh-keys', {
    public_key: `ssh-ed25519 ${sshKeyOfAcme} key-of-acme`,
  });
  const route = await call(keys.acme, 'POST', `/machines/${id}/routes`, {
    ...{ subdomain: 'shop-of-acme', target_port: 80 },
  });
  await call(keys.acme, 'POST', '/api/v1/environments', {
    ...{ id: 'plan-of-acme', machines: [{ ...machine, name: 'member' }] },
  });
  owned = {
    ...{ machine: id as string, key: made.body.id as string, operation: listed.body.operations[0].id },
    ...{
      sshKey: sshKey.body.id as string,
      route: route.body.id as string,
      template: template.body.id as string,
      snapshot: snapshot.body.id as string,
      exec: exec.body.id as string,
    },
  };
  const request = {
    ...{ tenant: 'acme', name: mine, kernel: 'host' as const, memoryMibMin: 96 },
    source: { kind: 'directory', path: '/nowhere' } as const,
  };
  await fake.images.build('arranged', request, new AbortController().signal);
  await fake.images.publish('arranged', request);
  await fake.images.discard('arranged');
});
afterAll(async () => {
  await served.server.close(0);
  await fake.close();
});

async function call(key: string, method: string, path: string, body?: unknown) {
  const answer = await fetch(`${served.url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${key}`, ...(body ? { 'Content-Type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const isJson = answer.headers.get('content-type')?.includes('json') ?? false;
  // A followed console, which must not be answered here, would never end.
  if (!isJson) await answer.body?.cancel();
  const text = isJson ? await answer.text() : '';
  return { status: answer.status, text, body: isJson ? JSON.parse(text) : null };
}

/** The paths of an operation for each of acme's names, with every switch on. */
function pathsOf({ path, operationId, parameters = [] }: DocumentedOperation): readonly string[] {
  const names: Readonly<Record<string, readonly string[]>> = {
    '/machines/{id}': [owned.machine, 'web'],
    '/api/v1/images/{name}': [mine],
    '/api/v1/keys/{id}': [owned.key],
    '/api/v1/operations/{id}': [owned.operation],
    '/api/v1/environments/{id}': ['plan-of-acme'],
    '/api/v1/quotas/{tenant}': ['acme'],
    '/api/v1/ssh-keys/{id}': [owned.sshKey, 'key-of-acme'],
    '/api/v1/routes/{id}': [owned.route, 'shop-of-acme'],
    '/api/v1/snapshots/{id}': [owned.snapshot, 'moment-of-acme'],
    '/api/v1/templates/{id}': [owned.template, 'plan-of-acme'],
  };
  const [template = path] = /^.*?\{\w+\}/.exec(path) ?? [];
  const values = path.includes('{') ? names[template] : [''];
  if (values === undefined) throw new Error(`this test has nothing of acme's for ${path}`);
  const query = parameters
    .filter((parameter) => parameter.in === 'query')
    .flatMap(({ name, schema, required }) => {
      if (name === 'path') return [`path=${operationId === 'listFiles' ? '/srv' : '/srv/file'}`];
      // This filter says that it does not know the machine.
      if (name === 'machine' && ['listRoutes', 'listSnapshots'].includes(operationId)) return [];
      if (name === 'machine') return [`machine=${owned.machine}`];
      if (schema.enum?.includes('true')) return [`${name}=true`];
      return required ? [`${name}=running`] : [];
    });
  return values.map(
    (value) =>
      path
        .replace('{eid}', owned.exec)
        .replace('{host_port}', '8080')
        .replace(/\{\w+\}/, value) + (query.length > 0 ? `?${query.join('&')}` : ''),
  );
}

const bodyOf = ({ requestBody }: DocumentedOperation) => requestBody?.content['application/json']?.example;

/** Everything that acme sees of its own. */
async function acmeSees(): Promise<readonly string[]> {
  const paths = [
    ...[`/machines/${owned.machine}`, `/api/v1/keys/${owned.key}`, `/api/v1/operations/${owned.operation}`],
    ...[`/api/v1/images/${mine}`, '/machines', '/api/v1/operations', `/api/v1/templates/${owned.template}`],
    '/api/v1/environments/plan-of-acme',
    `/api/v1/ssh-keys/${owned.sshKey}`,
    `/api/v1/routes/${owned.route}`,
    `/api/v1/snapshots/${owned.snapshot}`,
    `/machines/${owned.machine}/files?path=/srv/file`,
    `/machines/${owned.machine}/execs`,
  ];
  return Promise.all(paths.map(async (path) => (await call(keys.acme, 'GET', path)).text));
}

describe('another tenant', () => {
  const targeted = operations.filter(
    ({ path, operationId }) => path.includes('{') && !making.includes(operationId),
  );
  const listing = operations.filter(
    ({ path, operationId }) => !path.includes('{') && ![...making, ...common].includes(operationId),
  );

  test.each(targeted)('$operationId: not found, and nothing has changed', async (operation) => {
    const before = await acmeSees();
    for (const path of pathsOf(operation)) {
      const answer = await call(keys.other, operation.method, path, bodyOf(operation));
      // Tenants are no secret, what they have is.
      const refused = operation.tags?.includes('quotas') ? 403 : 404;
      expect(answer.status, `${operation.method} ${path}: ${answer.text}`).toBe(refused);
    }
    expect(await acmeSees()).toEqual(before);
  });

  test.each(listing)('$operationId shows nothing of it', async (operation) => {
    for (const path of pathsOf(operation)) {
      const answer = await call(keys.other, operation.method, path, bodyOf(operation));
      expect(answer.status).toBe(200);
      for (const secret of [...Object.values(owned), mine, 'acme']) expect(answer.text).not.toContain(secret);
    }
  });

  test.each(operations.filter(({ operationId }) => making.includes(operationId)))(
    '$operationId makes at most one of its own',
    async (operation) => {
      const before = await acmeSees();
      const path = operation.path.replace('{name}', mine);
      const answer = await call(keys.other, operation.method, path, bodyOf(operation));
      expect(answer.status).toBeLessThan(500);
      expect(answer.status).not.toBe(409);
      expect(await acmeSees()).toEqual(before);
    },
  );
});

test('the same requests succeed for the first tenant, so the tests can fail', async () => {
  const reads = operations.filter(
    ({ path, method, operationId }) =>
      method === 'GET' && path.includes('{') && operationId !== 'getMachineConsole',
  );
  for (const operation of reads) {
    for (const path of pathsOf(operation)) {
      expect((await call(keys.acme, 'GET', path)).status, path).toBe(200);
    }
  }
  const consolePath = `/machines/${owned.machine}/console`;
  expect((await call(keys.acme, 'GET', consolePath)).status).not.toBe(404);
});
