/** The port through which the host reaches programs that listen in a guest, over the guest link: no network is needed. */
import type { Duplex } from 'node:stream';
import type { GuestTarget } from './guest.ts';

export interface GuestConnections {
  /**
   * Connects to a TCP port of the guest's own address. The stream is half-open: each side ends its direction by itself. An
   * error destroys it: `conflict` when the program has broken the connection, `guest` when the link was lost. Raises
   * `conflict` (nothing listens there), `unsupported` (the agent is older), and the errors of `GuestLink`. Destroying the
   * stream, or aborting `signal`, ends the connection.
   */
  connect(target: GuestTarget, port: number, signal: AbortSignal): Promise<Duplex>;
}
