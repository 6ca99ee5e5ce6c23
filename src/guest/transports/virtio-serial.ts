import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { AddressOf } from './transport.ts';

/**
 * Connects to the unix socket behind a virtio port. QEMU serves one client at a time: a second one connects and is
 * never answered, so the caller must have closed the first.
 */
export function dialVirtioSerial(address: AddressOf<'virtio-serial'>, signal: AbortSignal): Promise<Duplex> {
  const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
  if (signal.aborted) return Promise.reject(signal.reason);
  const socket = connect({ path: address.path });
  const settle = (error: unknown) => {
    signal.removeEventListener('abort', onAbort);
    socket.removeListener('error', settle);
    socket.removeListener('connect', onConnect);
    if (error === null) resolve(socket);
    else {
      // A late error of a socket that nobody has must not be an uncaught one.
      socket.on('error', () => undefined);
      socket.destroy();
      reject(error);
    }
  };
  const onConnect = () => settle(null);
  const onAbort = () => settle(signal.reason);
  socket.once('error', settle);
  socket.once('connect', onConnect);
  signal.addEventListener('abort', onAbort, { once: true });
  return promise;
}
