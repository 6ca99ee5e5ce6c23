/** The OpenAPI document equals the committed one, is valid, contains every route, and its examples work. */
import { readFile } from 'node:fs/promises';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { expect, test } from 'vitest';
import { createApp } from '../../src/http/app.ts';
import { dialects } from '../../src/http/dialects.ts';
import { makeDocuments } from '../../src/http/openapi.ts';
import { version } from '../../src/main/version.ts';
import { fakeDeps, serveFake, startFake, testKey } from '../support/fake.ts';
import { readContract } from './document.ts';

const documents = makeDocuments(dialects, version);
const names = Object.keys(documents);
const committed = (name: string) => new URL(`../../openapi/${name}.json`, import.meta.url);

test.each(names)('openapi/%s.json matches the code', async (name) => {
  const text = await readFile(committed(name), 'utf8');
  expect(JSON.parse(text), 'regenerate it: node scripts/generate.ts').toEqual(
    JSON.parse(JSON.stringify(documents[name])),
  );
});

test.each(names)('%s passes the linter', async (name) => {
  const config = await createConfig({ extends: ['recommended-strict'] });
  const source = await readFile(committed(name), 'utf8');
  const problems = await lintFromString({ source, absoluteRef: committed(name).pathname, config });
  expect(problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual(
    [],
  );
});

test('together they have every route of the application except its own pages, MCP and WebSockets', async () => {
  const fake = await startFake();
  const app = createApp(dialects, fakeDeps(fake));
  const routes = app.routes
    .filter(({ method, path }) => method !== 'ALL' && path !== '/' && !/^\/(docs|mcp)\b|\/ws$/.test(path))
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
    // Aliases of the same routes, which the document lists once.
    .filter((route) => !route.includes(' /api/v1/machines') && !route.endsWith(' /api/v1/health'));
  const documented = names.flatMap((name) =>
    readContract(name).operations.map(({ method, path }) => `${method} ${path}`),
  );
  await fake.close();
  expect([...new Set(routes)].toSorted()).toEqual(documented.toSorted());
});

test('every answer is documented with the request’s id', () => {
  for (const { operationId, responses } of names.flatMap((name) => readContract(name).operations)) {
    for (const [status, response] of Object.entries(responses)) {
      expect(response.headers, `${operationId} ${status}`).toHaveProperty('X-Request-Id');
    }
  }
});

test('the examples of requests are accepted', async () => {
  const fake = await startFake();
  const { url, server } = await serveFake(fake);
  const { operations } = readContract();
  const post = (path: string, body: unknown) =>
    fetch(`${url}${path}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${testKey}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
  const exampleOf = (operationId: string) =>
    operations.find((each) => each.operationId === operationId)?.requestBody?.content['application/json']
      ?.example;
  try {
    const created = await post('/machines', exampleOf('createMachine'));
    expect(created.status).toBe(201);
    const { id } = (await created.json()) as { id: string };
    expect(
      (
        await fetch(`${url}/machines/${id}/start`, {
          method: 'POST',
          headers: { Authorization: `Bearer ${testKey}` },
        })
      ).status,
    ).toBe(200);
    expect((await post(`/machines/${id}/exec`, exampleOf('execInMachine'))).status).toBe(200);
    expect((await post('/api/v1/keys', exampleOf('createKey'))).status).toBe(201);
  } finally {
    await server.close(0);
    await fake.close();
  }
});
