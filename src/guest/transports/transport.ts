import type { Duplex } from 'node:stream';
import type { GuestAddress } from '../../core/ports/engine.ts';

export type TransportName = GuestAddress['transport'];
export type AddressOf<Name extends TransportName> = Extract<GuestAddress, { transport: Name }>;

/**
 * Connects to where a guest's link is carried. Rejects when nothing listens there (yet), and with the signal's reason
 * when it aborts. The bytes are raw: the preamble and what follows are the caller's.
 */
export type Dial<Name extends TransportName = TransportName> = (
  address: AddressOf<Name>,
  signal: AbortSignal,
) => Promise<Duplex>;

/** The transports this daemon has; an address of another kind is refused as `invalid`. */
export type Transports = { readonly [Name in TransportName]?: Dial<Name> };
