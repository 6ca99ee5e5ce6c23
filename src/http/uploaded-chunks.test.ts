/** An upload's limits, on a real connection and on a stream. */
import { once } from 'node:events';
import { type IncomingMessage, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { Hono } from 'hono';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { HttpEnv } from './context.ts';
import { neutralError, toAppError } from './errors.ts';
import { type HttpServer, listen } from './server.ts';
import { type UploadLimits, uploadedChunks } from './uploaded-chunks.ts';

const never = { idleMs: 2 ** 30, graceMs: 2 ** 30, mibMs: 2 ** 30 };

describe('on a connection', () => {
  let server: HttpServer | null = null;
  let client: Socket | null = null;
  afterEach(async () => {
    client?.destroy();
    await server?.close(0);
    [server, client] = [null, null];
  });

  /** A client of a server that answers with the number of bytes it read. */
  async function serve(limits: UploadLimits): Promise<Socket> {
    const app = new Hono<HttpEnv>();
    app.put('/', async (c) => {
      let bytes = 0;
      for await (const chunk of uploadedChunks(c.env.incoming, c.env.outgoing, limits)) {
        bytes += chunk.length;
      }
      return c.text(`got ${bytes}`);
    });
    app.onError((error, c) => {
      const { status, body } = neutralError(toAppError(error), null);
      return c.json(body, status);
    });
    server = await listen((request, bindings) => app.fetch(request, bindings), {
      host: '127.0.0.1',
      port: 0,
    });
    client = connect(server.port, '127.0.0.1');
    return client;
  }

  async function answerOf(socket: Socket): Promise<string> {
    let text = '';
    socket.on('data', (data) => {
      text += data.toString();
    });
    await once(socket, 'close');
    return text;
  }
  const head = 'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n';

  test('a silent client: 408, and the connection ends', async () => {
    const socket = await serve({ ...never, idleMs: 20 });
    socket.write(`${head}hello`);
    const answer = await answerOf(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toMatch(/^connection: close\r$/im);
    expect(answer).toContain('"code":"TIMEOUT"');
    expect(answer).toContain('"retryable":true');
  });

  test('a client that disconnects halfway: the reason', async () => {
    const reading = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<unknown>();
    const app = new Hono<HttpEnv>();
    app.put('/', async (c) => {
      try {
        for await (const _ of uploadedChunks(c.env.incoming, c.env.outgoing)) reading.resolve();
      } catch (error) {
        ended.resolve(error);
      }
      return c.text('');
    });
    server = await listen((request, bindings) => app.fetch(request, bindings), {
      host: '127.0.0.1',
      port: 0,
    });
    client = connect(server.port, '127.0.0.1');
    client.write(`${head}hello`);
    await reading.promise;
    client.resetAndDestroy();
    expect(await ended.promise).toMatchObject({ code: 'unavailable', message: 'the client has gone' });
  });
});

describe('on a stream', () => {
  afterEach(() => {
    vi.useRealTimers();
  });
  const minuteMs = 60_000;

  function open() {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const body = new PassThrough();
    const answer = new ServerResponse({ method: 'PUT' } as IncomingMessage);
    const chunks = uploadedChunks(body, answer)[Symbol.asyncIterator]();
    return { body, answer, chunks };
  }
  /** Requests data, and lets `ms` pass before `bytes` arrive. */
  async function takes(
    { body, chunks }: ReturnType<typeof open>,
    ms: number,
    bytes: number,
  ): Promise<number> {
    const next = chunks.next();
    await Promise.resolve();
    await vi.advanceTimersByTimeAsync(ms);
    body.write(Buffer.alloc(bytes));
    const { value } = await next;
    return value?.length ?? 0;
  }

  test('a trickle ends when the grace is used up', async () => {
    const upload = open();
    for (let round = 0; round < 5; round++) expect(await takes(upload, 3_000, 1)).toBe(1);
    const next = upload.chunks.next();
    const refused = expect(next).rejects.toMatchObject({
      code: 'timeout',
      message: 'the upload stopped, or was slower than 1 MiB in 10 seconds',
    });
    await vi.advanceTimersByTimeAsync(5_001);
    await refused;
    expect(upload.answer.getHeader('connection')).toBe('close');
    expect(upload.body.destroyed).toBe(false);
  });

  test('data at the minimum rate continues', async () => {
    const upload = open();
    for (let round = 0; round < 30; round++) {
      expect(await takes(upload, 10_000, 2 ** 20)).toBe(2 ** 20);
    }
  });

  test('sent bytes allow no silence longer than a minute', async () => {
    const upload = open();
    expect(await takes(upload, 0, 2 ** 26)).toBe(2 ** 26);
    const refused = expect(upload.chunks.next()).rejects.toMatchObject({ code: 'timeout' });
    await vi.advanceTimersByTimeAsync(minuteMs);
    await refused;
  });

  test('no time counts while nobody reads', async () => {
    const upload = open();
    await vi.advanceTimersByTimeAsync(20 * minuteMs);
    expect(await takes(upload, 10_000, 10)).toBe(10);
    await vi.advanceTimersByTimeAsync(20 * minuteMs);
    expect(await takes(upload, 9_000, 10)).toBe(10);
    upload.body.end();
    expect(await upload.chunks.next()).toMatchObject({ done: true });
  });
});
