import { afterEach, expect, test, vi } from 'vitest';
import { sendJson, serve } from './testing/server.ts';
import { type Call, type FetchLike, Transport } from './transport.ts';
import { type UploadOptions, type UploadSource, upload } from './upload.ts';

const call: Call = { method: 'PUT', path: '/images/x', isRepeatable: false };
const bytes = (text: string) => new TextEncoder().encode(text);

function send(url: string, source: UploadSource, options: UploadOptions = {}): Promise<unknown> {
  return upload(new Transport({ url, key: 'hf_k' }), call, source, 'application/x-tar', options);
}

afterEach(() => {
  vi.useRealTimers();
});

async function* pieces(...texts: readonly string[]) {
  for (const text of texts) yield bytes(text);
}

test.each<[string, () => UploadSource]>([
  ['a Blob', () => new Blob(['one', 'two'])],
  ['an iterable', () => pieces('one', 'two')],
  ['a stream', () => new Blob(['onetwo']).stream()],
])('sends the bytes of %s', async (_, source) => {
  await using server = await serve(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { authorization, 'content-type': type } = request.headers;
    sendJson(response, 201, { body, authorization, type });
  });
  expect(await send(server.url, source())).toEqual({
    body: 'onetwo',
    authorization: 'Bearer hf_k',
    type: 'application/x-tar',
  });
});

test('ends when the source stalls, and cancels the source', async () => {
  const left = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const stalling: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      next: vi
        .fn(() => new Promise<never>(() => undefined))
        .mockResolvedValueOnce({ done: false, value: bytes('x') } as never),
      return: async () => {
        left.resolve();
        return { done: true, value: undefined };
      },
    }),
  };
  await using server = await serve((request) => {
    request.on('error', () => undefined).on('close', closed.resolve);
  });
  await expect(send(server.url, stalling, { idleMs: 50 })).rejects.toMatchObject({ code: 'CLIENT_TIMEOUT' });
  await left.promise;
  await closed.promise;
});

test('ends when no answer comes', async () => {
  await using server = await serve((request) => void request.resume());
  for (const source of [pieces('x'), new Blob(['x'])]) {
    await expect(send(server.url, source, { idleMs: 50 })).rejects.toMatchObject({ code: 'CLIENT_TIMEOUT' });
  }
});

test('is never sent again', async () => {
  let requests = 0;
  await using server = await serve((_, response) => {
    requests++;
    sendJson(response, 503, { error: { code: 'UNAVAILABLE', message: 'not now' } });
  });
  await expect(send(server.url, new Blob(['x']))).rejects.toMatchObject({ status: 503 });
  expect(requests).toBe(1);
});

test('a failing source ends the upload with the source’s own error', async () => {
  const gone = new Error('the disk is gone');
  async function* failing() {
    yield bytes('x');
    throw gone;
  }
  await using server = await serve((request) => void request.on('error', () => undefined).resume());
  await expect(send(server.url, failing())).rejects.toBe(gone);
});

/** Asks for one piece, and answers before it arrives. */
const hasty: FetchLike = async (_, { body }) => {
  void (body as ReadableStream)
    .getReader()
    .read()
    .catch(() => undefined);
  return new Response('{"error":{"code":"CONFLICT","message":"taken"}}', { status: 409 });
};

test.each<[string, (piece: PromiseWithResolvers<IteratorResult<Uint8Array>>) => void]>([
  ['comes', ({ resolve }) => resolve({ done: false, value: bytes('x') })],
  ['fails', ({ reject }) => reject(new Error('the disk is gone'))],
])('a piece that %s after the answer changes nothing and starts no timer', async (_, settle) => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const piece = Promise.withResolvers<IteratorResult<Uint8Array>>();
  const source: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => ({ next: () => piece.promise }) };
  const transport = new Transport({ url: 'http://in.memory', fetch: hasty });
  const sent = upload(transport, call, source, 'application/x-tar', {});
  await expect(sent).rejects.toMatchObject({ status: 409, code: 'CONFLICT' });
  settle(piece);
  await new Promise((resolve) => setImmediate(resolve));
  expect(vi.getTimerCount()).toBe(0);
});

test('the caller’s abort rejects with the caller’s own reason', async () => {
  const abort = new AbortController();
  const reason = new Error('changed my mind');
  await using server = await serve(() => abort.abort(reason));
  const run = send(server.url, new Blob(['x']), { signal: abort.signal });
  await expect(run).rejects.toBe(reason);
});
