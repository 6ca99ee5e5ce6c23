import type { Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { isAppError } from '../../core/errors.ts';
import { type FakeQmp, qmpGreeting, serveFakeQmp, speakQmp } from '../testing/fake-qmp.ts';
import { QmpClient } from './qmp.ts';

let server: FakeQmp | null = null;
let client: QmpClient | null = null;

async function serve(onConnection: (socket: Socket) => void): Promise<string> {
  server = await serveFakeQmp(onConnection);
  return server.path;
}

afterEach(async () => {
  client?.close();
  await server?.close();
  client = null;
  server = null;
});

it('matches answers to commands by id, in any order', async () => {
  const waiting: string[] = [];
  const path = await serve((socket) =>
    speakQmp(socket, ({ execute, id }) => {
      waiting.unshift(`{"return":"${execute}","id":${id}}\n`);
      return waiting.length === 3 ? waiting.join('') : null;
    }),
  );
  client = await QmpClient.connect(path, { timeoutMs: 5000 });
  expect(await client.version).toBe('7.2.22');
  const commands = ['a', 'b', 'c'].map((command) => client?.execute(command, {}, 5000));
  expect(await Promise.all(commands)).toEqual(['a', 'b', 'c']);
});

it('throws QEMU’s error', async () => {
  const path = await serve((socket) =>
    speakQmp(socket, ({ id }) => `{"error":{"class":"CommandNotFound","desc":"no such thing"},"id":${id}}\n`),
  );
  client = await QmpClient.connect(path, { timeoutMs: 5000 });
  await expect(client.execute('x', {}, 5000)).rejects.toMatchObject({
    code: 'engine',
    message: 'QMP x: no such thing',
  });
});

it('delivers events, including those that arrive with the answer to the negotiation', async () => {
  const path = await serve((socket) => {
    socket.write(qmpGreeting);
    socket.once('data', () => {
      socket.write(
        '{"return":{},"id":1}\n{"event":"SHUTDOWN","data":{"guest":true,"reason":"guest-reset"}}\n',
      );
    });
  });
  const { promise, resolve } = Promise.withResolvers<unknown>();
  client = await QmpClient.connect(path, { timeoutMs: 5000, onEvent: (name, data) => resolve([name, data]) });
  expect(await promise).toEqual(['SHUTDOWN', { guest: true, reason: 'guest-reset' }]);
});

it('gives up on a server that never greets, as a busy QEMU does', async () => {
  const path = await serve(() => undefined);
  await expect(QmpClient.connect(path, { timeoutMs: 20 })).rejects.toMatchObject({ code: 'timeout' });
});

it('gives up on a command that is never answered, and continues with the next', async () => {
  const path = await serve((socket) =>
    speakQmp(socket, ({ execute, id }) => (execute === 'deaf' ? null : `{"return":1,"id":${id}}\n`)),
  );
  client = await QmpClient.connect(path, { timeoutMs: 5000 });
  await expect(client.execute('deaf', {}, 20)).rejects.toMatchObject({ code: 'timeout' });
  expect(await client.execute('next', {}, 5000)).toBe(1);
});

it('fails open commands when the connection ends, and notifies once', async () => {
  const path = await serve((socket) =>
    speakQmp(socket, () => {
      socket.destroy();
      return null;
    }),
  );
  let closes = 0;
  client = await QmpClient.connect(path, { timeoutMs: 5000, onClose: () => closes++ });
  await expect(client.execute('x', {}, 5000)).rejects.toMatchObject({ code: 'engine' });
  expect(client.isClosed).toBe(true);
  client.close();
  expect(closes).toBe(1);
  await expect(client.execute('y', {}, 5000)).rejects.toMatchObject({ code: 'engine' });
});

it('limits the number of waiting commands', async () => {
  const path = await serve((socket) => speakQmp(socket, () => null));
  client = await QmpClient.connect(path, { timeoutMs: 5000 });
  const all = Array.from({ length: 65 }, () =>
    client?.execute('x', {}, 5000).catch((error: unknown) => error),
  );
  expect(await all[64]).toMatchObject({ code: 'timeout', message: 'QMP x: too many commands unanswered' });
  client.close();
  for (const error of await Promise.all(all)) expect(isAppError(error)).toBe(true);
});

it('names the path of a missing socket', async () => {
  const connecting = QmpClient.connect('/nonexistent/qmp.sock', { timeoutMs: 5000 });
  await expect(connecting).rejects.toMatchObject({ code: 'engine', cause: { code: 'ENOENT' } });
});

it('survives any bytes, whole or split: it connects or throws, and leaves nothing open', async () => {
  const piece = fc.oneof(
    fc.constant(Buffer.from(qmpGreeting)),
    fc.constant(Buffer.from('{"return":{},"id":1}\n')),
    fc.constant(Buffer.from('{"event":"STOP"}\n')),
    fc.json().map((text) => Buffer.from(`${text}\n`)),
    fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async (pieces) => {
      const fuzz = await serveFakeQmp((socket) => {
        for (const bytes of pieces) for (const byte of bytes) socket.write(Buffer.of(byte));
        socket.end();
      });
      try {
        const made = await QmpClient.connect(fuzz.path, { timeoutMs: 500 });
        made.close();
        expect(made.isClosed).toBe(true);
      } catch (error) {
        expect(isAppError(error)).toBe(true);
      } finally {
        await fuzz.close();
      }
    }),
    { numRuns: 60 },
  );
});
