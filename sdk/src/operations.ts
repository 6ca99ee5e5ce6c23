/** What is and was being done to machines, step by step, and why what failed did. */
import { call, type QueryOf } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { Operation, OperationList } from './types.ts';

export class Operations {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** One page, newest first; `total` says how many there are. */
  list(query: QueryOf<'listOperations'> = {}, options?: CallOptions): Promise<OperationList> {
    return call(this.#transport, 'listOperations', { query }, deadlinesMs.read, options);
  }

  get(id: string, options?: CallOptions): Promise<Operation> {
    return call(this.#transport, 'getOperation', { path: { id } }, deadlinesMs.read, options);
  }
}
