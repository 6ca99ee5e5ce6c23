/** The gate of every route: its checks, their order, and that every route has a gate. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../test/support/fake.ts';
import { type Scope, scopes } from '../core/keys/caller.ts';
import { isGate } from './access.ts';
import { fullPath } from './dialect.ts';
import { dialects } from './dialects.ts';
import type { HttpServer } from './server.ts';

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND'];

interface Row {
  readonly method: string;
  readonly path: string;
  readonly scope: Scope | null;
  readonly isPublic: boolean;
  readonly body: string;
}

const table: readonly Row[] = dialects.flatMap(({ nouns }) =>
  nouns.flatMap(({ prefixes, routes }) =>
    prefixes.flatMap((prefix) =>
      routes.map((route) => {
        const { middleware } = route;
        if (!isGate(middleware)) throw new Error(`${route.method} ${fullPath(prefix, route)} has no gate`);
        const { auth, scope, body } = middleware.access;
        const path = fullPath(prefix, route).replaceAll(/\{\w+\}/g, 'none');
        const method = route.method.toUpperCase();
        return { method, path, scope, isPublic: auth === 'none', body: body.kind };
      }),
    ),
  ),
);
const publicPaths = ['/docs', '/docs/json', '/docs/assets/start.js', '/docs/assets/swagger-ui.css'];
const paths = [...new Set([...table.map(({ path }) => path), ...publicPaths, '/', '/nowhere'])];

let fake: FakeFlotilla;
let server: HttpServer;
beforeAll(async () => {
  fake = await startFake();
  ({ server } = await serveFake(fake));
});
afterAll(async () => {
  await server.close(0);
  await fake.close();
});

/** Sends the head of a request without its body, and returns the status of the answer. */
async function statusBeforeBody(method: string, path: string, key: string | null): Promise<number> {
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => undefined);
  const authorization = key === null ? '' : `Authorization: Bearer ${key}\r\n`;
  socket.write(
    `${method} ${path} HTTP/1.1\r\nHost: x\r\n${authorization}Content-Type: application/json\r\n` +
      'Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n',
  );
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return Number(/^HTTP\/1.1 (\d+)/.exec(answer.toString())?.[1]);
}

test('every route says of its query what its schema says', () => {
  for (const { nouns } of dialects) {
    for (const { routes } of nouns) {
      for (const { operationId, middleware, request } of routes) {
        if (!isGate(middleware) || middleware.access.auth === 'none') continue;
        const hasQuery = request?.query !== undefined;
        expect(middleware.access.query, String(operationId)).toBe(hasQuery ? 'declared' : 'none');
      }
    }
  }
});

async function keyWith(scope: Scope): Promise<string> {
  const operator = await fake.apiKeys.create(
    {
      ...{ tenant: 'default', keyName: 'test', keyId: null, expiresAt: null },
      ...{ scopes: ['*'] as const, tier: null, isOperator: true },
    },
    { name: scope, scopes: [scope] },
  );
  return operator.secret;
}

describe('without a key', () => {
  test.each(paths)('%s: refused for every method, before any byte of a body', async (path) => {
    for (const method of methods) {
      const isRead = method === 'GET' || method === 'HEAD';
      const isPublic = publicPaths.includes(path) || table.some((row) => row.isPublic && row.path === path);
      const status = await statusBeforeBody(method, path, null);
      expect(status, `${method} ${path}`).toBe(isRead && isPublic ? 200 : 401);
    }
  });
});

describe('with a key of another scope', () => {
  test.each(table.filter(({ scope }) => scope !== null))(
    '$method $path is refused before its body',
    async ({ method, path, scope }) => {
      const other = scopes.find((each) => each !== scope && each !== '*') ?? 'machines:read';
      expect(await statusBeforeBody(method, path, await keyWith(other))).toBe(403);
    },
  );
});

test('a body is requested only where the route reads one', async () => {
  for (const { method, path, body } of table.filter(({ isPublic }) => !isPublic)) {
    const isAsked = (await statusBeforeBody(method, path, testKey)) === 100;
    expect(isAsked, `${method} ${path}`).toBe(method !== 'GET' && body !== 'none');
  }
});

test('a route of our own that takes no body refuses one with fields, which would have no effect', async () => {
  const own = dialects.filter(({ document }) => document.name === 'machines').flatMap(({ nouns }) => nouns);
  for (const { method, operationId, middleware } of own.flatMap(({ routes }) => routes)) {
    if (!isGate(middleware) || method === 'get' || operationId === undefined) continue;
    expect(middleware.access.body.kind, operationId).not.toBe('none');
  }
});

test('a key revoked while the body arrives has no effect', async () => {
  const { key, secret } = await fake.apiKeys.create(
    {
      ...{ tenant: 'default', keyName: 'test', keyId: null, expiresAt: null },
      ...{ scopes: ['*'] as const, tier: null, isOperator: true },
    },
    { name: 'slow', scopes: ['machines:write'] },
  );
  const body = JSON.stringify({ name: 'too-late', vcpu_count: 1, mem_size_mib: 128 });
  const socket = connect(server.port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString();
  });
  socket.write(
    `POST /machines HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${secret}\r\nConnection: close\r\n` +
      `Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  await vi.waitUntil(() => answer.includes('100 Continue'));
  await fake.apiKeys.revoke(
    {
      ...{ tenant: 'default', keyName: 'test', keyId: null, expiresAt: null },
      ...{ scopes: ['*'] as const, tier: null, isOperator: true },
    },
    key.id,
  );
  socket.write(body);
  await once(socket, 'close');
  expect(answer).toMatch(/HTTP\/1.1 401 .*revoked/s);
  const { machines } = await fake.machines.list({ tenant: 'default', limit: 50, offset: 0 });
  expect(machines.map(({ spec }) => spec.name)).not.toContain('too-late');
});
