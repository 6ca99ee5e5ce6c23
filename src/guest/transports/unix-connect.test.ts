/** Tests against a real unix socket that behaves like Firecracker's vsock. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dialUnixConnect } from './unix-connect.ts';

let directory: string;
let path: string;
let server: Server;
const sockets = new Set<Socket>();
const never = new AbortController().signal;

async function listen(onConnection: (socket: Socket) => void): Promise<void> {
  server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
}

/** Answers the first line received. */
function answering(answer: (line: string) => string | null): (socket: Socket) => void {
  return (socket) => {
    let heard = '';
    socket.on('data', function onData(chunk: Buffer) {
      heard += chunk.toString();
      const end = heard.indexOf('\n');
      if (end < 0) return;
      socket.removeListener('data', onData);
      const said = answer(heard.slice(0, end));
      if (said === null) socket.end();
      else socket.write(said);
      const rest = heard.slice(end + 1);
      if (rest !== '') socket.unshift(Buffer.from(rest));
    });
  };
}

const dial = (connectPort: number | null, signal = never) =>
  dialUnixConnect({ transport: 'unix', path, connectPort }, signal);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flotilla-unix-'));
  path = join(directory, 'v.sock');
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  if (server?.listening) await new Promise((resolve) => server.close(resolve));
  await rm(directory, { recursive: true });
});

describe('a unix socket with a handshake', () => {
  test('connects to the requested port, and keeps bytes that arrive with the answer', async () => {
    const asked: string[] = [];
    await listen((socket) => {
      answering((line) => {
        asked.push(line);
        return 'OK 1073741824\nfirst ';
      })(socket);
      socket.on('end', () => socket.end('last'));
    });
    const carrier = await dial(5000);
    carrier.end();
    expect(await text(carrier)).toBe('first last');
    expect(asked).toEqual(['CONNECT 5000']);
  });

  test('accepts an answer that arrives byte by byte', async () => {
    await listen((socket) => {
      socket.once('data', async () => {
        for (const byte of 'OK 7\nx') {
          socket.write(byte);
          await new Promise((resolve) => setImmediate(resolve));
        }
        socket.end();
      });
    });
    const carrier = await dial(1);
    expect(await text(carrier)).toBe('x');
    carrier.destroy();
  });

  test.each([
    ['a VMM that closes', null],
    ['another answer', 'FAILURE\n'],
    ['an answer without an end', 'OK 1'.padEnd(4096, '1')],
    ['a line that is too long', `OK ${'1'.repeat(64)}\n`],
  ])('is refused: %s', async (_, answer) => {
    await listen(answering(() => answer));
    await expect(dial(9)).rejects.toThrow('port 9');
  });

  test('ends with the signal, and leaves no connection', async () => {
    const accepted = Promise.withResolvers<Socket>();
    await listen((socket) => accepted.resolve(socket));
    const reason = new Error('enough');
    const leaving = new AbortController();
    const dialling = dial(9, leaving.signal);
    const socket = await accepted.promise;
    const closed = new Promise((resolve) => socket.once('close', resolve));
    leaving.abort(reason);
    await expect(dialling).rejects.toBe(reason);
    socket.resume();
    await closed;
  });
});

test('a unix socket without a handshake carries the first byte', async () => {
  await listen((socket) => socket.end('hello'));
  const carrier = await dial(null);
  expect(await text(carrier)).toBe('hello');
});

test('a unix socket that nobody listens on is refused', async () => {
  await expect(dial(1)).rejects.toMatchObject({ code: 'ENOENT' });
});
