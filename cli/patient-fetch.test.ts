import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { patientFetch } from './patient-fetch.ts';

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function* pieces(count: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index++) yield Buffer.alloc(65_536, index);
}

test('sends method, headers and a body that comes bit by bit, and gives the answer', async () => {
  const url = await serve(async (request, response) => {
    let length = 0;
    for await (const chunk of request) length += (chunk as Buffer).length;
    response.writeHead(201, { 'content-type': 'text/plain', 'x-length': length });
    response.end(`${request.method} ${request.url} ${request.headers.authorization}`);
  });
  const body = ReadableStream.from(pieces(40));
  const response = await patientFetch(`${url}/a?b=c`, {
    method: 'PUT',
    headers: { authorization: 'x' },
    body,
  });
  expect(response.status).toBe(201);
  expect(response.headers.get('x-length')).toBe(String(40 * 65_536));
  expect(await response.text()).toBe('PUT /a?b=c x');
});

test('an answer without a body is one', async () => {
  const url = await serve((_, response) => response.writeHead(204).end());
  const response = await patientFetch(url, { method: 'DELETE' });
  expect([response.status, await response.text()]).toEqual([204, '']);
});

test('a redirect is not followed', async () => {
  const url = await serve((_, response) =>
    response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end(),
  );
  expect((await patientFetch(url, { headers: { authorization: 'x' } })).status).toBe(302);
});

test('an answer to half a body is an answer, also from a server that closes after it', async () => {
  const url = await serve((request, response) => {
    response.writeHead(409, { connection: 'close' }).end('taken', () => request.socket.destroy());
  });
  for (let attempt = 0; attempt < 5; attempt++) {
    const body = ReadableStream.from(pieces(1000));
    const response = await patientFetch(url, { method: 'PUT', body });
    expect([response.status, await response.text()]).toEqual([409, 'taken']);
  }
});

test('what fails in the body fails the call', async () => {
  const url = await serve((request) => request.resume());
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield* pieces(1);
    throw new Error('the disk is gone');
  }
  const call = patientFetch(url, { method: 'PUT', body: ReadableStream.from(broken()) });
  await expect(call).rejects.toThrow('the disk is gone');
});

test('nobody there is the system’s error', async () => {
  await expect(patientFetch('http://127.0.0.1:9', {})).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('an abort ends the call, and an answer that goes on', async () => {
  const url = await serve((request, response) => {
    if (request.url === '/answered') response.writeHead(200).write('begun');
  });
  const reason = new Error('enough');
  const before = new AbortController();
  const waiting = patientFetch(url, { signal: before.signal });
  before.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  const during = new AbortController();
  const response = await patientFetch(`${url}/answered`, { signal: during.signal });
  const reader = response.body?.getReader();
  expect((await reader?.read())?.value).toEqual(new Uint8Array(Buffer.from('begun')));
  during.abort(reason);
  await expect(reader?.read()).rejects.toThrow();
});
