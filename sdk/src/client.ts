/**
 * The client of a Flotilla daemon, for Node and browsers. Every call has a deadline. Only reads are retried
 * automatically. Every failure is a FlotillaError, except the caller's own abort.
 */
import { call } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import { Images } from './images.ts';
import { Keys } from './keys.ts';
import { Machines } from './machines.ts';
import { Operations } from './operations.ts';
import { type CallOptions, Transport, type TransportOptions } from './transport.ts';
import type { Health } from './types.ts';

export class FlotillaClient {
  readonly images: Images;
  readonly keys: Keys;
  readonly machines: Machines;
  readonly operations: Operations;
  readonly #transport: Transport;

  /** Sends no request. Throws FlotillaError `INVALID_ARGUMENT` for an address that is not http or https. */
  constructor(options: TransportOptions) {
    this.#transport = new Transport(options);
    this.images = new Images(this.#transport);
    this.keys = new Keys(this.#transport);
    this.machines = new Machines(this.#transport);
    this.operations = new Operations(this.#transport);
  }

  /** Needs no key. */
  health(options?: CallOptions): Promise<Health> {
    return call(this.#transport, 'getHealth', {}, deadlinesMs.read, options);
  }
}
