/** The path alone decides which dialect answers, whatever becomes of the request. */
import { createRoute } from '@hono/zod-openapi';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeFlotilla, fakeDeps, startFake, testKey } from '../../test/support/fake.ts';
import { AppError } from '../core/errors.ts';
import { bearerKeys, needs } from './access.ts';
import { createApp } from './app.ts';
import { type Dialect, methodsOf, pickDialect } from './dialect.ts';
import { dialects } from './dialects.ts';
import { nounApp } from './documented.ts';
import { MethodNotAllowed, statusOf } from './errors.ts';
import { makeDocuments } from './openapi.ts';
import { type HttpServer, listen } from './server.ts';

const route = createRoute({
  method: 'get',
  path: '/{id}',
  operationId: 'getOther',
  ...needs('machines:read'),
  responses: { 204: { description: 'There.' } },
});

/** A dialect with flat errors, 405, and a prefix inside another dialect's. */
const other: Dialect = {
  name: 'other',
  prefixes: ['/other', '/machines/other'],
  nouns: [
    {
      prefixes: ['/other'],
      routes: [route],
      makeApp: () => {
        const app = nounApp();
        app.openapi(route, (c) => {
          if (c.req.param('id') === 'broken') throw new Error('secret words');
          return c.body(null, 204);
        });
        return app;
      },
    },
  ],
  document: {
    ...{ name: 'other', title: 'Other', description: 'Of another system.', tags: [] },
    keyHeader: 'X-Other-Key',
  },
  keysOf: (headers) => [...bearerKeys(headers), ...[headers['x-other-key'] ?? []].flat()],
  renderError: (error) => ({ status: statusOf(error), body: { error: `other: ${error.code}` } }),
  refusal: () => '{"error":"other"}',
  unknownRoute: (method, path, allowed) =>
    allowed.length === 0
      ? new AppError('not_found', 'no such thing')
      : new MethodNotAllowed(method, path, allowed),
};
const all = [...dialects, other];

let fake: FakeFlotilla;
let server: HttpServer;
beforeAll(async () => {
  fake = await startFake();
  server = await listen(createApp(all, fakeDeps(fake)).fetch, { host: '127.0.0.1', port: 0 });
});
afterAll(async () => {
  await server.close(0);
  await fake.close();
});

async function ask(path: string, method = 'GET', key: string | null = testKey) {
  const headers: Record<string, string> = key === null ? {} : { Authorization: `Bearer ${key}` };
  const answer = await fetch(`http://127.0.0.1:${server.port}${path}`, { method, headers });
  const text = await answer.text();
  return {
    status: answer.status,
    allow: answer.headers.get('allow'),
    body: text === '' ? null : JSON.parse(text),
  };
}

test('the longest prefix wins, and whole segments count', () => {
  const nameOf = (path: string) => pickDialect(all, path).name;
  expect(nameOf('/machines')).toBe('machines');
  expect(nameOf('/machines/web')).toBe('machines');
  expect(nameOf('/machines/other/web')).toBe('other');
  expect(nameOf('/machines/otherwise')).toBe('machines');
  expect(nameOf('/machinesque')).toBe('native');
  expect(nameOf('/')).toBe('native');
});

describe('an error has the format of the path’s dialect', () => {
  test('without a key', async () => {
    expect(await ask('/other/x', 'GET', null)).toMatchObject({
      status: 401,
      body: { error: 'other: unauthenticated' },
    });
    expect((await ask('/machines', 'GET', null)).body.error.code).toBe('UNAUTHORIZED');
    expect((await ask('/api/v1/keys', 'GET', null)).body.error.code).toBe('UNAUTHORIZED');
  });

  test('of a defect, which is not shown', async () => {
    expect(await ask('/other/broken')).toMatchObject({ status: 500, body: { error: 'other: internal' } });
  });

  test('of an unknown path or method: 404 or 405, as the dialect defines', async () => {
    expect(await ask('/other/x', 'DELETE')).toMatchObject({ status: 405, allow: 'GET' });
    expect(await ask('/other/x/y')).toMatchObject({ status: 404, body: { error: 'other: not_found' } });
    expect(await ask('/machines', 'DELETE')).toMatchObject({ status: 404, allow: null });
  });
});

test('each dialect’s document has only its own routes', () => {
  const documents = makeDocuments(all, 'test');
  expect(Object.keys(documents)).toEqual([
    ...new Set(dialects.map(({ document }) => document.name)),
    'other',
  ]);
  expect(Object.keys(documents.other?.paths ?? {})).toEqual(['/other/{id}']);
  expect(Object.keys(documents.machines?.paths ?? {})).not.toContain('/other/{id}');
});

test('a dialect’s document is asked for by its name', async () => {
  expect((await ask('/docs/json?dialect=other')).body.info.title).toBe('Other');
  expect((await ask('/docs/json')).body.info.title).toBe(dialects[0]?.document.title);
  const unknown = await ask('/docs/json?dialect=none');
  expect(unknown).toMatchObject({
    status: 404,
    body: {
      error: {
        hint: `Ask for one of: ${[...new Set(dialects.map(({ document }) => document.name)), 'other'].join(', ')}.`,
      },
    },
  });
});

test('a document names its dialect’s own header for a key', () => {
  const document = JSON.parse(JSON.stringify(makeDocuments(all, 'test').other));
  expect(document.components.securitySchemes.headerAuth).toMatchObject({ in: 'header', name: 'X-Other-Key' });
  expect(document.paths['/other/{id}'].get.security).toEqual([
    { bearerAuth: ['machines:read'] },
    { headerAuth: [] },
  ]);
});

test.each([
  ['only the other header', { 'X-Other-Key': testKey }, 204],
  ['a wrong key in the other header', { 'X-Other-Key': 'wrong' }, 401],
  [
    'a wrong bearer key and a valid other one',
    { Authorization: 'Bearer wrong', 'X-Other-Key': testKey },
    204,
  ],
  [
    'a valid bearer key and a wrong other one',
    { Authorization: `Bearer ${testKey}`, 'X-Other-Key': 'x' },
    204,
  ],
  ['two wrong keys', { Authorization: 'Bearer wrong', 'X-Other-Key': 'wrong' }, 401],
])('a dialect reads its keys from its own headers: %s', async (_, headers, status) => {
  const url = `http://127.0.0.1:${server.port}`;
  expect((await fetch(`${url}/other/x`, { headers })).status).toBe(status);
  const hasBearer = 'Authorization' in headers && headers.Authorization.endsWith(testKey);
  expect((await fetch(`${url}/machines`, { headers })).status).toBe(hasBearer ? 200 : 401);
});

test('the methods of a path are those of its routes', () => {
  const machines = pickDialect(dialects, '/machines');
  expect(methodsOf(machines, '/machines')).toEqual(['GET', 'POST']);
  expect(methodsOf(machines, '/machines/web/exec')).toEqual(['POST']);
  expect(methodsOf(machines, '/machines/web/nothing')).toEqual([]);
});
