/** `port-forward` on a daemon without machines: real TCP connections of this host, and real WebSockets. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { FakeApi } from './testing/fake-api.ts';
import type { FakeConnection, FakePort } from './testing/fake-ports.ts';
import { Refusal } from './testing/refusal.ts';
import { type RunningCli, runCli, startCli } from './testing/run-cli.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await FakeApi.start();
});
afterEach(() => api[Symbol.asyncDispose]());

const echo: FakePort = {
  onData: ({ send }, data) => void send(data),
  onEnd: ({ end }) => end(),
};

const piece = Buffer.alloc(65_536, 'x');

interface Forward extends RunningCli {
  /** As it was printed. */
  readonly lines: readonly string[];
  /** The ports of this host, in the order of the lines. */
  readonly ports: readonly number[];
}

/** Runs the command until it has printed `count` lines. */
async function forward(args: readonly string[], count = 1, env = {}): Promise<Forward> {
  const cli = startCli(['port-forward', ...args], { env: { FLOTILLA_URL: api.url, ...env }, unread: true });
  const stdout = cli.child.stdout as NodeJS.ReadableStream;
  let said = '';
  stdout.setEncoding('utf8').on('data', (data) => {
    said += data;
  });
  while (said.split('\n').length <= count) {
    const ended = cli.done.then(({ stderr }) => Promise.reject(new Error(stderr)));
    await Promise.race([once(stdout, 'data'), ended]);
  }
  const lines = said.trimEnd().split('\n');
  return { ...cli, lines, ports: lines.map((line) => Number(/:(\d+) ->/.exec(line)?.[1])) };
}

function dial(port: number | undefined, host = '127.0.0.1'): Socket {
  const socket = connect({ port: port ?? 0, host, allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  return socket;
}

/** Everything to the end of the other side; what is written meanwhile goes on. */
async function read(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

/** Sends the text and ends; resolves with the answer. */
async function ask(port: number | undefined, words: string, host?: string): Promise<string> {
  return (await read(dial(port, host).end(words))).toString();
}

/** Resolves with the code of the error that ends the connection. */
async function failureOf(socket: Socket): Promise<string | undefined> {
  socket.resume();
  return once(socket, 'close').then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code,
  );
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

describe('bytes', () => {
  test('go both ways, over several ports, for one machine by its name', async () => {
    const { id } = api.add('web');
    api.ports.listen(80, echo);
    api.ports.listen(81, { ...echo, onData: ({ send }, data) => void send(Buffer.from(`81 ${data}`)) });
    const { lines, ports } = await forward(['web', ':80', '0:81'], 2);
    expect(lines).toEqual([
      expect.stringMatching(/^Forwarding from 127\.0\.0\.1:\d+ -> 80$/),
      expect.stringMatching(/^Forwarding from 127\.0\.0\.1:\d+ -> 81$/),
    ]);
    expect(await ask(ports[0], 'hello')).toBe('hello');
    expect(await ask(ports[1], 'hello')).toBe('81 hello');
    expect(api.log).toContain(`connect ${id} 80`);
    await api.saw(/^closed 80 1000$/);
  });

  test('follow the end of the client’s side, and the machine’s may end first', async () => {
    api.add('web');
    let count = 0;
    api.ports.listen(80, {
      onData: (_, data) => {
        count += data.length;
      },
      onEnd: ({ send, end }) => void send(Buffer.from(`got ${count}`)).then(end),
    });
    const more = Promise.withResolvers<void>();
    api.ports.listen(81, {
      onOpen: ({ send, end }) => void send(Buffer.from('bye')).then(end),
      onData: () => more.resolve(),
    });
    const { ports } = await forward(['web', ':80', ':81'], 2);
    expect(await ask(ports[0], 'x'.repeat(1000))).toBe('got 1000');
    const socket = dial(ports[1]);
    expect((await read(socket)).toString()).toBe('bye');
    // The other direction is still open.
    socket.write('more');
    await more.promise;
    socket.end();
    await api.saw(/^message 81 \{"type":"end"\}$/);
    await api.saw(/^closed 81 1000$/);
  });

  test('of large transfers arrive whole in both directions at once', async () => {
    api.add('web');
    const [up, down] = [randomBytes(24_000_001), randomBytes(24_000_003)];
    const received: Buffer[] = [];
    let isLarger = false;
    const arrived = Promise.withResolvers<void>();
    api.ports.listen(80, {
      onOpen: async ({ send, end }) => {
        for (let at = 0; at < down.length; at += 65_536) await send(down.subarray(at, at + 65_536));
        end();
      },
      onData: (_, data) => {
        isLarger ||= data.length > 65_536;
        received.push(data);
      },
      onEnd: () => arrived.resolve(),
    });
    const { ports } = await forward(['web', ':80']);
    const socket = dial(ports[0]);
    socket.end(up);
    expect(sha256(await read(socket))).toBe(sha256(down));
    await arrived.promise;
    expect(sha256(Buffer.concat(received))).toBe(sha256(up));
    expect(isLarger).toBe(false);
  });

  test('wait for a slow machine and a slow client, and for nobody else', async () => {
    api.add('web');
    const all = 1024 * piece.length;
    const opened = Promise.withResolvers<FakeConnection>();
    let received = 0;
    api.ports.listen(80, {
      onOpen: (connection) => {
        connection.socket.pause();
        opened.resolve(connection);
      },
      onData: (_, data) => {
        received += data.length;
      },
      onEnd: ({ end }) => end(),
    });
    const sent = { stalled: 0, read: 0 };
    const source = (which: 'stalled' | 'read'): FakePort => ({
      onOpen: async ({ send, end }) => {
        while (sent[which] < all) {
          await send(piece);
          sent[which] += piece.length;
        }
        end();
      },
    });
    api.ports.listen(81, source('stalled'));
    api.ports.listen(82, source('read'));
    const { ports } = await forward(['web', ':80', ':81', ':82'], 3);
    const writer = dial(ports[0]);
    let accepted = 0;
    for (let written = 0; written < all; written += piece.length) {
      writer.write(piece, () => {
        accepted += piece.length;
      });
    }
    const { socket } = await opened.promise;
    const reader = dial(ports[1]).pause();
    for (let round = 0; round < 2; round++) {
      sent.read = 0;
      expect((await read(dial(ports[2]))).length).toBe(all);
    }
    // The buffers of the kernel, at most 10 MB for each of two connections, and what the command holds.
    expect(accepted).toBeLessThan(all / 2);
    expect(sent.stalled).toBeLessThan(all / 2);
    socket.resume();
    writer.end();
    await read(writer);
    expect(received).toBe(all);
    expect((await read(reader.resume())).length).toBe(all);
  });

  test('go over the daemon’s own socket with the operator’s key', async () => {
    const stateDir = mkdtempSync(join(tmpdir(), 'flotilla-forward-'));
    onTestFinished(() => rmSync(stateDir, { recursive: true }));
    await using own = await FakeApi.start('hf_operator');
    await own.listenIn(stateDir);
    writeFileSync(join(stateDir, 'admin.key'), 'hf_operator');
    writeFileSync(join(stateDir, 'daemon.url'), 'http://127.0.0.1:9');
    own.add('web');
    own.ports.listen(80, echo);
    const { ports } = await forward(['web', ':80'], 1, { FLOTILLA_URL: '', FLOTILLA_STATE_DIR: stateDir });
    expect(await ask(ports[0], 'hello')).toBe('hello');
  });
});

describe('addresses', () => {
  test('may be several, with one port', async () => {
    api.add('web');
    api.ports.listen(80, echo);
    const { lines, ports } = await forward(['web', ':80', '--address', '127.0.0.2,127.0.0.3'], 2);
    expect(lines.map((line) => line.replace(/\d+ ->/, 'N ->'))).toEqual([
      'Forwarding from 127.0.0.2:N -> 80',
      'Forwarding from 127.0.0.3:N -> 80',
    ]);
    expect(ports[0]).toBe(ports[1]);
    expect(await ask(ports[1], 'hello', '127.0.0.3')).toBe('hello');
  });

  test('may be localhost', async () => {
    api.add('web');
    api.ports.listen(80, echo);
    const { lines, ports } = await forward(['web', ':80', '--address', 'localhost']);
    expect(lines[0]).toMatch(/^Forwarding from 127\.0\.0\.1:/);
    expect(await ask(ports[0], 'hello', 'localhost')).toBe('hello');
  });
});

describe('a connection that fails', () => {
  test('is reset and reported, and the forward goes on', async () => {
    api.add('web');
    api.ports.listen(80, echo);
    const cli = await forward(['web', ':80', ':81', ':82'], 3);
    const [good, closed, gone] = cli.ports;
    api.ports.listen(82, new Refusal(502, 'VSOCK_ERROR', 'the guest cannot be reached'));
    expect(await failureOf(dial(closed))).toBe('ECONNRESET');
    await cli.stderrSays(/\nhint: /);
    expect(await failureOf(dial(gone))).toBe('ECONNRESET');
    await cli.stderrSays(/-> 82: /);
    expect(await ask(good, 'hello')).toBe('hello');
    cli.child.kill('SIGINT');
    const { stderr, code } = await cli.done;
    expect(code).toBe(0);
    expect(stderr).toContain(
      `error: ${closed} -> 81: nothing listens on port 81\nhint: Start a server first\n`,
    );
  });

  test('in the middle is no end of the bytes', async () => {
    api.add('web');
    api.ports.listen(80, {
      onOpen: ({ send, socket }) => void send(Buffer.from('ha')).then(() => socket.terminate()),
    });
    const cli = await forward(['web', ':80']);
    expect(await failureOf(dial(cli.ports[0]))).toBe('ECONNRESET');
    await cli.stderrSays(/^error: \d+ -> 80: the connection to the daemon broke\n/);
  });

  test('because the key may not do this names the key', async () => {
    await using own = await FakeApi.start('hf_good');
    own.add('web');
    const env = { FLOTILLA_URL: own.url, FLOTILLA_KEY: 'hf_good' };
    const cli = await forward(['web', ':80'], 1, env);
    own.ports.answer = (_, socket) => void socket.end(forbidden);
    expect(await failureOf(dial(cli.ports[0]))).toBe('ECONNRESET');
    await cli.stderrSays(/-> 80: not allowed\nhint: The key from FLOTILLA_KEY may not do this\n/);
  });

  test('here ends the one in the machine', async () => {
    api.add('web');
    api.ports.listen(80, {});
    const { ports } = await forward(['web', ':80']);
    const socket = dial(ports[0]);
    await api.saw(/^connect/);
    socket.resetAndDestroy();
    await api.saw(/^closed 80 1006$/);
  });
});

const answer = JSON.stringify({ error: { code: 'FORBIDDEN', message: 'not allowed' } });
const forbidden = `HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: ${answer.length}\r\n\r\n${answer}`;

test('128 connections are open at once; more wait for their turn', async () => {
  api.add('web');
  api.ports.listen(80, echo);
  const { ports } = await forward(['web', ':80']);
  const first = Array.from({ length: 128 }, () => dial(ports[0]));
  const answers = first.map((socket) => once(socket, 'data'));
  for (const socket of first) socket.write('a');
  await Promise.all(answers);
  const more = Array.from({ length: 5 }, (_, index) => ask(ports[0], `more ${index}`));
  const [one, ...others] = first as [Socket, ...Socket[]];
  one.write('b');
  await once(one, 'data');
  expect(api.ports.openCount).toBe(128);
  one.end();
  expect(await Promise.all(more)).toEqual(['more 0', 'more 1', 'more 2', 'more 3', 'more 4']);
  for (const socket of others) socket.end();
});

test.each([
  ['SIGINT', 0],
  ['SIGTERM', 143],
] as const)('%s closes the connections and exits %i', async (signal, code) => {
  api.add('web');
  api.ports.listen(80, echo);
  const cli = await forward(['web', ':80']);
  const socket = dial(cli.ports[0]);
  socket.write('a');
  await once(socket, 'data');
  const failure = failureOf(socket);
  cli.child.kill(signal);
  expect(await cli.done).toMatchObject({ code, stderr: '' });
  expect(await failure).toBe('ECONNRESET');
  await api.saw(/^closed 80 1006$/);
});

describe('nothing is forwarded', () => {
  const cli = (...args: string[]) => runCli(['port-forward', ...args], { env: { FLOTILLA_URL: api.url } });

  test('when a port is in use', async () => {
    api.add('web');
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const { code, stdout, stderr } = await cli('web', ':81', `${port}:80`);
    expect({ code, stdout: stdout.toString(), stderr }).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: Cannot listen on 127.0.0.1:${port}: the port is in use\nhint: Choose another port of this host, or :80 for a free one\n`,
    });
  });

  test('when the address is not of this host', async () => {
    api.add('web');
    const { code, stderr } = await cli('web', ':80', '--address', '192.0.2.1');
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('does not have the address'),
    });
  });

  test('for a machine that does not exist or does not run', async () => {
    api.add('over', 'stopped');
    api.add('still', 'paused');
    expect(await cli('nobody', '80')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('not found'),
    });
    expect(await cli('over', '80')).toMatchObject({
      code: 1,
      stderr: 'error: Machine over is stopped, not running\nhint: flotilla start over starts it\n',
    });
    expect((await cli('still', '80')).stderr).toContain('flotilla resume still');
  });

  test.each([
    ['a machine alone', ['web']],
    ['no number', ['web', 'http']],
    ['a machine’s port 0', ['web', '80:0']],
    ['a port beyond 65535', ['web', '65536']],
    ['three numbers', ['web', '1:2:3']],
    ['a port of this host twice', ['web', '8080:80', '8080:81']],
    ['an address that is a name', ['web', '80', '--address', 'example.com']],
  ])('for %s', async (_, args) => {
    const { code, stderr } = await cli(...args);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(/^error: .*\nhint: /) });
  });
});
