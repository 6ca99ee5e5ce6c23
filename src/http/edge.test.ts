/** Behaviour common to all routes: connections, methods, encodings, and pages for browsers. */

import { once } from 'node:events';
import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { anyCharacter } from '../../test/support/characters.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../test/support/fake.ts';
import type { HttpServer } from './server.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
beforeAll(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake));
});
afterAll(async () => {
  await server.close(0);
  await fake.close();
});

interface Sent {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
}

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly text: string;
}

/**
 * Uses the operator's key, and not fetch, which follows redirects, decompresses and sets content types by
 * itself.
 */
async function ask(path: string, { method = 'GET', headers = {}, body }: Sent = {}): Promise<Answer> {
  const sent = request(`${url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${testKey}`, ...headers },
  });
  sent.end(body);
  const [answer] = (await once(sent, 'response')) as [import('node:http').IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    text: Buffer.concat(chunks).toString(),
  };
}

const post = (path: string, body: string | Uint8Array, headers: Record<string, string> = {}) =>
  ask(path, { method: 'POST', body, headers: { 'Content-Type': 'application/json', ...headers } });
const errorOf = ({ text }: Answer) =>
  (JSON.parse(text) as { error: { code: string; message: string; hint?: string } }).error;
const machine = (name: string, fields: object = {}) =>
  JSON.stringify({ name, vcpu_count: 1, mem_size_mib: 128, ...fields });

test('an idle connection stays open longer than those of proxies', async () => {
  const { headers } = await ask('/health', { headers: { Connection: 'keep-alive' } });
  expect(Number(/timeout=(\d+)/.exec(String(headers['keep-alive']))?.[1])).toBeGreaterThan(60);
});

test.each(['/docs', '/docs/json', '/machines', '/machines/none'])(
  'HEAD %s has the headers of GET, and no body',
  async (path) => {
    const varying = { date: '', 'x-request-id': '' };
    const got = await ask(path, { headers: { 'X-Request-Id': 'same' } });
    const headed = await ask(path, { method: 'HEAD', headers: { 'X-Request-Id': 'same' } });
    expect(got.headers['content-length']).toBe(String(Buffer.byteLength(got.text)));
    expect({ ...headed.headers, ...varying }).toEqual({ ...got.headers, ...varying });
    expect([headed.status, headed.text]).toEqual([got.status, '']);
  },
);

test.each(['/health', '/api/v1/health'])(
  '%s reports that the daemon is healthy, and for how long',
  async (path) => {
    expect(JSON.parse((await ask(path, { headers: { Authorization: '' } })).text)).toEqual({
      status: 'healthy',
      version: 'test',
      uptime: expect.any(Number),
      uptime_seconds: expect.any(Number),
    });
  },
);

describe('people', () => {
  const browser = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8', Authorization: '' };

  test('who open the address see a page that leads to the documentation', async () => {
    const { status, headers, text } = await ask('/', { headers: browser });
    expect([status, headers['content-type']]).toEqual([200, 'text/html; charset=UTF-8']);
    const links = [...text.matchAll(/href="([^"]+)"/g)].map(([, link]) => link ?? '');
    expect(links).toContain('docs');
    for (const link of links) {
      const answer = await ask(`/${link}`, { headers: browser });
      expect([link, answer.status]).toEqual([link, 200]);
    }
  });

  test('who open the documentation’s directory are redirected, too', async () => {
    const { status, headers } = await ask('/docs/', { headers: browser });
    expect([status, new URL(String(headers.location), `${url}/docs/`).pathname]).toEqual([301, '/docs']);
  });

  test.each(['*/*', 'application/json', ''])('and no program that accepts %j', async (accept) => {
    const answer = await ask('/', { headers: { Accept: accept } });
    expect([answer.status, errorOf(answer).code]).toEqual([404, 'NOT_FOUND']);
    expect((await ask('/', { headers: { Accept: accept, Authorization: '' } })).status).toBe(401);
  });
});

test('a page of an unnamed origin learns which setting would allow it', async () => {
  const answer = await ask('/machines', {
    method: 'OPTIONS',
    headers: { Origin: 'https://ui.example.com', 'Access-Control-Request-Method': 'POST', Authorization: '' },
  });
  expect(answer.status).toBe(403);
  expect(errorOf(answer).hint).toContain('FLOTILLA_CORS_ORIGINS=https://ui.example.com');
  expect(answer.headers['access-control-allow-origin']).toBeUndefined();
});

describe('a body', () => {
  test.each([
    ['packed', gzipSync(machine('packed')), { 'Content-Encoding': 'gzip' }],
    ['named packed', machine('br'), { 'Content-Encoding': 'br' }],
    ['in another charset', machine('latin'), { 'Content-Type': 'application/json; charset=ISO-8859-1' }],
  ])('%s is refused with 415', async (_, body, headers) => {
    expect((await post('/machines', body, headers)).status).toBe(415);
  });

  test.each(['application/json; charset=utf-8', 'APPLICATION/JSON; charset="UTF8"'])(
    'of type %s is read',
    async (type) => {
      const answer = await post('/machines', machine(`typed-${type.length}`), {
        'Content-Type': type,
        'Content-Encoding': 'identity',
      });
      expect(answer.status, answer.text).toBe(201);
    },
  );

  const bytes = (...parts: readonly (string | number)[]) =>
    Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.of(part))));
  test.each([
    ['a byte that is not UTF-8', bytes('{"command":["echo","', 0xfc, '"]}')],
    ['an overlong encoding', bytes('{"command":["echo","', 0xc0, 0xaf, '"]}')],
    ['an encoded surrogate', bytes('{"command":["echo","', 0xed, 0xa0, 0x80, '"]}')],
    ['half a surrogate pair', '{"command":["echo","\\ud800"]}'],
    ['the other half', '{"command":["echo","a\\uDFFFb"]}'],
    ['half a pair in a name', '{"command":["true"],"env":{"\\ud83d":"x"}}'],
    ['a name that reading drops', '{"command":["true"],"env":{"__proto__":"x"}}'],
    ['that name in escapes', '{"command":["true"],"env":{"\\u005f_proto__":"x"}}'],
    ['that name on top', '{"command":["true"],"__proto__":{"user":"x"}}'],
    ['nesting without end', `{"command":["\\u0061"],"env":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
  ])('with %s is refused, and no command runs', async (_, body) => {
    let runs = 0;
    const { exec } = fake.guest;
    fake.guest.exec = async () => {
      runs += 1;
      return exec.call(fake.guest);
    };
    const answer = await post('/machines/any/exec', body);
    expect([answer.status, errorOf(answer).code]).toEqual([400, 'BAD_REQUEST']);
    expect(runs).toBe(0);
  });

  test('with characters beyond the basic plane, escaped or not, is read as sent', async () => {
    const answer = await post('/machines', `{"labels":{"\\ud83d\\udea2":"🚢"},${machine('ship').slice(1)}`);
    expect(answer.status, answer.text).toBe(201);
    const { labels } = JSON.parse((await ask('/machines/ship')).text) as { labels: object };
    expect(labels).toEqual({ '🚢': '🚢' });
  });

  test('with labels is stored as sent, whatever their names, or refused', async () => {
    const names = fc.oneof(
      fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', 'length', '0', '-1', ' '),
      fc.string({ maxLength: 12, unit: anyCharacter }),
    );
    let count = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(names, fc.string({ maxLength: 12, unit: anyCharacter })), { maxLength: 4 }),
        async (pairs) => {
          count += 1;
          const text = `{${[...new Map(pairs)].map((pair) => pair.map((each) => JSON.stringify(each)).join(':')).join(',')}}`;
          const name = `labelled-${count}`;
          const answer = await post('/machines', `${machine(name).slice(0, -1)},"labels":${text}}`);
          if (answer.status === 400) return;
          expect(answer.status, answer.text).toBe(201);
          const { labels } = JSON.parse(answer.text) as { labels: object };
          expect(Object.entries(labels).sort()).toEqual(Object.entries(JSON.parse(text) as object).sort());
        },
      ),
      { numRuns: 60 },
    );
  });

  test('that is empty counts as none, even with a JSON content type', async () => {
    await post('/machines', machine('empty'));
    const json = { 'Content-Type': 'application/json' };
    const start = await ask('/machines/empty/start', { method: 'POST', headers: json });
    expect(start.status, start.text).toBe(200);
    const chunked = { ...json, 'Transfer-Encoding': 'chunked' };
    expect((await ask('/machines/empty/pause', { method: 'POST', headers: chunked })).status).toBe(200);
    const gone = await ask('/machines/empty?force=true', { method: 'DELETE', headers: json });
    expect(gone.status, gone.text).toBe(204);
  });
});

describe('a request that takes no body', () => {
  /** For DELETE, Node’s client frames a body only by its length. */
  const json = (body: string) => ({
    'Content-Type': 'application/json',
    'Content-Length': String(body.length),
  });

  test.each(['{"force":true}', '{"timeout":1,"x":null}', '[1]', '"now"', '{"force":'])(
    'is refused with the body %s, and has no effect',
    async (body) => {
      const name = `none-${body.length}`;
      await post('/machines', machine(name));
      for (const [method, path] of [
        ['POST', `/machines/${name}/start`],
        ['DELETE', `/machines/${name}`],
      ] as const) {
        const answer = await ask(path, { method, headers: json(body), body });
        expect([method, answer.status, errorOf(answer).hint]).toEqual([method, 400, expect.any(String)]);
      }
      expect(JSON.parse((await ask(`/machines/${name}`)).text)).toMatchObject({ state: 'created' });
    },
  );

  test.each(['{}', ' {} ', 'null', ' '])('is served with the body %j', async (body) => {
    await post('/machines', machine('nothing'));
    const answer = await ask('/machines/nothing', { method: 'DELETE', headers: json(body), body });
    expect(answer.status, answer.text).toBe(204);
  });
});

test.each(['/machines/%FF', '/machines?status=%C3%28', '/machines/%ED%A0%80', '/machines/%zz'])(
  'an address that is not UTF-8 is refused: %s',
  async (path) => {
    const answer = await ask(path);
    expect([answer.status, errorOf(answer).code]).toEqual([400, 'BAD_REQUEST']);
  },
);
