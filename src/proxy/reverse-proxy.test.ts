/** The proxy on real connections, with the real core on fake guests, whose programs are real servers. */
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type WebSocket as ServerSocket, WebSocket, WebSocketServer } from 'ws';
import { type ProxyWorld, startProxyWorld, suffix, tenant } from './testing.ts';

let world: ProxyWorld;
beforeEach(async () => {
  world = await startProxyWorld();
});
afterEach(() => world.close());

const path = (rest = '/') => `/proxy/${world.id}/80${rest}`;
const error = (message: string) => JSON.stringify({ error: message });
const starts = async () => {
  const { operations } = await world.fake.operations.list(tenant, { limit: 100, offset: 0 });
  return operations.filter(({ kind }) => kind === 'machine.start').length;
};

/** Sends bytes as they are, and resolves with all that comes back until the connection ends. */
async function sendRaw(bytes: string): Promise<string> {
  const socket = connect(world.server.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(bytes.replaceAll('HOST', `Host: ${world.id}-80${suffix}`).replace(/\n/g, '\r\n'));
  return text(socket);
}

describe('finds the program', () => {
  test('by path and by host, and passes on the rest of the path with its query', async () => {
    world.program = ({ url, headers }, outgoing) => outgoing.end(JSON.stringify([url, headers.host]));
    const { port } = world.server;
    expect(JSON.parse((await world.send(path('/a/b?c=d'))).body)).toEqual(['/a/b?c=d', `localhost:${port}`]);
    const headers = { host: `${world.id.toUpperCase()}-80${suffix}:4000` };
    expect(JSON.parse((await world.send('/proxy/x?y', { headers })).body)).toEqual([
      '/proxy/x?y',
      headers.host,
    ]);
  });

  test('by a route, whose port need not be exposed, until its machine is gone', async () => {
    world.fake.guest.connections.programs.set(
      81,
      world.fake.guest.connections.programs.get(80) ?? (() => undefined),
    );
    await world.fake.routes.create(tenant, 'web', { subdomain: 'shop', targetPort: 81 });
    const headers = { host: `shop${suffix}` };
    expect(await world.send('/', { headers })).toMatchObject({ status: 200, body: 'hello' });
    await world.fake.machines.delete(tenant, 'web', { force: true });
    expect(await world.send('/', { headers })).toMatchObject({ status: 404 });
    expect(await world.fake.routes.count()).toBe(0);
  });

  test('by a route that does not wake', async () => {
    await world.fake.routes.create(tenant, 'web', { subdomain: 'shop', targetPort: 80, autoWake: false });
    const headers = { host: `shop${suffix}` };
    expect(await world.send('/', { headers })).toMatchObject({
      status: 503,
      body: error('Machine is not running'),
    });
    await world.send(path());
    expect(await world.send('/', { headers })).toMatchObject({ status: 200 });
  });

  test.each([
    ['/proxy/nosuchmachi1/80/', 404, 'Machine not found'],
    ['/', 404, 'No machine or route has this address'],
  ])('or says that %s is not there', async (at, status, message) => {
    expect(await world.send(at)).toMatchObject({ status, body: error(message) });
  });

  test('or says that the port is not exposed, before anything is woken', async () => {
    const answer = await world.send(`/proxy/${world.id}/81/`);
    expect(answer).toMatchObject({ status: 403, body: error('Port 81 is not exposed on this machine') });
    expect(await starts()).toBe(0);
  });

  test('by ports that are exposed and taken back while the machine runs', async () => {
    const { machines } = world.fake;
    expect(await world.send(path())).toMatchObject({ status: 200 });
    await machines.update(tenant, 'web', { exposedPorts: [81] });
    expect(await world.send(path())).toMatchObject({ status: 403 });
    await machines.update(tenant, 'web', { exposedPorts: [80, 81, 80] });
    expect(await world.send(path())).toMatchObject({ status: 200 });
    expect((await machines.get(tenant, 'web')).spec.exposedPorts).toEqual([80, 81]);
  });

  test('or says that nothing answers there', async () => {
    await world.close();
    world = await startProxyWorld({ wakeTimeoutMs: 300 });
    world.fake.guest.connections.programs.delete(80);
    expect(await world.send(path())).toMatchObject({ status: 503, headers: { 'retry-after': '2' } });
    await expect
      .poll(() => world.send(path()))
      .toMatchObject({
        status: 502,
        body: error('Failed to connect to upstream'),
      });
  });

  test('a browser gets a page', async () => {
    const answer = await world.send('/', { headers: { accept: 'text/html,*/*' } });
    expect(answer.headers['content-type']).toContain('text/html');
    expect(answer.body).toContain('<h1>No machine or route has this address</h1>');
  });
});

test.each([
  ['GET', 200],
  ['DELETE', 200],
  ['POST', 502],
])(
  'a %s whose kept connection the program closes is %i: only what may be done twice is sent again',
  async (method, status) => {
    let seen = 0;
    world.program = ({ socket }, outgoing) => {
      seen += 1;
      if (seen === 2) socket.destroy();
      else outgoing.end('hello');
    };
    expect(await world.send(path())).toMatchObject({ status: 200 });
    expect(await world.send(path(), { method })).toMatchObject({ status });
    expect(seen).toBe(status === 200 ? 3 : 2);
  },
);

describe('wakes the machine', () => {
  test('once for a hundred requests, all of which are answered', async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => world.send(path())));
    expect(answers.map(({ status, body }) => `${status} ${body}`)).toEqual(Array(100).fill('200 hello'));
    expect(await starts()).toBe(1);
  });

  test('from a pause', async () => {
    await world.send(path());
    await world.fake.machines.pause(tenant, 'web');
    expect(await world.send(path())).toMatchObject({ status: 200 });
  });

  test('unless it must not be woken', async () => {
    await world.fake.machines.update(tenant, 'web', { autoWake: false });
    expect(await world.send(path())).toMatchObject({ status: 503, body: error('Machine is not running') });
  });

  test('and says when to come again if that takes too long', async () => {
    await world.close();
    world = await startProxyWorld({ wakeTimeoutMs: 20 });
    const may = Promise.withResolvers<void>();
    world.fake.guest.onReady = () => may.promise;
    const answer = await world.send(path(), { headers: { accept: 'text/html' } });
    expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '2' } });
    expect(answer.body).toContain('Machine is starting');
    may.resolve();
    await expect.poll(async () => (await world.send(path())).status).toBe(200);
  });
});

describe('passes on', () => {
  test('what the program needs to know, and nothing that a client makes up', async () => {
    world.program = ({ headers }, outgoing) => outgoing.end(JSON.stringify(headers));
    const key = `hf_${'k'.repeat(32)}`;
    const headers = {
      'x-machine-id': 'mine',
      'x-forwarded-for': '192.0.2.1',
      authorization: `Bearer ${key}`,
      'x-api-key': 'its-own',
      connection: 'close, x-hop',
      'x-hop': '1',
    };
    const seen = JSON.parse((await world.send(path(), { headers })).body);
    expect(seen).toMatchObject({
      'x-machine-id': world.id,
      'x-forwarded-for': '192.0.2.1, 127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': `localhost:${world.server.port}`,
      'x-api-key': 'its-own',
    });
    expect(seen).not.toHaveProperty('authorization');
    expect(seen).not.toHaveProperty('x-hop');
  });

  test('bodies, statuses, headers that repeat, and trailers of both directions', async () => {
    world.program = (incoming, outgoing) => {
      void text(incoming).then((body) => {
        outgoing.writeHead(418, [
          ...['Set-Cookie', 'a=1'],
          ...['Set-Cookie', 'b=2'],
          ...['Trailer', 'X-Sum'],
        ]);
        outgoing.addTrailers({ 'X-Sum': String(incoming.trailers['x-end']) });
        outgoing.end(body.toUpperCase());
      });
    };
    const head = `POST /x HTTP/1.1\nHOST\nConnection: close\nTransfer-Encoding: chunked\nTrailer: X-End\n\n`;
    const answer = await sendRaw(`${head}5\nhello\n0\nX-End: yes\n\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 418 /);
    expect(answer).toContain('Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n');
    expect(answer).toContain('HELLO');
    expect(answer).toMatch(/X-Sum: yes\r\n\r\n$/);
  });

  test('events as they come, and ends the program’s answer when the client leaves', async () => {
    const left = Promise.withResolvers<void>();
    world.program = (_, outgoing) => {
      outgoing.writeHead(200, { 'Content-Type': 'text/event-stream' });
      outgoing.flushHeaders();
      outgoing.once('close', left.resolve);
      world.programs.once('go', () => outgoing.write('data: 1\n\n'));
    };
    const sent = request({ port: world.server.port, path: path() });
    sent.end();
    const [answer] = await once(sent, 'response');
    world.programs.emit('go');
    const [event] = await once(answer, 'data');
    expect(String(event)).toBe('data: 1\n\n');
    sent.on('error', () => undefined).destroy();
    await left.promise;
  });

  test('100 Continue and early hints', async () => {
    world.program = () => undefined;
    world.programs.on('checkContinue', (incoming, outgoing) => {
      outgoing.writeEarlyHints({ link: '</style.css>; rel=preload' });
      outgoing.writeContinue();
      incoming.pipe(outgoing);
    });
    const sent = request({
      port: world.server.port,
      path: path(),
      method: 'PUT',
      headers: { expect: '100-continue' },
    });
    const hints: unknown[] = [];
    sent.on('information', ({ statusCode, headers }) => hints.push([statusCode, headers.link]));
    sent.flushHeaders();
    await once(sent, 'continue');
    sent.end('body');
    const [answer] = await once(sent, 'response');
    expect(await text(answer)).toBe('body');
    expect(hints).toContainEqual([103, '</style.css>; rel=preload']);
  });

  test('over connections that outlive the limit of connecting', async () => {
    const { connections } = world.fake.guest;
    const signals: AbortSignal[] = [];
    const connect = connections.connect.bind(connections);
    connections.connect = (target, port, signal) => {
      signals.push(signal);
      return connect(target, port, signal);
    };
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      expect((await world.send(path())).status).toBe(200);
      vi.advanceTimersByTime(20_000);
    } finally {
      vi.useRealTimers();
    }
    expect(signals.map(({ aborted }) => aborted)).toEqual(signals.map(() => false));
  });

  test('many requests over few connections', async () => {
    for (let count = 0; count < 20; count += 1) await world.send(path());
    // One more was to see that the port accepts.
    expect(world.accepted()).toBeLessThanOrEqual(2);
  });
});

describe('a WebSocket', () => {
  let sockets: WebSocketServer;
  beforeEach(() => {
    sockets = new WebSocketServer({ noServer: true });
    world.programs.on('upgrade', (incoming, socket, head) =>
      sockets.handleUpgrade(incoming, socket, head, (ws: ServerSocket) => {
        ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
        ws.on('close', (code) => world.programs.emit('closed', code));
      }),
    );
  });

  test('carries messages both ways and closes with its code', async () => {
    const ws = new WebSocket(`ws://127.0.0.1:${world.server.port}${path('/chat')}`);
    await once(ws, 'open');
    ws.send('hello');
    const [data] = await once(ws, 'message');
    expect(String(data)).toBe('hello');
    const closed = once(world.programs, 'closed');
    ws.close(4001);
    expect(await closed).toEqual([4001]);
  });

  test('that the program refuses gets its answer', async () => {
    world.programs.removeAllListeners('upgrade');
    world.program = (_, outgoing) => outgoing.writeHead(401, { 'X-Why': 'no' }).end('who?');
    const ws = new WebSocket(`ws://127.0.0.1:${world.server.port}${path()}`);
    ws.on('error', () => undefined);
    const [, answer] = await once(ws, 'unexpected-response');
    expect(answer).toMatchObject({ statusCode: 401, headers: { 'x-why': 'no' } });
    expect(await text(answer)).toBe('who?');
  });

  test('to nothing gets an ordinary error', async () => {
    const ws = new WebSocket(`ws://127.0.0.1:${world.server.port}/proxy/nosuchmachi1/80/`);
    ws.on('error', () => undefined);
    const [, answer] = await once(ws, 'unexpected-response');
    expect(answer.statusCode).toBe(404);
    expect(await text(answer)).toBe(error('Machine not found'));
  });
});

describe('refuses what two programs could understand differently', () => {
  let seen: string[];
  beforeEach(() => {
    seen = [];
    world.program = (incoming, outgoing) => {
      seen.push(`${incoming.method} ${incoming.url}`);
      incoming.resume();
      outgoing.end('ok');
    };
  });

  test.each([
    [
      'a length and chunks',
      'Content-Length: 4\nTransfer-Encoding: chunked\n\n0\n\nGET /evil HTTP/1.1\nHOST\n\n',
    ],
    ['chunks and a length', 'Transfer-Encoding: chunked\nContent-Length: 4\n\n0\n\n'],
    ['two lengths', 'Content-Length: 0\nContent-Length: 30\n\nGET /evil HTTP/1.1\nHOST\n\n'],
    ['a list of lengths', 'Content-Length: 0, 0\n\n'],
    ['a signed length', 'Content-Length: +4\n\nabcd'],
    ['a folded header', 'X-A: 1\n Transfer-Encoding: chunked\nContent-Length: 0\n\n'],
    ['a space before the colon', 'Transfer-Encoding : chunked\n\n0\n\n'],
    ['another coding', 'Transfer-Encoding: gzip, chunked\n\n0\n\n'],
    ['a coding twice', 'Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n0\n\n'],
    ['a coding with a control character', 'Transfer-Encoding: \u000bchunked\n\n0\n\n'],
    ['a second host', 'Host: other.example\n\n'],
    ['a bad size of a chunk', 'Transfer-Encoding: chunked\n\n0x5\nhello\n0\n\n'],
    ['a bad end of a chunk', 'Transfer-Encoding: chunked\n\n5\nhelloXX0\n\nGET /evil HTTP/1.1\nHOST\n\n'],
  ])('%s', async (_, rest) => {
    const answer = await sendRaw(`POST / HTTP/1.1\nHOST\n${rest}`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 |^$/);
    expect(answer.match(/HTTP\/1\.1 200/g)).toBeNull();
    expect(seen.filter((each) => each.includes('evil'))).toEqual([]);
  });

  test.each([
    ['an absolute target', 'GET http://other.example/ HTTP/1.1\nHOST\nConnection: close\n\n'],
    ['chunks in HTTP/1.0', 'POST / HTTP/1.0\nHOST\nTransfer-Encoding: chunked\n\n0\n\n'],
  ])('%s', async (_, bytes) => {
    expect(await sendRaw(bytes)).toMatch(/^HTTP\/1\.1 400 /);
    expect(seen).toEqual([]);
  });
});
