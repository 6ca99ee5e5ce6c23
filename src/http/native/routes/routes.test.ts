/** `/api/v1/routes` and `/machines/{id}/routes` on a real server with fakes. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';
import type { HttpServer } from '../../server.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let machine: string;
beforeEach(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake));
  machine = (await send('POST', '/machines', { name: 'web', vcpu_count: 1, mem_size_mib: 128 })).body.id;
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

async function send(method: string, path: string, json?: unknown) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${testKey}`, 'Content-Type': 'application/json' },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? null : JSON.parse(text) };
}

test('create, get by id and subdomain, change, list, delete', async () => {
  const made = await send('POST', '/machines/web/routes', { subdomain: 'shop', target_port: 80 });
  expect(made).toMatchObject({
    status: 201,
    body: {
      ...{ machine_id: machine, subdomain: 'shop', target_port: 80, auto_wake: true },
      ...{ access: 'public', url: 'http://shop.flotilla.example' },
    },
  });
  const { id } = made.body;
  for (const name of [id, 'shop'])
    expect(await send('GET', `/api/v1/routes/${name}`)).toEqual({ status: 200, body: made.body });
  const changed = await send('PATCH', '/api/v1/routes/shop', { target_port: 81, auto_wake: false });
  expect(changed).toMatchObject({ status: 200, body: { id, target_port: 81, auto_wake: false } });
  const second = await send('POST', '/api/v1/routes', { machine, target_port: 82 });
  expect(second.body.subdomain).toMatch(/^[0-9a-f]{12}$/);
  for (const path of ['/machines/web/routes', '/api/v1/routes', '/api/v1/routes?machine=web'])
    expect(await send('GET', path)).toEqual({
      status: 200,
      body: { routes: [second.body, changed.body], total: 2 },
    });
  expect(await send('GET', '/machines/web/routes?limit=1')).toMatchObject({
    body: { routes: [second.body], total: 2 },
  });
  expect(await send('DELETE', `/api/v1/routes/${id}`)).toEqual({ status: 204, body: null });
  expect(await send('GET', '/api/v1/routes/shop')).toMatchObject({
    status: 404,
    body: { error: { code: 'NOT_FOUND', message: "Route with id 'shop' not found" } },
  });
});

test('a private route has tokens, which are void when it is made public', async () => {
  const made = await send('POST', '/machines/web/routes', {
    subdomain: 'shop',
    target_port: 80,
    access: 'private',
  });
  expect(made.body).toMatchObject({ access: 'private' });
  expect(JSON.stringify(made.body)).not.toContain('secret');
  const token = await send('POST', '/api/v1/routes/shop/tokens', { expires_in_seconds: 60 });
  expect(token).toMatchObject({ status: 201, body: { token: expect.stringMatching(/^r1\./) } });
  expect(token.body.url).toBe(`http://shop.flotilla.example/?flotilla_token=${token.body.token}`);
  expect(Date.parse(token.body.expires_at)).toBeGreaterThan(Date.now());
  expect(await send('DELETE', '/api/v1/routes/shop/tokens')).toEqual({ status: 204, body: null });
  expect((await send('PATCH', '/api/v1/routes/shop', { access: 'public' })).body).toMatchObject({
    access: 'public',
  });
  for (const method of ['POST', 'DELETE'])
    expect(
      await send(method, '/api/v1/routes/shop/tokens', method === 'POST' ? {} : undefined),
    ).toMatchObject({
      status: 409,
      body: { error: { message: 'Route shop is public and needs no token' } },
    });
});

test('a route goes with its machine', async () => {
  await send('POST', '/machines/web/routes', { target_port: 80 });
  await send('DELETE', '/machines/web');
  expect((await send('GET', '/api/v1/routes')).body).toEqual({ routes: [], total: 0 });
});

test.each<[string, string, string, object, number, string]>([
  [
    'a subdomain twice',
    'POST',
    '/machines/web/routes',
    { subdomain: 'taken', target_port: 80 },
    409,
    'CONFLICT',
  ],
  [
    'a reserved subdomain',
    'POST',
    '/machines/web/routes',
    { subdomain: 'api', target_port: 80 },
    400,
    'VALIDATION_ERROR',
  ],
  [
    'a wrong subdomain',
    'POST',
    '/machines/web/routes',
    { subdomain: 'A', target_port: 80 },
    400,
    'VALIDATION_ERROR',
  ],
  ['no port', 'POST', '/machines/web/routes', { subdomain: 'a' }, 400, 'VALIDATION_ERROR'],
  ['port 0', 'POST', '/api/v1/routes', { machine: 'web', target_port: 0 }, 400, 'VALIDATION_ERROR'],
  ['no machine', 'POST', '/api/v1/routes', { machine: 'none', target_port: 80 }, 404, 'NOT_FOUND'],
  ['another subdomain', 'PATCH', '/api/v1/routes/taken', { subdomain: 'other' }, 400, 'VALIDATION_ERROR'],
  ['no change', 'PATCH', '/api/v1/routes/taken', {}, 400, 'VALIDATION_ERROR'],
  ['an unknown route', 'PATCH', '/api/v1/routes/none', { target_port: 80 }, 404, 'NOT_FOUND'],
])('%s is refused', async (_, method, path, json, status, code) => {
  await send('POST', '/machines/web/routes', { subdomain: 'taken', target_port: 80 });
  expect(await send(method, path, json)).toMatchObject({ status, body: { error: { code } } });
});
