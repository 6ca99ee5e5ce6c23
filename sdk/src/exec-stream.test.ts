import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { afterEach, expect, test, vi } from 'vitest';
import { FlotillaClient } from './client.ts';
import type { StreamOptions } from './stream.ts';
import { bodyOf, collect, type Handler, sendJson, serve } from './testing/server.ts';
import type { ExecEvent } from './types.ts';

function begin(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/x-ndjson; charset=utf-8' });
  response.flushHeaders();
}

function line(event: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(event)}\n`;
}

const out = (text: string, offset = 0) => ({
  type: 'stdout',
  offset,
  data: Buffer.from(text).toString('base64'),
});

/** Serves `handler`, runs a command through it and returns everything that the stream yielded. */
async function eventsFrom(handler: Handler, options: StreamOptions = {}): Promise<ExecEvent[]> {
  await using server = await serve(handler);
  const { machines } = new FlotillaClient({ url: server.url });
  return await collect(machines.execStream('m1', { command: ['x'] }, options));
}

test('yields output as bytes, skips heartbeats and unknown events, ends with the outcome', async () => {
  let asked: unknown;
  const events = await eventsFrom(async (request, response) => {
    asked = { accept: request.headers.accept, url: request.url, body: await bodyOf(request) };
    begin(response);
    response.write(line(out('hé')) + line({ type: 'heartbeat' }) + line({ type: 'news', of: 'tomorrow' }));
    response.write(line({ type: 'stderr', offset: 0, data: '/w==' }));
    response.end(line({ type: 'outcome', outcome: 'exited', exit_code: 3, signal: null, reason: null }));
  });
  expect(asked).toEqual({
    accept: 'application/x-ndjson',
    url: '/machines/m1/exec',
    body: { command: ['x'] },
  });
  expect(events).toEqual([
    { type: 'stdout', offset: 0, data: new TextEncoder().encode('hé') },
    { type: 'stderr', offset: 0, data: new Uint8Array([0xff]) },
    { type: 'outcome', outcome: 'exited', exit_code: 3 },
  ]);
});

test.each([
  [
    { outcome: 'signalled', signal: 'RTMIN+1', exit_code: 163 },
    { outcome: 'signalled', signal: 'RTMIN+1', exit_code: 163 },
  ],
  [
    { outcome: 'signalled', signal: 'KILL', exit_code: null },
    { outcome: 'signalled', signal: 'KILL', exit_code: 128 },
  ],
  [{ outcome: 'timed_out' }, { outcome: 'timed_out' }],
  [
    { outcome: 'unknown', reason: 'link lost' },
    { outcome: 'unknown', reason: 'link lost' },
  ],
])('understands %j', async (sent, expected) => {
  const events = await eventsFrom((_, response) => {
    begin(response);
    response.end(line({ type: 'outcome', ...sent }));
  });
  expect(events).toEqual([{ type: 'outcome', ...expected }]);
});

test.each([
  ['ends early', (response: ServerResponse) => response.end(), /ended before the outcome/, true],
  [
    'breaks',
    (response: ServerResponse) => response.destroy(),
    /^the connection to the daemon broke \(/,
    true,
  ],
  ['is not JSON', (response: ServerResponse) => response.end('what\n'), /JSON/],
  ['is cut in the outcome', (response: ServerResponse) => response.end('{"type":"outcome","outc'), /JSON/],
  [
    'has an outcome without a code',
    (response: ServerResponse) => response.end(line({ type: 'outcome', outcome: 'exited' })),
    /without a known kind/,
  ],
  [
    'has data that is not base64',
    (response: ServerResponse) => response.end(line({ type: 'stdout', offset: 2, data: '*' })),
    /base64/,
  ],
])(
  'a stream that %s yields the output received, then the outcome unknown',
  async (_, finish, reason, isLost?) => {
    const events = await eventsFrom((_request, response) => {
      begin(response);
      response.write(line(out('hi')), () => finish(response));
    });
    expect(events.at(-1)).toMatchObject({
      type: 'outcome',
      outcome: 'unknown',
      reason: expect.stringMatching(reason),
      ...(isLost === true ? { connection_lost: true } : {}),
    });
    expect(Object.hasOwn(events.at(-1) ?? {}, 'connection_lost')).toBe(isLost === true);
    expect(events.slice(0, -1)).toEqual([
      { type: 'stdout', offset: 0, data: new TextEncoder().encode('hi') },
    ]);
  },
);

test('a silent server yields the outcome unknown', async () => {
  const events = await eventsFrom((_, response) => begin(response), { silenceMs: 30 });
  const reason = expect.stringMatching(/sent nothing/);
  expect(events).toEqual([{ type: 'outcome', outcome: 'unknown', reason, connection_lost: true }]);
});

test('nothing is read after the outcome', async () => {
  const events = await eventsFrom((_, response) => {
    begin(response);
    const outcome = line({ type: 'outcome', outcome: 'exited', exit_code: 0 });
    response.end(outcome + outcome + line(out('late')));
  });
  expect(events).toEqual([{ type: 'outcome', outcome: 'exited', exit_code: 0 }]);
});

test('leaving the loop closes the connection', async () => {
  const closed = Promise.withResolvers<void>();
  await using server = await serve(async (request, response) => {
    begin(response);
    response.write(line(out('hi')));
    await once(request.socket, 'close');
    closed.resolve();
  });
  const { machines } = new FlotillaClient({ url: server.url });
  for await (const event of machines.execStream('m1', { command: ['x'] })) {
    expect(event.type).toBe('stdout');
    break;
  }
  await closed.promise;
});

test('leaving the loop ends a command that outlives its connection; a lost connection does not', async () => {
  const asked: string[] = [];
  await using server = await serve(async (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    if (request.method === 'DELETE') return void response.writeHead(204).end();
    begin(response);
    response.write(line({ type: 'started', id: 'c1', machine_id: 'm1', pid: 7 }));
    response.write(line(out('hi')), () => {
      if (request.url?.includes('lost')) response.destroy();
    });
  });
  const { machines } = new FlotillaClient({ url: server.url });
  for await (const event of machines.execStream('m1', { command: ['x'] })) {
    expect(event.type).toBe('stdout');
    break;
  }
  expect(asked).toEqual(['POST /machines/m1/exec', 'DELETE /machines/m1/execs/c1']);
  const events = await collect(machines.execStream('lost', { command: ['x'] }));
  expect(events.at(-1)).toMatchObject({ outcome: 'unknown', connection_lost: true });
  expect(asked.slice(2)).toEqual(['POST /machines/lost/exec']);
});

test('a command is named before its output, and goes on when its stream is left, if it is to be kept', async () => {
  const asked: string[] = [];
  await using server = await serve(async (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    begin(response);
    response.write(line({ type: 'started', id: 'c1', machine_id: 'm1', pid: 7 }));
    response.write(line(out('hi')));
  });
  const { machines } = new FlotillaClient({ url: server.url });
  const seen: unknown[] = [];
  const onStarted = (command: unknown) => seen.push(command);
  for await (const { type } of machines.execStream('m1', { command: ['x'] }, { onStarted, keep: true })) {
    seen.push(type);
    break;
  }
  expect(seen).toEqual([{ id: 'c1', machine_id: 'm1', pid: 7 }, 'stdout']);
  expect(asked).toEqual(['POST /machines/m1/exec']);
});

test('the caller’s abort throws its reason and closes the connection', async () => {
  const closed = Promise.withResolvers<void>();
  const abort = new AbortController();
  const reason = new Error('enough');
  await using server = await serve(async (request, response) => {
    begin(response);
    response.write(line(out('hi')));
    await once(request.socket, 'close');
    closed.resolve();
  });
  const { machines } = new FlotillaClient({ url: server.url });
  const run = async () => {
    for await (const _ of machines.execStream('m1', { command: ['x'] }, { signal: abort.signal })) {
      abort.abort(reason);
    }
  };
  await expect(run()).rejects.toBe(reason);
  await closed.promise;
});

test('a refusal throws the server’s error', async () => {
  const run = eventsFrom((_, response) => {
    sendJson(response, 400, { error: { code: 'BAD_REQUEST', message: 'Machine must be running' } });
  });
  await expect(run).rejects.toMatchObject({ status: 400, code: 'BAD_REQUEST' });
});

test('an answer that is not a stream is an error', async () => {
  const run = eventsFrom((_, response) => sendJson(response, 200, { exit_code: 0 }));
  await expect(run).rejects.toMatchObject({ code: 'BAD_RESPONSE' });
});

test('a missing answer ends at the opening deadline', async () => {
  const run = eventsFrom(() => undefined, { timeoutMs: 30 });
  await expect(run).rejects.toMatchObject({ code: 'CLIENT_TIMEOUT' });
});

/** A client whose server is an in-memory stream, so that fake timers control all timing. */
function inMemory() {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const headers = { 'content-type': 'application/x-ndjson' };
  const fetch = async (_: string, init: RequestInit) => {
    const { signal } = init;
    // Like fetch: an abort also breaks the body.
    signal?.addEventListener('abort', () => void writer.abort(signal.reason).catch(() => undefined));
    return new Response(readable, { headers });
  };
  const { machines } = new FlotillaClient({ url: 'http://in.memory', fetch });
  const send = (event: Readonly<Record<string, unknown>>) =>
    writer.write(new TextEncoder().encode(line(event))).catch(() => undefined);
  return { stream: machines.execStream('m1', { command: ['x'] }), send };
}

afterEach(() => {
  vi.useRealTimers();
});

test('a slow reader is not mistaken for a silent server', async () => {
  const { stream, send } = inMemory();
  void send(out('hi'));
  await stream.next();
  await vi.advanceTimersByTimeAsync(3_600_000);
  void send({ type: 'outcome', outcome: 'exited', exit_code: 0 });
  expect((await stream.next()).value).toMatchObject({ outcome: 'exited' });
  await stream.return();
  expect(vi.getTimerCount()).toBe(0);
});

test('heartbeats keep the stream of a quiet command open, but not for ever', async () => {
  const { stream, send } = inMemory();
  const settled = vi.fn();
  const next = stream.next().finally(settled);
  for (let second = 0; second < 89; second += 10) {
    expect(settled).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(10_000);
    void send({ type: 'heartbeat' });
  }
  // Beyond the default timeout of 30 s plus the server's grace of 60 s.
  await vi.advanceTimersByTimeAsync(1_000);
  expect((await next).value).toMatchObject({ outcome: 'unknown' });
  await stream.return();
  expect(vi.getTimerCount()).toBe(0);
});
