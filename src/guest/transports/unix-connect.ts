/**
 * Connects to a guest behind a unix socket: directly or, with a `connectPort`, through the handshake of
 * Firecracker's vsock, where the host sends `CONNECT <port>\n` and receives `OK <number>\n` before the
 * guest's first byte.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { abortable } from '../../lib/abort.ts';
import { connectOwned } from '../../lib/owned-socket.ts';
import type { AddressOf } from './transport.ts';

/** `OK 4294967295\n` plus some reserve; the guest's bytes may follow at once. */
const answerBytesMax = 32;
const newline = 0x0a;

/** Rejects when nothing listens, when the VMM refuses the port, and with the signal's reason. */
export async function dialUnixConnect(address: AddressOf<'unix'>, signal: AbortSignal): Promise<Duplex> {
  const socket = await connectOwned(address.path, signal);
  try {
    if (address.connectPort !== null) await abortable(shakeHands(socket, address.connectPort), signal);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Bytes after the answer's line are put back. */
async function shakeHands(socket: Socket, port: number): Promise<void> {
  socket.write(`CONNECT ${port}\n`);
  let heard = Buffer.alloc(0);
  while (!heard.includes(newline)) {
    if (heard.length > answerBytesMax) break;
    const chunk = await nextChunk(socket);
    // A VMM without this port closes the connection silently.
    if (chunk === null) throw new Error(`the VMM refused port ${port}`);
    heard = Buffer.concat([heard, chunk]);
  }
  const end = heard.indexOf(newline);
  const isWhole = end >= 0 && end <= answerBytesMax;
  if (!isWhole || !/^OK \d+$/.test(heard.toString('latin1', 0, end)))
    throw new Error(`the VMM did not connect port ${port}`);
  const rest = heard.subarray(end + 1);
  if (rest.length > 0) socket.unshift(rest);
}

/** Null at the end. */
async function nextChunk(socket: Socket): Promise<Buffer | null> {
  for (;;) {
    const chunk: Buffer | null = socket.read();
    if (chunk !== null) return chunk;
    if (socket.readableEnded || socket.destroyed) return null;
    const { promise, resolve } = Promise.withResolvers<void>();
    const events = ['readable', 'end', 'close'] as const;
    for (const event of events) socket.once(event, resolve);
    await promise;
    for (const event of events) socket.removeListener(event, resolve);
  }
}
