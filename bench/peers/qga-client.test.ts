import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exitCodeOf, parseQgaAnswer, QgaClient } from './qga-client.ts';

const { signal } = new AbortController();

interface Asked {
  readonly execute: string;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/**
 * Serves a fake agent that answers with `answer` (undefined: no answer). Resolves with the requests it got.
 */
async function withAgent(
  name: string,
  answer: (asked: Asked) => unknown,
  work: (path: string) => Promise<void>,
): Promise<readonly Asked[]> {
  const asked: Asked[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('data', (data) => {
      const one = JSON.parse(data.toString()) as Asked;
      asked.push(one);
      const isDelimited = one.execute === 'guest-sync-delimited';
      if (isDelimited) socket.write('{"cut off');
      const value = isDelimited ? one.arguments.id : answer(one);
      if (value === undefined) return;
      const mark = isDelimited ? Buffer.from([0xff]) : Buffer.alloc(0);
      socket.write(Buffer.concat([mark, Buffer.from(`${JSON.stringify({ return: value })}\n`)]));
    });
  });
  const path = join(tmpdir(), `${name}.sock`);
  server.listen(path);
  await once(server, 'listening');
  try {
    await work(path);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  }
  return asked;
}

describe('an answer', () => {
  it('is what the agent returns after the delimiter; a cut-off line before it is dropped', () => {
    expect(parseQgaAnswer('{"return": {"pid": 7}}')).toEqual({ pid: 7 });
    expect(parseQgaAnswer('{"ret\u00ff{"return": 5}')).toBe(5);
  });

  it('throws the agent’s error', () => {
    const line = '{"error": {"class": "CommandNotFound", "desc": "disabled"}}';
    expect(() => parseQgaAnswer(line)).toThrow(/CommandNotFound/);
    expect(() => parseQgaAnswer('nonsense')).toThrow(/not JSON/);
  });

  it('says whether a command has ended, and how', () => {
    expect(exitCodeOf({ exited: false })).toBeNull();
    expect(exitCodeOf({ exited: true, exitcode: 3 })).toBe(3);
    expect(() => exitCodeOf({ exited: true, signal: 9 })).toThrow(/signal/);
  });
});

it('starts a command and polls until it has ended', async () => {
  let isFirst = true;
  const asked = await withAgent(
    'ends',
    ({ execute }) => {
      if (execute === 'guest-exec') return { pid: 42 };
      if (!isFirst) return { exited: true, exitcode: 0 };
      isFirst = false;
      return { exited: false };
    },
    async (path) => {
      using client = await QgaClient.open(path, signal);
      await client.run('/bin/true', signal);
    },
  );
  expect(asked.slice(1)).toEqual([
    { execute: 'guest-exec', arguments: { path: '/bin/true', 'capture-output': true } },
    { execute: 'guest-exec-status', arguments: { pid: 42 } },
    { execute: 'guest-exec-status', arguments: { pid: 42 } },
  ]);
});

it('throws when a command fails', async () => {
  await withAgent(
    'fails',
    ({ execute }) => (execute === 'guest-exec' ? { pid: 42 } : { exited: true, exitcode: 1 }),
    async (path) => {
      using client = await QgaClient.open(path, signal);
      await expect(client.run('/bin/false', signal)).rejects.toThrow('/bin/false exited with 1');
    },
  );
});

it('is unusable after an answer that came too late', async () => {
  await withAgent(
    'late',
    () => undefined,
    async (path) => {
      using client = await QgaClient.open(path, signal);
      const controller = new AbortController();
      const reason = new Error('stop');
      const waiting = client.execute('guest-ping', {}, controller.signal);
      controller.abort(reason);
      await expect(waiting).rejects.toBe(reason);
      await expect(client.execute('guest-ping', {}, signal)).rejects.toThrow('is closed');
    },
  );
});
