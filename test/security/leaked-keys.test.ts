/** While a bug or a failing store affects requests with keys, no key appears in the log or in an answer. */
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import type { HttpServer } from '../../src/http/server.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../support/fake.ts';

let fake: FakeFlotilla | null = null;
let server: HttpServer | null = null;
let logged = '';
afterEach(async () => {
  await server?.close(0);
  await fake?.close();
  [fake, server, logged] = [null, null, ''];
});

/** At the most verbose level, without the additional redaction of the daemon's own logger. */
async function serve(): Promise<{ readonly url: string; readonly flotilla: FakeFlotilla }> {
  const sink = new Writable({
    write(chunk, _, done) {
      logged += String(chunk);
      done();
    },
  });
  const log = pino({ level: 'trace' }, sink);
  fake = await startFake({ log });
  const served = await serveFake(fake, { log });
  server = served.server;
  return { url: served.url, flotilla: fake };
}

async function ask(url: string, key: string, method = 'GET', body?: unknown): Promise<string> {
  const answer = await fetch(url, {
    method,
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json', 'X-Api-Key': key },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return `${answer.status} ${JSON.stringify([...answer.headers])} ${await answer.text()}`;
}

test('a handler that throws', async () => {
  const { url, flotilla } = await serve();
  flotilla.store.machines.list = () => {
    throw new Error('a defect');
  };
  const { secret } = await flotilla.apiKeys.create(
    {
      ...{ tenant: 'default', keyName: 'test', keyId: null, expiresAt: null },
      ...{ scopes: ['*'] as const, tier: null, isOperator: true },
    },
    { name: 'ci', scopes: ['*'] },
  );
  for (const key of [testKey, secret]) {
    const answer = await ask(`${url}/machines`, key);
    expect(answer).toMatch(/^500 .*INTERNAL_ERROR/);
    for (const hidden of [testKey, secret, 'a defect']) expect(answer).not.toContain(hidden);
  }
  expect(logged).toContain('a defect');
  for (const hidden of [testKey, secret]) expect(logged).not.toContain(hidden);
});

test('a store that fails while it looks for the key', async () => {
  const { url, flotilla } = await serve();
  const key = `hf_${'q'.repeat(32)}`;
  flotilla.store.keys.withPrefix = async () => {
    throw new Error('the disk is gone');
  };
  const answer = await ask(`${url}/machines`, key, 'POST', { name: 'web' });
  expect(answer).toMatch(/^500 /);
  expect(logged).toContain('the disk is gone');
  for (const text of [answer, logged]) expect(text).not.toContain(key);
});

test('a key that is refused, or misplaced', async () => {
  const { url } = await serve();
  const key = `hf_${'z'.repeat(32)}`;
  const answers = [
    await ask(`${url}/machines`, key),
    await ask(`${url}/machines`, `${key} ${key}`),
    await ask(`${url}/api/v1/keys`, testKey, 'POST', { name: 'made', scopes: ['*'], key }),
  ];
  for (const text of [logged, answers[0], answers[1]]) expect(text).not.toContain(key);
});
