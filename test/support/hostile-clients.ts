/** Clients that mean harm, and the operator who calls beside them. Loopback only, and never without a bound. */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

/** More sockets than any attack here needs. */
const socketsMax = 2_000;

export class HostileClients implements Disposable {
  readonly #port: number;
  readonly #sockets: Socket[] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  #received = 0;

  constructor(url: string) {
    this.#port = Number(new URL(url).port);
  }

  /** Opens sockets that never close their side, and writes `text` on each; resolves when all are connected or refused. */
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

  /** Writes `text` on each of the sockets every `everyMs`, as long as they live. */
  drip(sockets: readonly Socket[], text: string, everyMs: number): void {
    const timer = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write(text);
    }, everyMs);
    this.#timers.push(timer);
  }

  /** Bytes that the daemon has sent to those who read. */
  get received(): number {
    return this.#received;
  }

  /** How many sockets the daemon has not ended. */
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
