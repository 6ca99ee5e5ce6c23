/** The transport of the guest link under QEMU. */
import type { Duplex } from 'node:stream';
import { connectOwned } from '../../lib/owned-socket.ts';
import type { AddressOf } from './transport.ts';

/**
 * Connects to the unix socket behind a virtio port. QEMU serves one client at a time: a second one is
 * accepted by the kernel but never answered, so the caller must have closed the first.
 */
export function dialVirtioSerial(address: AddressOf<'virtio-serial'>, signal: AbortSignal): Promise<Duplex> {
  return connectOwned(address.path, signal);
}
