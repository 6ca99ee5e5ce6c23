/** `/api/v1/templates` on a real server with fakes. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';
import type { HttpServer } from '../../server.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
beforeEach(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake));
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

async function send(method: string, path: string, json?: unknown, key = testKey) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? null : JSON.parse(text) };
}
const refusal = (code: string, message: string) => ({ error: { code, message } });

const asked = { name: 'web', image: 'busybox', vcpu_count: 2, mem_size_mib: 256 };

test('create, get by id and name, list, delete', async () => {
  const made = await send('POST', '/api/v1/templates', { ...asked, description: 'x', disk_size_mib: 2048 });
  expect(made).toMatchObject({ status: 201, body: { ...asked, description: 'x', disk_size_mib: 2048 } });
  const { id } = made.body;
  expect(await send('GET', `/api/v1/templates/${id}`)).toEqual({ status: 200, body: made.body });
  expect(await send('GET', '/api/v1/templates/web')).toEqual({ status: 200, body: made.body });
  const body = { templates: [made.body], total: 1 };
  expect(await send('GET', '/api/v1/templates?limit=1')).toEqual({ status: 200, body });
  expect(await send('DELETE', `/api/v1/templates/${id}`)).toEqual({ status: 204, body: null });
  expect(await send('GET', `/api/v1/templates/${id}`)).toMatchObject({
    status: 404,
    body: refusal('NOT_FOUND', `Template with id '${id}' not found`),
  });
});

test.each<[string, object, number, object]>([
  [
    'without memory',
    { mem_size_mib: undefined },
    400,
    refusal('VALIDATION_ERROR', 'mem_size_mib is required'),
  ],
  ['with an unknown field', { labels: {} }, 400, { error: { code: 'VALIDATION_ERROR' } }],
  ['of an unknown image', { image: 'nothing' }, 404, { error: { code: 'NOT_FOUND' } }],
])('one %s is refused', async (_, changes, status, body) => {
  expect(await send('POST', '/api/v1/templates', { ...asked, ...changes })).toMatchObject({ status, body });
});

test('a second one of a name is refused', async () => {
  await send('POST', '/api/v1/templates', asked);
  expect(await send('POST', '/api/v1/templates', asked)).toMatchObject({
    status: 409,
    body: refusal('CONFLICT', "Template with name 'web' already exists"),
  });
});

test('a machine takes from a template what it does not say; without one it must say it', async () => {
  const { body: template } = await send('POST', '/api/v1/templates', asked);
  expect(await send('POST', '/machines', { name: 'one', template: 'web', vcpu_count: 1 })).toMatchObject({
    status: 201,
    body: { image: 'busybox', vcpu_count: 1, mem_size_mib: 256, template: template.id },
  });
  expect(await send('POST', '/machines', { name: 'two', mem_size_mib: 128 })).toMatchObject({
    status: 400,
    body: refusal('VALIDATION_ERROR', 'vcpu_count is required'),
  });
  expect(await send('POST', '/machines', { name: 'two', template: 'none' })).toMatchObject({
    status: 404,
    body: refusal('NOT_FOUND', "Template with id 'none' not found"),
  });
});

test('its user data is shown to keys that may run commands', async () => {
  const user_data = '#!/bin/sh\nexport TOKEN=secret\n';
  const made = await send('POST', '/api/v1/templates', { ...asked, user_data });
  expect(made.body).toMatchObject({ user_data });
  const viewer = await send('POST', '/api/v1/keys', { name: 'viewer', scopes: ['machines:read'] });
  const { key } = viewer.body;
  expect((await send('GET', '/api/v1/templates/web', undefined, key)).body).toEqual({
    ...made.body,
    user_data: null,
  });
  expect((await send('GET', '/api/v1/templates', undefined, key)).body.templates).toMatchObject([
    { user_data: null },
  ]);
});
