/** What a tenant may know of its operations: those under way, and how the others ended. */
import { AppError } from '../errors.ts';
import type { OperationPage, Repositories } from '../ports/store.ts';
import type { Operation, OperationState, Subject } from './operation.ts';

export interface OperationQuery {
  /** The id of a machine, which may be gone, or the name of one that is there. */
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

  /** Newest first, and how many match in all; none when the tenant never had such a machine. */
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

  /** Raises `not_found`, also for another tenant's. */
  async get(tenant: string, id: string): Promise<Operation> {
    const operation = await this.#store.operations.get(id);
    if (operation?.tenant === tenant) return operation;
    throw new AppError('not_found', `Operation with id '${id}' not found`, { details: { operation: id } });
  }

  /** What names no machine that is there is the id of one that was. */
  async #machine(tenant: string, idOrName: string): Promise<Subject> {
    return { kind: 'machine', id: (await this.#store.machines.find(tenant, idOrName))?.id ?? idOrName };
  }
}
