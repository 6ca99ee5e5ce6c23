/** A scripted QMP server on a unix socket. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const qmpGreeting = `{"QMP":{"version":{"qemu":{"micro":22,"minor":2,"major":7}},"capabilities":[]}}\n`;

export interface QmpRequest {
  readonly execute: string;
  readonly id: number;
}

export interface FakeQmp {
  readonly path: string;
  close(): Promise<void>;
}

/** Calls `onConnection` with each client before anything is sent. Listens at a new path, or at `at`. */
export async function serveFakeQmp(onConnection: (socket: Socket) => void, at?: string): Promise<FakeQmp> {
  const directory = await mkdtemp(join(tmpdir(), 'flotilla-qmp-'));
  const path = at ?? join(directory, 'qmp.sock');
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(path, resolve);
  await promise;
  return {
    path,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      await closed.promise;
      await rm(directory, { recursive: true });
    },
  };
}

/**
 * Greets, grants capabilities, and answers each later command with the result of `answer`, sent unchanged.
 */
export function speakQmp(socket: Socket, answer: (request: QmpRequest) => string | null): void {
  let rest = '';
  socket.write(qmpGreeting);
  socket.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const request = JSON.parse(line) as QmpRequest;
      const isNegotiation = request.execute === 'qmp_capabilities';
      const text = isNegotiation ? `{"return":{},"id":${request.id}}\n` : answer(request);
      if (text !== null) socket.write(text);
    }
  });
}
