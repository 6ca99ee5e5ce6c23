/** Files over HTTP, on fake guests: bytes, ranges, conditions, Hyperfleet’s base64, archives, changes, refusals. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  type FakeFlotilla,
  fakeDeps,
  serveFake,
  startFake,
  testKey,
} from '../../../../../test/support/fake.ts';
import { createApp } from '../../../app.ts';
import { dialects } from '../../../dialects.ts';
import { type HttpServer, listen } from '../../../server.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;

beforeEach(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake));
  await fake.machines.create('default', { name: 'web', vcpuCount: 1, memoryMib: 128 });
  await fake.machines.start('default', 'web');
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

const contents = () => fake.guest.files.contents;

function send(
  method: string,
  path: string,
  body?: string | Uint8Array | ArrayBuffer,
  headers: Record<string, string> = {},
) {
  return fetch(`${url}/machines/web/files${path}`, {
    method,
    headers: { Authorization: `Bearer ${testKey}`, ...headers },
    ...(body === undefined ? {} : { body, duplex: 'half' }),
  } as RequestInit);
}

const sendJson = (method: string, path: string, body: object) =>
  send(method, path, JSON.stringify(body), { 'Content-Type': 'application/json' });

const failure = (code: string, message: RegExp) => ({
  error: expect.objectContaining({ code, message: expect.stringMatching(message) }),
});

describe('the content of a file', () => {
  const text = '0123456789';
  beforeEach(() => contents().set('/data/file', Buffer.from(text)));

  test('goes in and out as it is, however large', async () => {
    const content = Buffer.alloc(20_000_000, 'flotilla\0\xff');
    const put = await send('PUT', '/content?path=/data/large', content);
    expect(put.status).toBe(200);
    expect(await put.json()).toMatchObject({ name: 'large', type: 'file', size: content.length });
    const got = await send('GET', '/content?path=/data/large');
    expect(got.headers.get('content-length')).toBe(String(content.length));
    expect(Buffer.from(await got.arrayBuffer()).equals(content)).toBe(true);
  });

  test('may be empty', async () => {
    expect((await send('PUT', '/content?path=/data/empty')).status).toBe(200);
    expect(await (await send('GET', '/content?path=/data/empty')).text()).toBe('');
  });

  test.each([
    ['bytes=2-4', '234', 'bytes 2-4/10'],
    ['bytes=7-', '789', 'bytes 7-9/10'],
    ['bytes=-3', '789', 'bytes 7-9/10'],
    ['bytes=8-99', '89', 'bytes 8-9/10'],
    ['bytes=-99', text, 'bytes 0-9/10'],
  ])('the range %s', async (range, want, header) => {
    const part = await send('GET', '/content?path=/data/file', undefined, { Range: range });
    expect([part.status, await part.text(), part.headers.get('content-range')]).toEqual([206, want, header]);
    expect(part.headers.get('content-length')).toBe(String(want.length));
  });

  test.each(['bytes=1-2,4-5', 'lines=1-2', 'bytes=5-2', 'bytes=-'])('all of it for %s', async (range) => {
    const whole = await send('GET', '/content?path=/data/file', undefined, { Range: range });
    expect([whole.status, await whole.text()]).toEqual([200, text]);
  });

  test('a range outside of it: 416 with its size', async () => {
    const refused = await send('GET', '/content?path=/data/file', undefined, { Range: 'bytes=10-' });
    expect(refused.status).toBe(416);
    expect(refused.headers.get('content-range')).toBe('bytes */10');
    expect(await refused.json()).toEqual(failure('VALIDATION_ERROR', /10 bytes/));
  });

  test('is not sent to a client that has it', async () => {
    const etag = (await send('HEAD', '/content?path=/data/file')).headers.get('etag') ?? '';
    const same = await send('GET', '/content?path=/data/file', undefined, {
      'If-None-Match': `"x", ${etag}`,
    });
    expect([same.status, await same.text()]).toEqual([304, '']);
    contents().set('/data/file', Buffer.from('another text'));
    const other = await send('GET', '/content?path=/data/file', undefined, { 'If-None-Match': etag });
    expect([other.status, await other.text()]).toEqual([200, 'another text']);
    const resumed = await send('GET', '/content?path=/data/file', undefined, {
      Range: 'bytes=5-',
      'If-Range': etag,
    });
    expect([resumed.status, await resumed.text()]).toEqual([200, 'another text']);
  });

  test('HEAD tells its size, and reads nothing', async () => {
    const read = vi.spyOn(fake.guest.files, 'read');
    const head = await send('HEAD', '/content?path=/data/file');
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '10']);
    expect(head.headers.get('x-file-mode')).toBe('0644');
    expect(read).not.toHaveBeenCalled();
  });

  test('a transfer that fails in the middle breaks the connection', async () => {
    vi.spyOn(fake.guest.files, 'read').mockImplementation(async (target, request) => ({
      entry: await fake.guest.files.stat(target, request.path),
      length: null,
      content: (async function* () {
        yield Buffer.from('some');
        throw new Error('the file was changed');
      })(),
    }));
    const got = await send('GET', '/content?path=/data/file');
    await expect(got.text()).rejects.toThrow();
  });

  test('an upload that is cut off changes nothing', async () => {
    const { host, port } = { host: '127.0.0.1', port: Number(new URL(url).port) };
    const socket = connect(port, host);
    const head = `PUT /machines/web/files/content?path=/data/file HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${testKey}`;
    const ended = vi.spyOn(fake.guest.files, 'write');
    socket.write(`${head}\r\nContent-Length: 1000000\r\n\r\n${'new'.repeat(1000)}`);
    await vi.waitFor(() => expect(ended).toHaveBeenCalled());
    socket.destroy();
    await once(socket, 'close');
    await expect(ended.mock.results[0]?.value).rejects.toThrow();
    expect(contents().get('/data/file')?.toString()).toBe(text);
  });
});

describe('Hyperfleet’s form', () => {
  const write = (body: string | object) =>
    send('POST', '', typeof body === 'string' ? body : JSON.stringify(body), {
      'Content-Type': 'application/json',
    });

  test.each([0, 1, 2, 3, 300_000])('a file of %i bytes comes back as it was written', async (bytes) => {
    const content = Buffer.alloc(bytes, 'a\xffb').toString('base64');
    const written = await write({ path: '/a b', content });
    expect([written.status, await written.json()]).toEqual([200, { success: true, bytes_written: bytes }]);
    const read = await send('GET', '?path=/a%20b');
    expect(await read.json()).toEqual({ content, size: bytes });
    const stat = await send('GET', '/stat?path=/a%20b');
    const mod_time = '1970-01-01T00:00:00.000Z';
    expect(await stat.json()).toMatchObject({
      path: '/a b',
      size: bytes,
      mode: '0644',
      mod_time,
      is_dir: false,
    });
    expect((await send('DELETE', '?path=/a%20b')).status).toBe(204);
    expect((await send('GET', '/stat?path=/a%20b')).status).toBe(404);
  });

  test.each([
    ['no JSON', '{"path": "/a", "content": ', 'BAD_REQUEST', /JSON/],
    ['no object', '["/a"]', 'VALIDATION_ERROR', /object/],
    ['without a path', { content: 'aGk=' }, 'VALIDATION_ERROR', /path must come before/],
    ['without a content', { path: '/a' }, 'VALIDATION_ERROR', /content is required/],
    ['nothing', '', 'BAD_REQUEST', /JSON/],
    ['another field', { path: '/a', contents: 'aGk=' }, 'VALIDATION_ERROR', /did you mean 'content'/],
    ['another field at the end', '{"path":"/a","content":"aGk=","x":1}', 'VALIDATION_ERROR', /'x'/],
    ['a path that is no text', { path: 1, content: 'aGk=' }, 'VALIDATION_ERROR', /path must be a string/],
    ['a content that is none', { path: '/a', content: 1 }, 'VALIDATION_ERROR', /content must be a string/],
    ['no base64', { path: '/a', content: 'a!k=' }, 'VALIDATION_ERROR', /base64/],
    ['base64 without padding', { path: '/a', content: 'aGk' }, 'VALIDATION_ERROR', /base64/],
    ['base64 that goes on', { path: '/a', content: 'aGk=aGk=' }, 'VALIDATION_ERROR', /base64/],
    ['a relative path', { path: 'a', content: 'aGk=' }, 'PATH_TRAVERSAL_ERROR', /absolute/],
    ['a path that climbs', { path: '/a/../b', content: 'aGk=' }, 'PATH_TRAVERSAL_ERROR', /\.\./],
  ])('%s is refused, and nothing is written', async (_, body, code, message) => {
    const refused = await write(body);
    expect([refused.status, await refused.json()]).toEqual([400, failure(code, message)]);
    expect(contents().size).toBe(0);
  });

  test('paths that climb are refused everywhere', async () => {
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['GET', '/stat'],
    ] as const) {
      const refused = await send(method, `${path}?path=/etc/../etc/passwd`);
      expect([refused.status, await refused.json()]).toEqual([
        400,
        failure('PATH_TRAVERSAL_ERROR', /absolute/),
      ]);
    }
  });

  test('its limits are settings: of size, and of time', async () => {
    const fileLimits = { bytesMax: 10, transferMs: 50 };
    const app = createApp(dialects, { ...fakeDeps(fake), fileLimits });
    const limited = await listen(app.fetch, { host: '127.0.0.1', port: 0 });
    const at = (path: string, init: RequestInit = {}) =>
      fetch(`http://127.0.0.1:${limited.port}/machines/web/files${path}`, {
        ...init,
        headers: { Authorization: `Bearer ${testKey}`, 'Content-Type': 'application/json' },
      });
    contents().set('/large', Buffer.alloc(11));
    const large = failure('VALIDATION_ERROR', /File too large: 11 bytes \(max 10\)/);
    expect(await (await at('?path=/large')).json()).toEqual(large);
    const body = JSON.stringify({ path: '/new', content: Buffer.alloc(11).toString('base64') });
    expect(await (await at('', { method: 'POST', body })).json()).toEqual(large);
    expect(contents().has('/new')).toBe(false);
    vi.spyOn(fake.guest.files, 'write').mockImplementation(
      (_target, _request, _content, signal) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
        ),
    );
    const small = JSON.stringify({ path: '/new', content: 'aGk=' });
    const late = await at('', { method: 'POST', body: small });
    expect([late.status, await late.json()]).toEqual([
      502,
      failure('VSOCK_ERROR', /^File operation timed out$/),
    ]);
    await limited.close(0);
  });
});

describe('directories', () => {
  beforeEach(() => {
    for (const name of ['b', 'a', 'c/d']) contents().set(`/data/${name}`, Buffer.from(name));
  });

  test('are listed in pages', async () => {
    const first = await (await send('GET', '/list?path=/data&limit=2')).json();
    expect(first).toMatchObject({ path: '/data', entries: [{ name: 'a' }, { name: 'b' }], next: 'b' });
    const second = await (await send('GET', '/list?path=/data&limit=2&after=b')).json();
    expect(second).toMatchObject({ entries: [{ name: 'c', type: 'directory' }], next: null });
  });

  test('are made, moved and removed', async () => {
    expect((await sendJson('POST', '/mkdir', { path: '/data/new', mode: '0700' })).status).toBe(200);
    expect((await sendJson('POST', '/mkdir', { path: '/data/new' })).status).toBe(409);
    expect((await sendJson('POST', '/move', { from: '/data/a', to: '/data/b' })).status).toBe(409);
    const moved = await sendJson('POST', '/move', { from: '/data/a', to: '/data/b', overwrite: true });
    expect([moved.status, contents().get('/data/b')?.toString()]).toEqual([200, 'a']);
    expect((await send('DELETE', '?path=/data')).status).toBe(409);
    expect((await send('DELETE', '?path=/data&recursive=true')).status).toBe(204);
    expect(contents().size).toBe(0);
  });

  test('go out and in as archives', async () => {
    const archive = await send('GET', '/archive?path=/data');
    expect(archive.headers.get('content-type')).toBe('application/octet-stream');
    const bytes = await archive.arrayBuffer();
    expect((await send('GET', '/archive?path=/data&name=.')).status).toBe(200);
    for (const name of ['', '..', 'a/b', '%00'])
      expect((await send('GET', `/archive?path=/data&name=${name}`)).status).toBe(400);
    const put = await send('PUT', '/archive?path=/there&owner=root&parents=true', bytes);
    expect([put.status, await put.json()]).toEqual([200, { count: 1 }]);
    expect(contents().get('/there/archive')?.equals(Buffer.from(bytes))).toBe(true);
  });

  test('tell what changes in them', async () => {
    fake.guest.files.changes = [
      { type: 'created', path: '/data/x', isDirectory: false, cookie: 0 },
      { type: 'overflow', path: null, isDirectory: false, cookie: 0 },
    ];
    const events = await send('GET', '/watch?path=/data&recursive=1');
    expect(events.headers.get('content-type')).toBe('text/event-stream');
    expect((await events.text()).split('\n\n')).toEqual([
      ': watching',
      'event: created\ndata: {"type":"created","path":"/data/x","is_directory":false,"cookie":0}',
      'event: overflow\ndata: {"type":"overflow","path":null,"is_directory":false,"cookie":0}',
      '',
    ]);
  });
});

test('files need the scope for commands, and a machine that runs', async () => {
  const made = await fetch(`${url}/api/v1/keys`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${testKey}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ name: 'reader', scopes: ['machines:read', 'machines:write'] }),
  });
  const { key } = (await made.json()) as { readonly key: string };
  const answer = await fetch(`${url}/machines/web/files/list?path=/`, {
    headers: { Authorization: `Bearer ${key}` },
  });
  expect(answer.status).toBe(403);
  await fake.machines.pause('default', 'web');
  const paused = await send('GET', '/list?path=/');
  expect([paused.status, await paused.json()]).toEqual([400, failure('BAD_REQUEST', /must be running/)]);
});
