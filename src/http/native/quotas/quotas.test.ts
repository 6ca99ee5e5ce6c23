/** `/api/v1/quotas`, and what tiers of keys do to requests. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';

let fake: FakeFlotilla;
let served: Awaited<ReturnType<typeof serveFake>>;
beforeEach(async () => {
  fake = await startFake();
  served = await serveFake(fake);
});
afterEach(async () => {
  await served.server.close(0);
  await fake.close();
});

async function ask(
  path: string,
  { method = 'GET', key = testKey, body }: { method?: string; key?: string; body?: object } = {},
) {
  const answer = await fetch(`${served.url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${key}`, ...(body ? { 'Content-Type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, body: text === '' ? null : JSON.parse(text) };
}

const keyOf = async (tenant: string, more: object = {}) =>
  (await ask('/api/v1/keys', { method: 'POST', body: { name: 'k', scopes: ['*'], tenant, ...more } })).body
    .key;
const machine = (name: string) => ({ name, vcpu_count: 1, mem_size_mib: 128, image: 'busybox' });

test('the operator sets, lists and removes a quota; the tenant reads it', async () => {
  const key = await keyOf('acme');
  const set = await ask('/api/v1/quotas/acme', { method: 'PUT', body: { machines: 1, memory_mib: 4096 } });
  const limits = { machines: 1, vcpus: null, memory_mib: 4096, disk_mib: null };
  const used = { machines: 0, vcpus: 0, memory_mib: 0, disk_mib: 0 };
  expect(set).toMatchObject({ status: 200, body: { tenant: 'acme', limits, used, is_default: false } });
  expect((await ask('/api/v1/quotas/acme', { key })).body).toEqual(set.body);
  expect((await ask('/api/v1/quotas')).body).toMatchObject({
    quotas: [{ tenant: 'acme', limits }],
    total: 1,
  });
  expect((await ask('/api/v1/quotas', { key })).status).toBe(403);
  expect((await ask('/api/v1/quotas/default', { key })).status).toBe(403);
  expect((await ask('/api/v1/quotas/acme', { key, method: 'PUT', body: {} })).status).toBe(403);
  expect((await ask('/api/v1/quotas/acme', { method: 'DELETE' })).status).toBe(204);
  expect((await ask('/api/v1/quotas/acme', { method: 'DELETE' })).status).toBe(404);
  expect((await ask('/api/v1/quotas/ACME')).status).toBe(400);
});

test('beyond its quota a tenant is refused, in words', async () => {
  const key = await keyOf('acme');
  await ask('/api/v1/quotas/acme', { method: 'PUT', body: { machines: 1 } });
  expect((await ask('/machines', { key, method: 'POST', body: machine('one') })).status).toBe(201);
  expect(await ask('/machines', { key, method: 'POST', body: machine('two') })).toMatchObject({
    status: 403,
    body: {
      error: {
        code: 'QUOTA_EXCEEDED',
        message: 'Machine quota exceeded: 1 of 1 are used, and 1 more would exceed the limit',
      },
    },
  });
});

test('a key of a tier shows its rate, and beyond it is refused until it refills', async () => {
  const key = await keyOf('acme', { tier: 'free' });
  const first = await ask('/machines', { key });
  expect([first.headers.get('x-ratelimit-limit'), first.headers.get('x-ratelimit-remaining')]).toEqual([
    '60',
    '59',
  ]);
  let refused = first;
  for (let count = 0; count < 200 && refused.status === 200; count += 1)
    refused = await ask('/machines', { key });
  expect(refused).toMatchObject({ status: 429, body: { error: { code: 'RATE_LIMITED', retryable: true } } });
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect((await ask('/machines')).status).toBe(200);
  expect((await ask('/machines')).headers.get('x-ratelimit-limit')).toBeNull();
});

test('a key makes no key of a higher tier, and passes on its own', async () => {
  const key = await keyOf('acme', { tier: 'free' });
  const make = (tier?: string | null) =>
    ask('/api/v1/keys', {
      key,
      method: 'POST',
      body: { name: 'k', scopes: ['*'], ...(tier === undefined ? {} : { tier }) },
    });
  expect([(await make('pro')).status, (await make(null)).status]).toEqual([403, 403]);
  expect((await make()).body.tier).toBe('free');
});
