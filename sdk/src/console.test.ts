import { once } from 'node:events';
import { expect, test } from 'vitest';
import { FlotillaClient } from './client.ts';
import type { FollowConsoleOptions } from './console.ts';
import { collect, type Handler, sendJson, serve } from './testing/server.ts';

async function follow(handler: Handler, options: FollowConsoleOptions = {}): Promise<string> {
  await using server = await serve(handler);
  const { machines } = new FlotillaClient({ url: server.url });
  return (await collect(machines.followConsole('m1', options))).join('');
}

const plain = { 'content-type': 'text/plain; charset=utf-8' };

test('yields text in whole characters until the console ends', async () => {
  let asked: unknown;
  const text = await follow(
    (request, response) => {
      asked = [request.method, request.url, request.headers.accept];
      response.writeHead(200, plain).flushHeaders();
      const [first, second] = [Buffer.from('h\u00e9').subarray(0, 2), Buffer.from('h\u00e9!').subarray(2)];
      response.write(first, () => response.end(second));
    },
    { lines: 5 },
  );
  expect(text).toBe('hé!');
  expect(asked).toEqual(['GET', '/machines/m1/console?lines=5&follow=true', 'text/plain']);
});

test.each<[string, Handler, FollowConsoleOptions, object]>([
  [
    'a refusal',
    (_, response) => sendJson(response, 404, { error: { code: 'NOT_FOUND', message: 'no' } }),
    {},
    { status: 404, code: 'NOT_FOUND' },
  ],
  [
    'a broken connection',
    (_, response) => void response.writeHead(200, plain).write('x', () => response.destroy()),
    {},
    { code: 'UNREACHABLE' },
  ],
  [
    'silence',
    (_, response) => response.writeHead(200, plain).flushHeaders(),
    { silenceMs: 30 },
    { code: 'CLIENT_TIMEOUT' },
  ],
  ['no answer', () => undefined, { timeoutMs: 30 }, { code: 'CLIENT_TIMEOUT' }],
  ['another answer', (_, response) => sendJson(response, 200, {}), {}, { code: 'BAD_RESPONSE' }],
])('%s is a FlotillaError', async (_, handler, options, expected) => {
  await expect(follow(handler, options)).rejects.toMatchObject({ name: 'FlotillaError', ...expected });
});

test('leaving the loop closes the connection; the caller’s abort throws its reason', async () => {
  const closed = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  let requests = 0;
  await using server = await serve(async (request, response) => {
    const mine = closed[requests++ === 0 ? 0 : 1];
    response.writeHead(200, plain).write('x');
    await once(request.socket, 'close');
    mine.resolve();
  });
  const { machines } = new FlotillaClient({ url: server.url });
  for await (const text of machines.followConsole('m1')) {
    expect(text).toBe('x');
    break;
  }
  await closed[0].promise;
  const abort = new AbortController();
  const reason = new Error('enough');
  const run = async () => {
    for await (const _ of machines.followConsole('m1', { signal: abort.signal })) abort.abort(reason);
  };
  await expect(run()).rejects.toBe(reason);
  await closed[1].promise;
});

test('a read without follow returns at once, and is retried when the server was unreachable', async () => {
  let requests = 0;
  await using server = await serve((request, response) => {
    if (++requests === 1) response.writeHead(503).end();
    else response.writeHead(200, plain).end(`${request.url}\n`);
  });
  const { machines } = new FlotillaClient({ url: server.url });
  expect(await machines.console('m1', { lines: 2 })).toBe('/machines/m1/console?lines=2\n');
});
