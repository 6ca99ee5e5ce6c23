/**
 * Opens the resolver's sockets on the gateway's addresses. A socket stays in the network namespace in which it was
 * opened, so a short-lived child that is started there opens them for the daemon.
 */
import { fork } from 'node:child_process';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { bindTcp, bindUdp } from './binding.ts';

export interface ResolverSockets {
  readonly udp: readonly Socket[];
  readonly tcp: readonly Server[];
}

export interface OpenerRequest {
  readonly addresses: readonly string[];
  readonly port: number;
}

/** From the child; the first two come with a handle. */
export type OpenerMessage =
  | { readonly kind: 'udp' | 'tcp' | 'done' }
  | { readonly kind: 'failed'; readonly message: string };

const openMs = 20_000;

interface Opened {
  readonly udp: Socket[];
  readonly tcp: Server[];
}

/** Raises `unavailable` when an address or its port cannot be used. */
export async function openSockets(
  netns: string | null,
  request: OpenerRequest,
  signal: AbortSignal,
): Promise<ResolverSockets> {
  const opened: Opened = { udp: [], tcp: [] };
  try {
    await (netns === null ? openHere(request, opened) : openThere(netns, request, opened, signal));
    return opened;
  } catch (error) {
    closeSockets(opened);
    signal.throwIfAborted();
    const { addresses, port } = request;
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError(
      'unavailable',
      `the resolver cannot listen on port ${port} of ${addresses.join(', ')}: ${reason}`,
      { cause: error, hint: `This shows which program listens there: ss -lnup 'sport = :${port}'` },
    );
  }
}

async function openHere({ addresses, port }: OpenerRequest, opened: Opened): Promise<void> {
  for (const address of addresses) {
    opened.udp.push(await bindUdp(address, port));
    opened.tcp.push(await bindTcp(address, port));
  }
}

async function openThere(
  netns: string,
  request: OpenerRequest,
  opened: Opened,
  signal: AbortSignal,
): Promise<void> {
  const child = fork(join(import.meta.dirname, 'socket-opener.ts'), [], {
    execPath: 'nsenter',
    execArgv: [`--net=${netns}`, '--', process.execPath],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const exited = once(child, 'close').catch(() => undefined);
  const done = Promise.withResolvers<void>();
  child.on('error', done.reject);
  child.on('exit', (code) => done.reject(new Error(`the program that opens sockets exited with ${code}`)));
  child.on('message', (message: OpenerMessage, handle) => {
    if (message.kind === 'udp') opened.udp.push(handle as Socket);
    else if (message.kind === 'tcp') opened.tcp.push(handle as Server);
    else if (message.kind === 'done') done.resolve();
    else if (message.kind === 'failed') done.reject(new Error(message.message));
  });
  const limit = AbortSignal.any([signal, AbortSignal.timeout(openMs)]);
  const onAbort = () => done.reject(limit.reason);
  limit.addEventListener('abort', onAbort, { once: true });
  try {
    if (limit.aborted) onAbort();
    else child.send(request);
    await done.promise;
  } finally {
    limit.removeEventListener('abort', onAbort);
    child.kill('SIGKILL');
    await exited;
  }
}

export function closeSockets({ udp, tcp }: ResolverSockets): void {
  for (const socket of udp) socket.close();
  for (const server of tcp) server.close();
}
