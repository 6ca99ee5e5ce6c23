/** Environments: groups of machines that are created, stopped, started and deleted together. */
import { call, type QueryOf } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { CreateEnvironment, EnvironmentDetail, EnvironmentList, ExtendEnvironment } from './types.ts';

export class Environments {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Resolves when each machine runs or has failed; `warnings` names those that failed. */
  create(environment: CreateEnvironment, options?: CallOptions): Promise<EnvironmentDetail> {
    return call(this.#transport, 'createEnvironment', { body: environment }, deadlinesMs.start, options);
  }

  /** Returns one page, newest first. */
  list(query: QueryOf<'listEnvironments'> = {}, options?: CallOptions): Promise<EnvironmentList> {
    return call(this.#transport, 'listEnvironments', { query }, deadlinesMs.read, options);
  }

  get(id: string, options?: CallOptions): Promise<EnvironmentDetail> {
    return call(this.#transport, 'getEnvironment', { path: { id } }, deadlinesMs.read, options);
  }

  /** Sets the lifetime, counted from now. */
  extend(id: string, lifetime: ExtendEnvironment, options?: CallOptions): Promise<EnvironmentDetail> {
    return call(
      this.#transport,
      'extendEnvironment',
      { path: { id }, body: lifetime },
      deadlinesMs.write,
      options,
    );
  }

  /** Pauses its machines; its lifetime stands still. */
  stop(id: string, options?: CallOptions): Promise<EnvironmentDetail> {
    return call(this.#transport, 'stopEnvironment', { path: { id } }, deadlinesMs.start, options);
  }

  /** Resumes or starts its machines. */
  start(id: string, options?: CallOptions): Promise<EnvironmentDetail> {
    return call(this.#transport, 'startEnvironment', { path: { id } }, deadlinesMs.start, options);
  }

  /** Deletes it with its machines. */
  delete(id: string, options?: CallOptions): Promise<void> {
    return call(this.#transport, 'deleteEnvironment', { path: { id } }, deadlinesMs.start, options);
  }
}
