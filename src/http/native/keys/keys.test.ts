/** `/api/v1/keys`, and the effect of keys, on a real server. */
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { readContract } from '../../../../test/contract/document.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';
import { type Scope, scopes } from '../../../core/keys/caller.ts';
import { digestOf, makeSecret, prefixOf } from '../../../core/keys/secret.ts';
import type { Logger } from '../../../lib/log.ts';
import { sampleKey } from '../../../store/testing/samples.ts';
import type { HttpServer } from '../../server.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let logged: string[];

beforeEach(async () => {
  logged = [];
  const note = (fields: object, message: string) =>
    logged.push(`${message} ${inspect(fields, { depth: 9 })}`);
  const log: Logger = { debug: note, info: note, warn: note, error: note };
  fake = await startFake({ log });
  ({ server, url } = await serveFake(fake, { log }));
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what these tests find out.
  readonly body: any;
  readonly headers: Headers;
}

async function call(key: string, method: string, path: string, body?: unknown): Promise<Answer> {
  const type = body === undefined ? {} : { 'Content-Type': 'application/json' };
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${key}`, ...type },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text && JSON.parse(text), headers: response.headers };
}

async function makeKey(fields: object = {}): Promise<{ readonly id: string; readonly key: string }> {
  return (await call(testKey, 'POST', '/api/v1/keys', { name: 'k', scopes: ['*'], ...fields })).body;
}

const failure = (status: number, code: string, message: string) =>
  expect.objectContaining({ status, body: { error: expect.objectContaining({ code, message }) } });
const forbidden = failure(403, 'FORBIDDEN', 'Insufficient permissions for this action');
const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

describe('the life of a key', () => {
  test('a key is made, shown once, listed, used, revoked, and stays listed', async () => {
    const created = await call(testKey, 'POST', '/api/v1/keys', {
      name: 'ci',
      scopes: ['machines:exec', 'machines:read', 'machines:read'],
      expires_at: '2126-01-01T01:00:00+01:00',
    });
    expect(created.status).toBe(201);
    expect(created.headers.get('cache-control')).toBe('no-store');
    const { key, ...shown } = created.body;
    expect(key).toMatch(/^hf_[A-Za-z0-9]{32}$/);
    expect(shown).toEqual({
      id: expect.stringMatching(/^[a-z0-9]{12}$/),
      created_by: null,
      name: 'ci',
      scopes: ['machines:read', 'machines:exec'],
      tenant: 'default',
      tier: null,
      prefix: key.slice(0, 11),
      created_at: moment,
      expires_at: '2126-01-01T00:00:00.000Z',
      last_used_at: null,
      revoked_at: null,
    });
    expect((await call(testKey, 'GET', '/api/v1/keys')).body).toEqual({ keys: [shown], total: 1 });
    expect((await call(testKey, 'GET', `/api/v1/keys/${shown.id}`)).body).toEqual(shown);
    expect((await call(key, 'GET', '/machines')).status).toBe(200);
    for (const _ of ['once', 'again']) {
      const revoked = await call(testKey, 'DELETE', `/api/v1/keys/${shown.id}`);
      expect([revoked.status, revoked.body]).toEqual([204, '']);
    }
    expect(await call(key, 'GET', '/machines')).toEqual(
      failure(401, 'UNAUTHORIZED', 'API key has been revoked'),
    );
    await fake.apiKeys.close();
    const after = { ...shown, revoked_at: moment, last_used_at: moment };
    expect((await call(testKey, 'GET', '/api/v1/keys')).body).toEqual({ keys: [after], total: 1 });
  });

  test('an expired key: 401 with its own words', async () => {
    const secret = makeSecret();
    await fake.store.keys.insert(
      sampleKey({
        prefix: prefixOf(secret),
        hash: digestOf(secret).toString('hex'),
        expiresAt: new Date().toISOString(),
      }),
    );
    expect(await call(secret, 'GET', '/machines')).toEqual(
      failure(401, 'UNAUTHORIZED', 'API key has expired'),
    );
  });

  test('pages', async () => {
    for (const name of ['a', 'b', 'c']) await makeKey({ name });
    const { body } = await call(testKey, 'GET', '/api/v1/keys?limit=2&offset=1');
    expect([body.keys.length, body.total]).toEqual([2, 3]);
    expect((await call(testKey, 'GET', '/api/v1/keys?limit=1001')).status).toBe(400);
  });

  test.each([
    [{ name: undefined }, 'name is required'],
    [{ name: '' }, 'name must not be empty'],
    [{ name: 'a\nb' }, 'name must not contain control characters'],
    [{ scopes: undefined }, 'scopes is required'],
    [{ scopes: [] }, 'scopes must not be empty'],
    [
      { scopes: ['machines:all'] },
      'scopes.0 must be one of: machines:read, machines:write, machines:exec, *',
    ],
    [{ expires_at: 'tomorrow' }, 'expires_at must be a time such as 2030-01-31T12:00:00Z'],
    [{ expires_at: '2126-02-30T00:00:00Z' }, 'expires_at must be a time such as 2030-01-31T12:00:00Z'],
    [{ expires_at: '2126-01-01T00:00Z' }, 'expires_at must be a time such as 2030-01-31T12:00:00Z'],
    [{ expires_at: '2020-01-01T00:00:00Z' }, 'The time a key expires must be in the future'],
    [{ tenant: 'No' }, 'tenant must be 1 to 63 of a-z, 0-9 and -, and not begin with -'],
  ])('%j: 400', async (fields, message) => {
    const body = { name: 'k', scopes: ['*'], ...fields };
    expect(await call(testKey, 'POST', '/api/v1/keys', body)).toEqual(
      failure(400, 'VALIDATION_ERROR', message),
    );
  });
});

/** For the operator alone, whatever scopes a key has. */
const forOperator = ['listQuotas', 'setQuota', 'removeQuota'];

describe('scopes', () => {
  const needed = readContract().operations.flatMap((operation) => {
    const scope = operation.security?.[0]?.bearerAuth?.[0] as Scope | undefined;
    return scope === undefined ? [] : [{ ...operation, scope }];
  });

  test('every operation but health needs one', () => {
    const all = readContract().operations.map(({ operationId }) => operationId);
    const with_ = needed.map(({ operationId }) => operationId);
    expect(all.filter((each) => !with_.includes(each))).toEqual(['getHealth']);
  });

  const forTenants = needed.filter(({ operationId }) => !forOperator.includes(operationId));
  test.each(forTenants)('$operationId accepts only $scope and *', async ({ method, path, scope }) => {
    const verdicts = await Promise.all(
      scopes.map(async (held) => {
        const { key } = await makeKey({ scopes: [held] });
        // The machine does not exist and there is no body, so an accepted caller gets another error.
        const named = path.replace('{tenant}', 'default').replace(/\{\w+\}/, 'nobody');
        const answer = await call(key, method, named);
        expect(answer.status).toBeLessThan(500);
        if (answer.status === 403) expect(answer).toEqual(forbidden);
        return [held, answer.status !== 403];
      }),
    );
    expect(verdicts).toEqual(scopes.map((held) => [held, held === scope || held === '*']));
  });

  test('what is for the operator is refused to a key for everything', async () => {
    const { key } = await makeKey();
    const operations = needed.filter(({ operationId }) => forOperator.includes(operationId));
    expect(operations).toHaveLength(forOperator.length);
    for (const { method, path } of operations) {
      const body = method === 'PUT' ? { machines: 1 } : undefined;
      expect(await call(key, method, path.replace('{tenant}', 'default'), body)).toEqual(forbidden);
    }
  });

  test('a read-only key changes nothing', async () => {
    const machine = { name: 'web', vcpu_count: 1, mem_size_mib: 128 };
    const { id } = (await call(testKey, 'POST', '/machines', machine)).body;
    const { key } = await makeKey({ scopes: ['machines:read'] });
    for (const prefix of ['/machines', '/api/v1/machines']) {
      for (const action of ['start', 'stop', 'restart'])
        expect(await call(key, 'POST', `${prefix}/${id}/${action}`)).toEqual(forbidden);
      expect(await call(key, 'POST', `${prefix}/${id}/exec`, { command: ['id'] })).toEqual(forbidden);
      expect(await call(key, 'POST', prefix, { ...machine, name: 'other' })).toEqual(forbidden);
      expect(await call(key, 'DELETE', `${prefix}/${id}?force=true`)).toEqual(forbidden);
    }
    const { body } = await call(key, 'GET', '/machines');
    expect(body).toMatchObject({ total: 1, machines: [{ id, status: 'pending' }] });
  });

  test.each(['machines:read', 'machines:write', 'machines:exec'] as const)(
    'a key for %s cannot make another key',
    async (scope) => {
      const { key } = await makeKey({ scopes: [scope] });
      const body = { name: 'more', scopes: ['*'] };
      expect(await call(key, 'POST', '/api/v1/keys', body)).toEqual(forbidden);
    },
  );
});

describe('a streamed answer', () => {
  const follow = async (key: string) => {
    await fake.machines.create('default', { name: 'web', vcpuCount: 1, memoryMib: 128 });
    await fake.machines.start('default', 'web');
    const response = await fetch(`${url}/machines/web/console?follow=true`, {
      headers: { Authorization: `Bearer ${key}` },
    });
    expect(response.status).toBe(200);
    return response.text();
  };

  test('ends with its key', async () => {
    const reader = await makeKey({ scopes: ['machines:read'] });
    const text = follow(reader.key);
    text.catch(() => undefined);
    await vi.waitUntil(() => logged.some((line) => line.includes('/machines/web/console')));
    expect((await call(testKey, 'DELETE', `/api/v1/keys/${reader.id}`)).status).toBe(204);
    await expect(text).rejects.toThrow();
  });

  test('a wait is refused when its key is revoked', async () => {
    const reader = await makeKey({ scopes: ['machines:read'] });
    await fake.machines.create('default', { name: 'web', vcpuCount: 1, memoryMib: 128 });
    const waited = call(reader.key, 'GET', '/machines/web/wait?status=running');
    await vi.waitUntil(
      async () => (await call(testKey, 'GET', `/api/v1/keys/${reader.id}`)).body.last_used_at,
    );
    await call(testKey, 'DELETE', `/api/v1/keys/${reader.id}`);
    expect(await waited).toEqual(failure(401, 'UNAUTHORIZED', 'API key has been revoked'));
  });
});

describe('tenants', () => {
  const machine = { name: 'web', vcpu_count: 1, mem_size_mib: 128 };

  test('a second tenant sees nothing of the first, and may use the same names', async () => {
    const blue = await makeKey({ tenant: 'blue' });
    const green = await makeKey({ tenant: 'green' });
    const { id } = (await call(blue.key, 'POST', '/machines', machine)).body;
    expect((await call(blue.key, 'POST', `/machines/${id}/start`)).status).toBe(200);
    expect((await call(green.key, 'GET', '/machines')).body).toEqual({ machines: [], total: 0 });
    const actions: readonly (readonly [method: string, suffix: string, body?: unknown])[] = [
      ['GET', ''],
      ['GET', '/wait?status=running'],
      ['POST', '/start'],
      ['POST', '/stop'],
      ['POST', '/restart'],
      ['POST', '/exec', { command: ['id'] }],
      ['DELETE', '?force=true'],
    ];
    for (const name of [id, 'web']) {
      for (const [method, suffix, body] of actions) {
        expect(await call(green.key, method, `/machines/${name}${suffix}`, body), suffix).toEqual(
          failure(404, 'NOT_FOUND', `Machine with id '${name}' not found`),
        );
      }
    }
    const other = await call(green.key, 'POST', '/machines', machine);
    expect(other.status).toBe(201);
    expect((await call(green.key, 'GET', '/machines/web')).body.id).toBe(other.body.id);
    expect((await call(blue.key, 'GET', '/machines/web')).body).toMatchObject({ id, status: 'running' });
  });

  test('a tenant sees only its own keys; the operator sees all and may name a tenant', async () => {
    const blue = await makeKey({ tenant: 'blue' });
    const green = await makeKey({ tenant: 'green' });
    const mine = await call(blue.key, 'POST', '/api/v1/keys', { name: 'mine', scopes: ['*'] });
    expect([mine.status, mine.body.tenant]).toEqual([201, 'blue']);
    for (const method of ['GET', 'DELETE']) {
      expect(await call(blue.key, method, `/api/v1/keys/${green.id}`)).toEqual(
        failure(404, 'NOT_FOUND', `Key with id '${green.id}' not found`),
      );
    }
    const body = { name: 'theirs', scopes: ['*'], tenant: 'green' };
    expect(await call(blue.key, 'POST', '/api/v1/keys', body)).toEqual(forbidden);
    const idsFor = async (key: string) =>
      (await call(key, 'GET', '/api/v1/keys')).body.keys.map(({ id }: { id: string }) => id).toSorted();
    expect(await idsFor(blue.key)).toEqual([blue.id, mine.body.id].toSorted());
    expect(await idsFor(testKey)).toEqual([blue.id, green.id, mine.body.id].toSorted());
    expect((await call(green.key, 'GET', '/machines')).status).toBe(200);
  });
});

test('no secret and no hash is in the log or in any answer but the first', async () => {
  const { id, key } = await makeKey();
  const hash = digestOf(key).toString('hex');
  const answers = [
    await call(key, 'GET', '/machines'),
    await call(key, 'GET', '/api/v1/keys'),
    await call(key, 'GET', `/api/v1/keys/${id}`),
    await call(key, 'POST', '/api/v1/keys', { name: key }),
    await call(`${key}x`, 'GET', '/machines'),
    await call(key, 'DELETE', `/api/v1/keys/${id}`),
    await call(key, 'GET', '/api/v1/keys'),
  ];
  await fake.apiKeys.close();
  expect(logged.length).toBeGreaterThan(answers.length);
  for (const text of [...logged, ...answers.map(({ body }) => JSON.stringify(body))]) {
    expect(text).not.toContain(key.slice(11));
    expect(text).not.toContain(hash);
  }
});
