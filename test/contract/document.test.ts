/** The OpenAPI document equals the committed one, is valid, contains every route, and its examples work. */
import { readFile } from 'node:fs/promises';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { expect, test } from 'vitest';
import { OperationService } from '../../src/core/operations/service.ts';
import { createApp } from '../../src/http/app.ts';
import { dialects } from '../../src/http/dialects.ts';
import { makeDocuments } from '../../src/http/openapi.ts';
import { silentLog } from '../../src/lib/log.ts';
import { adminKeyVerifier } from '../../src/main/admin-key.ts';
import { version } from '../../src/main/version.ts';
import { serveFake, startFake, testKey } from '../support/fake.ts';
import { readContract } from './document.ts';

const committed = new URL('../../openapi/machines.json', import.meta.url);

test('openapi/machines.json matches the code', async () => {
  const text = await readFile(committed, 'utf8');
  expect(JSON.parse(text), 'regenerate it: node scripts/generate.ts').toEqual(
    JSON.parse(JSON.stringify(makeDocuments(dialects, version).machines)),
  );
});

test('it passes the linter', async () => {
  const config = await createConfig({ extends: ['recommended-strict'] });
  const source = await readFile(committed, 'utf8');
  const problems = await lintFromString({ source, absoluteRef: committed.pathname, config });
  expect(problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual(
    [],
  );
});

test('it has every route of the application except its own pages', async () => {
  const fake = await startFake();
  const { machines, apiKeys, disks } = fake;
  const app = createApp(dialects, {
    machines,
    operations: new OperationService(fake.store),
    disks,
    images: fake.images,
    imageService: fake.imageService,
    keys: adminKeyVerifier(testKey, apiKeys),
    apiKeys,
    log: silentLog,
    version,
    isHostName: null,
    corsOrigins: new Set(),
  });
  const routes = app.routes
    .filter(({ method, path }) => method !== 'ALL' && path !== '/' && !path.startsWith('/docs'))
    .map(({ method, path }) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`)
    // Aliases of the same routes, which the document lists once.
    .filter((route) => !route.includes(' /api/v1/machines') && !route.endsWith(' /api/v1/health'));
  const documented = readContract().operations.map(({ method, path }) => `${method} ${path}`);
  await fake.close();
  expect([...new Set(routes)].toSorted()).toEqual(documented.toSorted());
});

test('every answer is documented with the request’s id', () => {
  for (const { operationId, responses } of readContract().operations) {
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
