/** API keys. All calls need a key with the scope for everything. */
import { call, type QueryOf } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { CreatedKey, CreateKey, Key, KeyList } from './types.ts';

export class Keys {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The answer's `key` is the secret, which is shown only once. */
  create(key: CreateKey, options?: CallOptions): Promise<CreatedKey> {
    return call(this.#transport, 'createKey', { body: key }, deadlinesMs.write, options);
  }

  /** Returns one page, newest first; `total` is the number of all keys. */
  list(query: QueryOf<'listKeys'> = {}, options?: CallOptions): Promise<KeyList> {
    return call(this.#transport, 'listKeys', { query }, deadlinesMs.read, options);
  }

  get(id: string, options?: CallOptions): Promise<Key> {
    return call(this.#transport, 'getKey', { path: { id } }, deadlinesMs.read, options);
  }

  /** From then on, the key is refused. */
  revoke(id: string, options?: CallOptions): Promise<void> {
    return call(this.#transport, 'revokeKey', { path: { id } }, deadlinesMs.write, options);
  }
}
