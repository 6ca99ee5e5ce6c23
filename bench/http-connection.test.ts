import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { encodeRequest, HttpConnection, parseAnswer } from './http-connection.ts';

async function withServer(
  listener: RequestListener,
  work: (endpoint: { host: string; port: number }) => Promise<void>,
): Promise<void> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await work({ host: '127.0.0.1', port });
  } finally {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
}

it('sends requests in sequence over one connection, with key and body', async () => {
  const seen: string[] = [];
  const echo: RequestListener = async (req, res) => {
    seen.push(`${req.method} ${req.url} ${req.headers.authorization} ${req.socket.remotePort}`);
    for await (const chunk of req) res.write(chunk);
    res.end();
  };
  await withServer(echo, async (endpoint) => {
    using connection = await HttpConnection.open(endpoint);
    const request = encodeRequest('POST', '/x', endpoint, { key: 'k', body: { a: 'ü' } });
    for (let count = 0; count < 2; count += 1)
      expect((await connection.expect(200, request)).toString()).toContain('{"a":"ü"}');
  });
  expect(seen[0]).toMatch(/^POST \/x Bearer k \d+$/);
  expect(new Set(seen).size).toBe(1);
});

it('throws when the answer has another status than expected', async () => {
  const refuse: RequestListener = (_, res) => {
    res.statusCode = 418;
    res.end('no coffee');
  };
  await withServer(refuse, async (endpoint) => {
    using connection = await HttpConnection.open(endpoint);
    await expect(connection.expect(200, encodeRequest('GET', '/', endpoint))).rejects.toThrow(
      '418: no coffee',
    );
  });
});

it('throws when the server closes the connection, and on every later request', async () => {
  await withServer(
    (req) => req.socket.destroy(),
    async (endpoint) => {
      using connection = await HttpConnection.open(endpoint);
      const request = encodeRequest('GET', '/', endpoint);
      await expect(connection.send(request)).rejects.toThrow();
      await expect(connection.send(request)).rejects.toThrow();
    },
  );
});

it.each([
  ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', 'ok'],
  ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n', '2\r\nok\r\n0\r\n\r\n'],
])('finds an answer complete at its last byte, not earlier: %j', (text, body) => {
  const bytes = Buffer.from(text);
  for (let length = 0; length < bytes.length; length += 1)
    expect(parseAnswer(bytes.subarray(0, length))).toBeNull();
  expect(parseAnswer(bytes)).toEqual({ status: 200, body: Buffer.from(body) });
});

it('expects no body after 204', () => {
  expect(parseAnswer(Buffer.from('HTTP/1.1 204 No Content\r\n\r\n'))?.status).toBe(204);
});
