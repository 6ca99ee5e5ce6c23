import { once } from 'node:events';
import { expect, test } from 'vitest';
import { FlotillaClient } from './client.ts';
import { reasonOf } from './errors.ts';
import { bodyOf, sendJson, serve } from './testing/server.ts';
import type { ExecRequest } from './types.ts';

const machine = { id: 'm1', name: 'web', status: 'running', vcpu_count: 1, mem_size_mib: 128 };

test('sends key, path and body, and returns the answer unchanged', async () => {
  const seen: unknown[] = [];
  await using server = await serve(async (request, response) => {
    const { method, url, headers } = request;
    seen.push([method, url, headers.authorization, method === 'POST' ? await bodyOf(request) : null]);
    sendJson(response, 201, { ...machine, new_field: 1 });
  });
  const client = new FlotillaClient({ url: `${server.url}/`, key: 'hf_k' });
  const body = { name: 'web', vcpu_count: 1, mem_size_mib: 128 };
  expect(await client.machines.create(body)).toEqual({ ...machine, new_field: 1 });
  await client.machines.get('a/b?c');
  expect(seen).toEqual([
    ['POST', '/machines', 'Bearer hf_k', body],
    ['GET', '/machines/a%2Fb%3Fc', 'Bearer hf_k', null],
  ]);
});

test('omits undefined query fields, and the header when there is no key', async () => {
  await using server = await serve((request, response) => {
    sendJson(response, 200, {
      machines: [],
      total: 0,
      url: request.url,
      auth: request.headers.authorization,
    });
  });
  const client = new FlotillaClient({ url: server.url });
  expect(await client.machines.list()).toEqual({ machines: [], total: 0, url: '/machines' });
  expect(await client.machines.list({ status: 'failed', limit: 5, offset: undefined })).toMatchObject({
    url: '/machines?status=failed&limit=5',
  });
  expect(await client.machines.list({ label: ['a=1', 'b'], sort: 'name' })).toMatchObject({
    url: '/machines?label=a%3D1&label=b&sort=name',
  });
});

test('changes a machine, and repeats an action without an error when told to', async () => {
  const seen: unknown[] = [];
  await using server = await serve(async (request, response) => {
    const { method, url } = request;
    seen.push([method, url, method === 'PATCH' ? await bodyOf(request) : null]);
    sendJson(response, 200, { id: 'm1' });
  });
  const { machines } = new FlotillaClient({ url: server.url });
  await machines.update('m1', { labels: { a: null }, lifetime_seconds: 60 });
  await machines.stop('m1', { idempotent: true });
  await machines.stop('m1');
  expect(seen).toEqual([
    ['PATCH', '/machines/m1', { labels: { a: null }, lifetime_seconds: 60 }],
    ['POST', '/machines/m1/stop?idempotent=true', null],
    ['POST', '/machines/m1/stop', null],
  ]);
});

test('delete resolves on 204 and forces only when asked', async () => {
  const urls: unknown[] = [];
  await using server = await serve((request, response) => {
    urls.push(`${request.method} ${request.url}`);
    response.writeHead(204).end();
  });
  const { machines } = new FlotillaClient({ url: server.url });
  await machines.delete('m1');
  await machines.delete('m1', { force: true });
  expect(urls).toEqual(['DELETE /machines/m1', 'DELETE /machines/m1?force=true']);
});

test('an error answer becomes a FlotillaError with all fields of the answer', async () => {
  await using server = await serve((_, response) => {
    const error = {
      code: 'CONFLICT',
      message: 'taken',
      hint: 'another name',
      request_id: 'r1',
      details: { a: 1 },
    };
    sendJson(response, 409, { error });
  });
  const { machines } = new FlotillaClient({ url: server.url });
  await expect(machines.start('m1')).rejects.toMatchObject({
    name: 'FlotillaError',
    status: 409,
    code: 'CONFLICT',
    message: 'taken',
    hint: 'another name',
    requestId: 'r1',
    details: { a: 1 },
  });
});

test.each([
  ['text/html', 502, '<html>bad gateway', { status: 502, code: 'HTTP_502' }],
  ['application/json', 200, 'not json', { status: 0, code: 'BAD_RESPONSE' }],
  ['application/json', 200, '[]', { status: 0, code: 'BAD_RESPONSE' }],
])(
  'an error answer of %s %i from something else than the API becomes a FlotillaError',
  async (type, status, body, expected) => {
    await using server = await serve((_, response) => {
      response.writeHead(status, { 'content-type': type }).end(body);
    });
    const client = new FlotillaClient({ url: server.url });
    await expect(client.machines.start('m1')).rejects.toMatchObject(expected);
  },
);

test('reports whether a request may be repeated, and repeats no other', async () => {
  let requests = 0;
  await using server = await serve((request, response) => {
    requests++;
    const retryable = request.url?.endsWith('/later');
    const error = {
      code: 'RESOURCE_EXHAUSTED',
      message: 'no room',
      ...(retryable === undefined ? {} : { retryable }),
    };
    response.setHeader('retry-after', '0');
    sendJson(response, 503, { error });
  });
  const { machines } = new FlotillaClient({ url: server.url });
  await expect(machines.get('never')).rejects.toMatchObject({ retryable: false, retryAfterMs: 0 });
  expect(requests).toBe(1);
  await expect(machines.get('later')).rejects.toMatchObject({ retryable: true });
  expect(requests).toBe(4);
});

test('repeats a GET after 503 and after a broken connection, and nothing after that', async () => {
  let requests = 0;
  await using server = await serve((request, response) => {
    requests++;
    if (requests === 1) response.writeHead(503, { 'retry-after': '0' }).end();
    else if (requests === 2) request.socket.destroy();
    else sendJson(response, 200, { status: 'ok' });
  });
  const client = new FlotillaClient({ url: server.url });
  expect(await client.health()).toEqual({ status: 'ok' });
  expect(requests).toBe(3);
});

test('gives up on a GET after three attempts', async () => {
  let requests = 0;
  await using server = await serve((_, response) => {
    requests++;
    response.writeHead(503).end();
  });
  await expect(new FlotillaClient({ url: server.url }).health()).rejects.toMatchObject({ status: 503 });
  expect(requests).toBe(3);
});

test.each([
  ['POST after 503', 503, (client: FlotillaClient) => client.machines.start('m1')],
  ['DELETE after 503', 503, (client: FlotillaClient) => client.machines.delete('m1')],
  ['GET after 500', 500, (client: FlotillaClient) => client.machines.get('m1')],
])('never repeats a %s', async (_, status, call) => {
  let requests = 0;
  await using server = await serve((_request, response) => {
    requests++;
    response.writeHead(status).end();
  });
  await expect(call(new FlotillaClient({ url: server.url }))).rejects.toMatchObject({ status });
  expect(requests).toBe(1);
});

test('a call ends at its deadline, and the server sees the connection close', async () => {
  const closed = Promise.withResolvers<void>();
  await using server = await serve(async (request) => {
    await once(request.socket, 'close');
    closed.resolve();
  });
  const { machines } = new FlotillaClient({ url: server.url });
  await expect(machines.start('m1', { timeoutMs: 50 })).rejects.toMatchObject({ code: 'CLIENT_TIMEOUT' });
  await closed.promise;
});

test('the deadline includes the body and the delays between attempts', async () => {
  await using stalling = await serve((_, response) => {
    response.writeHead(200).write('{"status":');
  });
  await using pausing = await serve((_, response) => {
    response.writeHead(503, { 'retry-after': '4' }).end();
  });
  for (const { url } of [stalling, pausing]) {
    const call = new FlotillaClient({ url }).health({ timeoutMs: 50 });
    await expect(call).rejects.toMatchObject({ code: 'CLIENT_TIMEOUT' });
  }
});

test('a deadline longer than a timer’s maximum does not fire at once', async () => {
  await using server = await serve((_, response) => sendJson(response, 200, { status: 'ok' }));
  for (const timeoutMs of [2 ** 31, Number.POSITIVE_INFINITY]) {
    expect(await new FlotillaClient({ url: server.url }).health({ timeoutMs })).toEqual({ status: 'ok' });
  }
});

test('the caller’s abort rejects with the caller’s own reason', async () => {
  const abort = new AbortController();
  const reason = new Error('changed my mind');
  await using server = await serve(() => abort.abort(reason));
  const { machines } = new FlotillaClient({ url: server.url });
  await expect(machines.get('m1', { signal: abort.signal })).rejects.toBe(reason);
  await expect(machines.get('m1', { signal: abort.signal })).rejects.toBe(reason);
});

test('an unreachable server is named with the reason', async () => {
  const server = await serve(() => undefined);
  await server[Symbol.asyncDispose]();
  await expect(new FlotillaClient({ url: server.url }).machines.start('m1')).rejects.toMatchObject({
    status: 0,
    code: 'UNREACHABLE',
    message: `cannot reach ${server.url}: the connection was refused (ECONNREFUSED)`,
  });
});

test.each(['', '.', '..'])('refuses the id %j, which would change the path', async (id) => {
  const { machines } = new FlotillaClient({ url: 'http://127.0.0.1:9' });
  await expect(machines.delete(id)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test.each(['ftp://host', 'host:3000', '', 'http://user:secret@host', 'http://host/?q'])(
  'refuses the address %j without repeating a secret',
  (url) => {
    expect(() => new FlotillaClient({ url })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    expect(() => new FlotillaClient({ url })).not.toThrow(/secret/);
  },
);

test('a buffered exec sends stdin as base64 and refuses a timeout longer than it can wait', async () => {
  await using server = await serve(async (request, response) => {
    sendJson(response, 200, {
      exit_code: 0,
      stdout: '',
      stderr: '',
      outcome: 'exited',
      got: await bodyOf(request),
    });
  });
  const { machines } = new FlotillaClient({ url: server.url });
  const stdin = new TextEncoder().encode('hé');
  expect(await machines.exec('m1', { command: ['cat'], stdin })).toMatchObject({
    outcome: 'exited',
    got: { command: ['cat'], stdin: Buffer.from('hé').toString('base64') },
  });
  expect(await machines.exec('m1', { command: ['cat'], stdin: 'hé' })).toMatchObject({
    got: { command: ['cat'], stdin: Buffer.from('hé').toString('base64') },
  });
  await expect(machines.exec('m1', { command: ['x'], timeout: 241 })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});

test.each([null, 7, {}, [1]])('a stdin of %j is refused before anything is sent', async (stdin) => {
  const { machines } = new FlotillaClient({ url: 'http://127.0.0.1:9' });
  const request = { command: ['cat'], stdin } as unknown as ExecRequest;
  const refused = { name: 'FlotillaError', code: 'INVALID_ARGUMENT' };
  await expect(machines.exec('m1', request)).rejects.toMatchObject(refused);
  await expect(machines.execStream('m1', request).next()).rejects.toMatchObject(refused);
});

test.each([
  ['UND_ERR_SOCKET', 'other side closed', 'the connection to the daemon broke (UND_ERR_SOCKET)'],
  ['ENOTFOUND', 'getaddrinfo ENOTFOUND x', 'no host has that name (ENOTFOUND)'],
  ['CERT_HAS_EXPIRED', 'certificate has expired', 'certificate has expired (CERT_HAS_EXPIRED)'],
  ['EODD', '', 'the connection failed (EODD)'],
])('an error with the code %s always has a message', (code, message, expected) => {
  const cause = Object.assign(new Error(message), { code });
  expect(reasonOf(new TypeError('fetch failed', { cause }))).toBe(expected);
});
