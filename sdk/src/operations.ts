/**
 * Operations: current and past changes to machines and images, step by step, with the reason of each failure.
 */
import { call, type QueryOf } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { Operation, OperationList } from './types.ts';

export class Operations {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Returns one page, newest first; `total` is the number of all operations. */
  list(query: QueryOf<'listOperations'> = {}, options?: CallOptions): Promise<OperationList> {
    return call(this.#transport, 'listOperations', { query }, deadlinesMs.read, options);
  }

  get(id: string, options?: CallOptions): Promise<Operation> {
    return call(this.#transport, 'getOperation', { path: { id } }, deadlinesMs.read, options);
  }
}
