/** Hostile clients, and an operator who calls at the same time. Loopback only, always bounded. */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

/** More than any attack here needs. */
const socketsMax = 2_000;

export class HostileClients implements Disposable {
  readonly #port: number;
  readonly #sockets: Socket[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  #received = 0;

  constructor(url: string) {
    this.#port = Number(new URL(url).port);
  }

  /**
   * Opens sockets that never close their side and writes `text` on each. Resolves when all are connected or
   * refused.
   */
  async open(
    count: number,
    text: string | Buffer | null,
    { isReading = true } = {},
  ): Promise<readonly Socket[]> {
    if (this.#sockets.length + count > socketsMax) throw new Error(`more than ${socketsMax} sockets`);
    const opened = Array.from({ length: count }, () => {
      const socket = connect({ port: this.#port, host: '127.0.0.1', allowHalfOpen: true });
      socket.on('error', () => undefined);
      if (isReading) {
        socket.on('data', (chunk) => {
          this.#received += chunk.length;
        });
      }
      if (text !== null) socket.write(text);
      return socket;
    });
    this.#sockets.push(...opened);
    await Promise.all(opened.map(settled));
    return opened;
  }

  /** Writes `text` on each socket every `everyMs`, as long as it is open. */
  drip(sockets: readonly Socket[], text: string, everyMs: number): void {
    const timer = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write(text);
    }, everyMs);
    this.#timers.push(timer);
  }

  /** Bytes received by the clients that read. */
  get received(): number {
    return this.#received;
  }

  /** Number of sockets that the daemon has not closed. */
  get living(): number {
    return this.#sockets.filter((socket) => !socket.destroyed && !socket.readableEnded).length;
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const socket of this.#sockets) socket.destroy();
  }
}

function settled(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket
    .once('connect', resolve)
    .once('error', () => resolve())
    .once('close', () => resolve());
  return promise;
}

/** Resident memory of a process, in MiB. */
export function residentMib(pid: number): number {
  const [, kib = 'NaN'] = /^VmRSS:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) / 1024;
}
