/** Keys of the API. Every call needs a key that may do everything. */
import { call, type QueryOf } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { CreatedKey, CreateKey, Key, KeyList } from './types.ts';

export class Keys {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The answer's `key` is the secret, which is never shown again. */
  create(key: CreateKey, options?: CallOptions): Promise<CreatedKey> {
    return call(this.#transport, 'createKey', { body: key }, deadlinesMs.write, options);
  }

  /** One page, newest first; `total` says how many there are. */
  list(query: QueryOf<'listKeys'> = {}, options?: CallOptions): Promise<KeyList> {
    return call(this.#transport, 'listKeys', { query }, deadlinesMs.read, options);
  }

  get(id: string, options?: CallOptions): Promise<Key> {
    return call(this.#transport, 'getKey', { path: { id } }, deadlinesMs.read, options);
  }

  /** The key is good for nothing from then on. */
  revoke(id: string, options?: CallOptions): Promise<void> {
    return call(this.#transport, 'revokeKey', { path: { id } }, deadlinesMs.write, options);
  }
}
