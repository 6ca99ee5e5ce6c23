/**
 * Programs that listen in all fake guests, by port; each gets the other end of its connections, and a function that breaks
 * one with an error.
 */
import { type Duplex, duplexPair } from 'node:stream';
import { AppError } from '../errors.ts';
import type { GuestTarget } from '../ports/guest.ts';
import type { GuestConnections } from '../ports/guest-connections.ts';

export class FakeGuestConnections implements GuestConnections {
  readonly programs = new Map<number, (connection: Duplex, fail: (error?: Error) => void) => void>();

  async connect(_: GuestTarget, port: number, signal: AbortSignal): Promise<Duplex> {
    signal.throwIfAborted();
    const program = this.programs.get(port);
    if (program === undefined) throw new AppError('conflict', `nothing listens on port ${port}`);
    const [ours, theirs] = duplexPair({ allowHalfOpen: true });
    const onAbort = () => ours.destroy(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    ours.once('close', () => {
      signal.removeEventListener('abort', onAbort);
      theirs.destroy();
    });
    program(theirs, (error) => ours.destroy(error));
    return ours;
  }
}
