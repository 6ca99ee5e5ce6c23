/** What a transport of the guest link is: a function that connects to a guest's address. */
import type { Duplex } from 'node:stream';
import type { GuestAddress } from '../../core/ports/engine.ts';

export type TransportName = GuestAddress['transport'];
export type AddressOf<Name extends TransportName> = Extract<GuestAddress, { transport: Name }>;

/**
 * Connects to the carrier of a guest's link. Rejects when nothing listens there (yet), and with the signal's
 * reason when it aborts. The bytes are raw: the caller sends the preamble.
 */
export type Dial<Name extends TransportName = TransportName> = (
  address: AddressOf<Name>,
  signal: AbortSignal,
) => Promise<Duplex>;

/** The available transports; other kinds of addresses are refused as `invalid`. */
export type Transports = { readonly [Name in TransportName]?: Dial<Name> };
