/** Lists a tenant's operations: the running ones, and how the others ended. */
import { AppError } from '../errors.ts';
import { lookUpMachine } from '../machines/lookup.ts';
import type { OperationPage, Repositories } from '../ports/store.ts';
import type { Operation, OperationState, Subject } from './operation.ts';

export interface OperationQuery {
  /** The id of a machine, which may have been deleted, or the name of an existing one. */
  readonly machine?: string | undefined;
  readonly states?: readonly OperationState[] | undefined;
  readonly limit: number;
  readonly offset: number;
}

export class OperationService {
  readonly #store: Repositories;

  constructor(store: Repositories) {
    this.#store = store;
  }

  /** Newest first, with the number of all matches; empty when the tenant never had such a machine. */
  async list(tenant: string, query: OperationQuery): Promise<OperationPage> {
    const { machine, states, limit, offset } = query;
    return this.#store.operations.list({
      tenant,
      limit,
      offset,
      ...(machine === undefined ? {} : { subject: await this.#machine(tenant, machine) }),
      ...(states === undefined ? {} : { states }),
    });
  }

  /** Raises `not_found`, also for another tenant's operation. */
  async get(tenant: string, id: string): Promise<Operation> {
    const operation = await this.#store.operations.get(id);
    if (operation?.tenant === tenant) return operation;
    throw new AppError('not_found', `Operation with id '${id}' not found`, {
      details: { operation: id },
      hint: 'flotilla operations ls shows the operations that are kept.',
    });
  }

  /** A text that names no existing machine is treated as the id of a deleted one. */
  async #machine(tenant: string, idOrName: string): Promise<Subject> {
    return { kind: 'machine', id: (await lookUpMachine(this.#store, tenant, idOrName))?.id ?? idOrName };
  }
}
