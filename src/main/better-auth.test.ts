/** The verifier against a real Better Auth server, and against servers that do not answer as they should. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type BetterAuthServer, startBetterAuth } from '../../test/support/better-auth.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../test/support/fake.ts';
import { tenantPattern } from '../core/keys/caller.ts';
import { silentLog } from '../lib/log.ts';
import { adminKeyVerifier } from './admin-key.ts';
import { BetterAuthVerifier, tenantOf, withBetterAuth } from './better-auth.ts';

let resources = new AsyncDisposableStack();
beforeEach(() => {
  resources = new AsyncDisposableStack();
});
afterEach(() => resources.disposeAsync());

const invalid = { code: 'unauthenticated', message: 'Invalid API key' };
const unavailable = { code: 'unavailable' };

describe('with a real server', () => {
  let server: BetterAuthServer;
  let now: number;
  beforeEach(async () => {
    server = resources.use(await startBetterAuth());
    now = 0;
  });
  const verifierOf = (url: string) => new BetterAuthVerifier({ url, log: silentLog, now: () => now });

  it.each(['url', 'rawUrl'] as const)(
    'a valid key is its user’s, in a tenant of its own (%s)',
    async (kind) => {
      const verifier = verifierOf(server[kind]);
      const [anna, bert] = [await server.makeUser('anna'), await server.makeUser('bert')];
      const caller = await verifier.verify((await server.makeKey(anna)).key);
      expect(caller).toMatchObject({
        ...{ tenant: tenantOf(anna), tier: null, isOperator: false },
        scopes: ['machines:read', 'machines:write', 'machines:exec'],
      });
      expect(caller.expiresAt === null).toBe(kind === 'url');
      expect((await verifier.verify((await server.makeKey(anna)).key)).tenant).toBe(caller.tenant);
      expect((await verifier.verify((await server.makeKey(bert)).key)).tenant).not.toBe(caller.tenant);
    },
  );

  it('an unknown key is refused, and so is one that was disabled, after at most ten seconds', async () => {
    const verifier = verifierOf(server.url);
    const anna = await server.makeUser('anna');
    const { key, id } = await server.makeKey(anna);
    await expect(verifier.verify(`${key}x`)).rejects.toMatchObject(invalid);
    await verifier.verify(key);
    await server.disable(anna, id);
    now = 9_999;
    await verifier.verify(key);
    now = 10_000;
    await expect(verifier.verify(key)).rejects.toMatchObject(invalid);
    now = 10_001;
    await expect(verifier.verify(key)).rejects.toMatchObject(invalid);
  });

  it('is asked once for many requests with one key', async () => {
    const verifier = verifierOf(server.url);
    const { key } = await server.makeKey(await server.makeUser('anna'));
    await Promise.all(Array.from({ length: 20 }, () => verifier.verify(key)));
    await verifier.verify(key);
    expect(server.count).toBe(1);
  });

  it('limits a key that is used too often', async () => {
    const verifier = verifierOf(server.rawUrl);
    const { key } = await server.makeKey(await server.makeUser('anna'));
    for (let n = 0; n < 5; n += 1, now += 10_000) await verifier.verify(key);
    await expect(verifier.verify(key)).rejects.toMatchObject({ code: 'rate_limited' });
  });
});

describe('with a server that', () => {
  async function serve(listener: RequestListener, timeoutMs = 5_000): Promise<BetterAuthVerifier> {
    const server = createServer(listener);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    resources.defer(async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/verify`;
    return new BetterAuthVerifier({ url, log: silentLog, timeoutMs });
  }
  const answers = (status: number, text: string, headers = {}) =>
    serve((_, response) => void response.writeHead(status, headers).end(text));
  const yes = '{"valid":true,"userId":"u"}';

  it.each([
    ['fails', 500, '{}'],
    ['fails, but says yes', 502, yes],
    ['fails, but says no', 503, '{"valid":false}'],
    ['is another one', 404, 'not found'],
    ['says yes with an odd status', 400, yes],
    ['speaks no JSON', 200, '<html>'],
    ['says nothing', 200, ''],
    ['says null', 200, 'null'],
    ['says yes in a text', 200, '{"valid":"true","userId":"u"}'],
    ['does not say whose key it is', 200, '{"valid":true}'],
    ['says an expiry that is no time', 200, '{"valid":true,"key":{"userId":"u","expiresAt":"soon"}}'],
    ['says too much', 200, `{"valid":true,"userId":"u","x":"${'x'.repeat(70_000)}"}`],
  ])('%s: unavailable, never accepted', async (_, status, text) => {
    await expect((await answers(status, text)).verify('k')).rejects.toMatchObject(unavailable);
  });

  it('redirects: the key does not follow', async () => {
    let isFollowed = false;
    const target = createServer((_, response) => {
      isFollowed = true;
      response.end(yes);
    }).listen(0, '127.0.0.1');
    await once(target, 'listening');
    resources.defer(async () => {
      target.closeAllConnections();
      target.close();
      await once(target, 'close');
    });
    const Location = `http://127.0.0.1:${(target.address() as AddressInfo).port}/`;
    await expect((await answers(307, '', { Location })).verify('k')).rejects.toMatchObject(unavailable);
    expect(isFollowed).toBe(false);
  });

  it('hangs: unavailable after the deadline', async () => {
    const verifier = await serve(() => undefined, 50);
    await expect(verifier.verify('k')).rejects.toMatchObject(unavailable);
  });

  it('cannot be reached: unavailable', async () => {
    const verifier = new BetterAuthVerifier({ url: 'http://127.0.0.1:9/verify', log: silentLog });
    await expect(verifier.verify('k')).rejects.toMatchObject(unavailable);
  });

  it.each([401, 403])('answers %i: the key is not valid', async (status) => {
    await expect((await answers(status, '')).verify('k')).rejects.toMatchObject(invalid);
  });

  it('says no with a status of the client’s fault: the key is not valid', async () => {
    await expect((await answers(400, '{"valid":false}')).verify('k')).rejects.toMatchObject(invalid);
  });

  it('says yes to an expired key: it is expired', async () => {
    const verifier = await answers(
      200,
      '{"valid":true,"key":{"userId":"u","expiresAt":"2020-01-01T00:00:00Z"}}',
    );
    await expect(verifier.verify('k')).rejects.toMatchObject({ message: 'API key has expired' });
  });

  it('is not asked about a key that nobody would make', async () => {
    await expect((await answers(200, yes)).verify('k'.repeat(1_025))).rejects.toMatchObject(invalid);
  });
});

it('a tenant is a valid name, whatever the user’s id', () => {
  const ids = [
    'default',
    'ZwXsdRPp6ryKDnnZIaqWkBwGHqwKUDoo',
    'zwxsdrpp6rykdnnziaqwkbwghqwkudoo',
    '../..',
    'ü',
  ];
  const tenants = ids.map(tenantOf);
  expect(new Set(tenants).size).toBe(ids.length);
  for (const tenant of tenants) expect(tenant).toMatch(tenantPattern);
});

describe('over HTTP', () => {
  let fake: FakeFlotilla;
  async function open(
    url: string,
  ): Promise<(path: string, headers: Record<string, string>) => Promise<Response>> {
    fake = await startFake();
    resources.defer(() => fake.close());
    const own = adminKeyVerifier(testKey, fake.apiKeys);
    const keys = withBetterAuth(own, new BetterAuthVerifier({ url, log: silentLog }));
    const served = await serveFake(fake, { keys });
    resources.defer(() => served.server.close(0));
    return (path, headers) => fetch(`${served.url}${path}`, { headers });
  }

  it('both kinds of keys are accepted; others are 401', async () => {
    const server = resources.use(await startBetterAuth());
    const get = await open(server.url);
    const { key } = await server.makeKey(await server.makeUser('anna'));
    expect((await get('/vms', { 'X-API-Key': key })).status).toBe(200);
    expect((await get('/machines', { Authorization: `Bearer ${key}` })).status).toBe(200);
    expect((await get('/vms', { 'X-API-Key': testKey })).status).toBe(200);
    expect(server.count).toBe(1);
    // It would outlive the key it was made with.
    expect((await get('/api/v1/keys', { Authorization: `Bearer ${key}` })).status).toBe(403);
    const refused = await get('/vms', { 'X-API-Key': 'hatch_wrong' });
    expect([refused.status, await refused.json()]).toEqual([401, { error: 'invalid api key' }]);
  });

  it('a server that is away is 503, and does not concern our own keys', async () => {
    const get = await open('http://127.0.0.1:9/verify');
    const refused = await get('/vms', { 'X-API-Key': 'hatch_x' });
    expect(refused.status).toBe(503);
    expect(await refused.json()).toEqual({ error: expect.stringMatching(/cannot be asked/) });
    expect((await get('/vms', { Authorization: 'Bearer hatch_x', 'X-API-Key': testKey })).status).toBe(200);
  });
});
