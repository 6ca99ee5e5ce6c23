/**
 * The use cases of environments, for tenants on this host. Each reads and decides in the transaction that records
 * the intent. Creating one records the environment and all its machines in one transaction, so that a crash leaves
 * all of them or none.
 */
import { shortId } from '../../lib/ids.ts';
import { timeAfter } from '../../lib/times.ts';
import { AppError } from '../errors.ts';
import { type Capacity, findShortage } from '../machines/capacity.ts';
import { type Asker, anyone, type MachineCreation, type MachinePlan } from '../machines/creation.ts';
import { resumeLifetime } from '../machines/lifetime.ts';
import type { Machine } from '../machines/machine.ts';
import type { CreateRequest } from '../machines/spec.ts';
import type { Edges } from '../machines/steps/context.ts';
import type { Supervisor } from '../machines/supervisor.ts';
import type { Operation, Owner } from '../operations/operation.ts';
import type { OperationRunner } from '../operations/runner.ts';
import type { EnvironmentKey, EnvironmentPage, Repositories, Store } from '../ports/store.ts';
import {
  checkEnvironmentId,
  type Environment,
  type EnvironmentPatch,
  environmentSubject,
} from './environment.ts';
import { type End, planExtension, planLifetime } from './lifetime.ts';
import type { EnvironmentOperationKind, environmentDefinitions } from './operations.ts';

export interface EnvironmentServiceDeps {
  readonly store: Store;
  readonly edges: Edges;
  readonly runner: OperationRunner;
  readonly owner: Owner;
  readonly supervisor: Pick<Supervisor, 'takeUp'>;
  readonly creation: MachineCreation;
  readonly capacity: Capacity;
  readonly definitions: ReturnType<typeof environmentDefinitions>;
  /** The longest lifetime. */
  readonly lifetimeSecondsMax: number;
}

export interface CreateEnvironmentRequest {
  readonly id: string;
  readonly owner: string;
  /** From now to its deletion; absent or 0: the default. */
  readonly lifetimeSeconds?: number | undefined;
  readonly machines: readonly Omit<CreateRequest, 'lifetimeSeconds'>[];
  /** Kept among the environment's warnings. */
  readonly notes?: readonly string[];
}

export interface CreateOptions {
  /** After this, the answer is the environment as it is by then, with a warning; creating goes on. */
  readonly patienceMs?: number;
  /** Default: no tier. */
  readonly asker?: Asker;
}

export interface EnvironmentDetail {
  readonly environment: Environment;
  readonly machines: readonly Machine[];
}

export interface EnvironmentQuery {
  readonly owner?: string | undefined;
  readonly limit: number;
  readonly offset: number;
}

/** As many as fit into one transaction and one answer. */
export const environmentMachinesMax = 100;
export const ownerCharactersMax = 256;
/** How often a delete waits for an operation that it has cancelled; another one may begin each time. */
const cancelsMax = 5;

export class EnvironmentService {
  readonly #deps: EnvironmentServiceDeps;

  constructor(deps: EnvironmentServiceDeps) {
    this.#deps = deps;
  }

  /**
   * Creates the environment and starts its machines. Resolves when at least one machine runs and the others have
   * failed, which the environment's warnings then say. Raises what creating a machine raises, before anything is
   * made; `conflict` when the environment exists; `exhausted` when the host has too little memory; `engine` with
   * `details.isTotal` when no machine could be created, and then nothing is left of it.
   */
  async create(
    tenant: string,
    request: CreateEnvironmentRequest,
    options: CreateOptions = {},
  ): Promise<EnvironmentDetail> {
    const { creation, edges, lifetimeSecondsMax, definitions, runner } = this.#deps;
    checkRequest(request);
    const lifetime = planLifetime(request.lifetimeSeconds, lifetimeSecondsMax);
    const plans = await Promise.all(request.machines.map((machine) => creation.plan(tenant, machine)));
    const notes = [...(request.notes ?? []), ...lifetime.warnings];
    const begun = await runner.begin((tx) => {
      const expiresAt = timeAfter(edges.clock.now(), lifetime.seconds * 1000);
      return this.#record(tx, { tenant, request, plans, notes, expiresAt, asker: options.asker ?? anyone });
    });
    const running = runner.run(begun.operation, definitions['environment.create']);
    const isDone = await this.#wait(running, begun.operation, options.patienceMs);
    const detail = await this.get(tenant, request.id);
    return isDone ? detail : withWarning(detail, pendingWarning(detail));
  }

  async list(tenant: string, query: EnvironmentQuery): Promise<EnvironmentPage> {
    const { owner, limit, offset } = query;
    return this.#deps.store.environments.list({
      tenant,
      limit,
      offset,
      ...(owner === undefined ? {} : { owner }),
    });
  }

  /** Raises `not_found`. */
  async get(tenant: string, id: string): Promise<EnvironmentDetail> {
    const { store } = this.#deps;
    const environment = await find(store, { tenant, id });
    return { environment, machines: await store.machines.inEnvironment(environment) };
  }

  /** Sets a new end, counted from now. A warning says when it was shortened. Raises `invalid` for the past. */
  async extend(tenant: string, id: string, end: End): Promise<EnvironmentDetail> {
    const { store, edges, lifetimeSecondsMax } = this.#deps;
    await store.transaction(async (tx) => {
      const environment = await find(tx, { tenant, id });
      this.#requireHere(environment);
      const now = edges.clock.now();
      const { patch, warnings } = planExtension(environment, end, now, lifetimeSecondsMax);
      await tx.environments.patch(environment, { ...patch, warnings }, now.toISOString());
    });
    return this.get(tenant, id);
  }

  /**
   * Pauses its machines, or stops those whose engine cannot pause; its lifetime stands still. Raises `engine` when
   * that failed for a machine: the others are stopped, and the environment stays active.
   */
  async stop(tenant: string, id: string): Promise<EnvironmentDetail> {
    await this.#act('environment.stop', { tenant, id }, () => ({}));
    return this.get(tenant, id);
  }

  /** Resumes or starts its machines. Raises `engine` when that failed for a machine: the others run. */
  async start(tenant: string, id: string): Promise<EnvironmentDetail> {
    const now = this.#deps.edges.clock.now();
    await this.#act('environment.start', { tenant, id }, (environment) => ({
      state: 'active',
      ...resumeLifetime(environment, now),
    }));
    return this.get(tenant, id);
  }

  /**
   * Deletes its machines, whatever state they are in, and then the environment. When a machine cannot be deleted, the
   * environment stays with it and a warning says so. `check` may refuse.
   */
  async delete(
    tenant: string,
    id: string,
    check: (environment: Environment) => void = () => undefined,
  ): Promise<void> {
    const key = { tenant, id };
    for (let cancels = 0; cancels < cancelsMax; cancels++) {
      const open = await this.#deps.store.operations.openOn(environmentSubject(key));
      if (open === null || open.kind === 'environment.delete') {
        try {
          await this.#act('environment.delete', key, (environment) => {
            check(environment);
            return {};
          });
          return;
        } catch (error) {
          // Another operation began after the look.
          if (error instanceof EnvironmentBusy) continue;
          throw error;
        }
      }
      check(await find(this.#deps.store, key));
      await this.#cancel(open);
      // A creation that was cancelled has left nothing.
      if ((await this.#deps.store.environments.get(key)) === null) return;
    }
    throw new AppError('unavailable', `environment '${id}' is busy`, { hint: 'Try again in a moment.' });
  }

  async #record(
    tx: Repositories,
    asked: {
      readonly tenant: string;
      readonly request: CreateEnvironmentRequest;
      readonly plans: readonly MachinePlan[];
      readonly notes: readonly string[];
      readonly expiresAt: string;
      readonly asker: Asker;
    },
  ): Promise<{ readonly operation: Operation }> {
    const { creation, edges, owner } = this.#deps;
    const { tenant, request, plans, notes, expiresAt, asker } = asked;
    const { id } = request;
    const at = edges.clock.now().toISOString();
    await tx.environments.insert({
      ...{ id, tenant, hostId: owner.hostId, owner: request.owner, state: 'active' },
      ...{ warnings: notes, expiresAt, remainingMs: null, createdAt: at, updatedAt: at },
    });
    await this.#requireMemory(tx, plans);
    const operations = await creation.record(tx, tenant, plans, asker, id);
    const members = operations.map(({ subjects }, index) => ({
      ...{ id: subjects[0]?.id, name: plans[index]?.spec.name },
    }));
    const operation = this.#newOperation('environment.create', { tenant, id }, { members, notes });
    await tx.operations.insert(operation);
    return { operation };
  }

  async #requireMemory(tx: Repositories, plans: readonly MachinePlan[]): Promise<void> {
    const { capacity, owner } = this.#deps;
    const memoryMib = plans.reduce((sum, { spec }) => sum + spec.memoryMib, 0);
    const all = { hostId: owner.hostId, id: '', spec: { memoryMib } };
    const shortage = await findShortage(tx, all, capacity);
    if (shortage) throw shortage;
  }

  /** False when the operation still runs after `patienceMs`. */
  async #wait(
    running: Promise<unknown>,
    { id }: Operation,
    patienceMs: number | undefined,
  ): Promise<boolean> {
    if (patienceMs === undefined) return running.then(() => true);
    const { clock, log } = this.#deps.edges;
    const patience = new AbortController();
    const late = clock.sleep(patienceMs, patience.signal).then(
      () => false,
      () => false,
    );
    const isDone = await Promise.race([running.then(() => true), late]).finally(() => patience.abort());
    if (!isDone) {
      running.catch((error: unknown) => log.warn({ operation: id, err: error }, 'environment not created'));
    }
    return isDone;
  }

  /** Begins the operation, or joins one of the same kind, and waits for its end. */
  async #act(
    kind: Exclude<EnvironmentOperationKind, 'environment.create'>,
    key: EnvironmentKey,
    intend: (environment: Environment) => EnvironmentPatch,
  ): Promise<void> {
    const { runner, edges, definitions } = this.#deps;
    const { operation } = await runner.begin(async (tx) => {
      const environment = await find(tx, key);
      this.#requireHere(environment);
      const open = await tx.operations.openOn(environmentSubject(key));
      if (open?.kind === kind) return { operation: open };
      if (open !== null) throw new EnvironmentBusy(environment, open);
      const begun = this.#newOperation(kind, key, {});
      const patch = intend(environment);
      await tx.environments.patch(key, patch, edges.clock.now().toISOString());
      await tx.operations.insert(begun);
      return { operation: begun };
    });
    await runner.run(operation, definitions[kind]);
  }

  async #cancel(operation: Operation): Promise<void> {
    const { runner, supervisor, store } = this.#deps;
    if ((await runner.cancel(operation.id)) === 'ended') return;
    const orphan = await store.operations.get(operation.id);
    if (orphan) await supervisor.takeUp(orphan);
  }

  #newOperation(
    kind: EnvironmentOperationKind,
    key: EnvironmentKey,
    params: Readonly<Record<string, unknown>>,
  ) {
    const subjects = [environmentSubject(key)];
    return this.#deps.runner.newOperation({ id: shortId(), tenant: key.tenant, kind, subjects, params });
  }

  #requireHere({ id, hostId }: Environment): void {
    if (hostId === this.#deps.owner.hostId) return;
    throw new AppError('unavailable', `environment '${id}' is on another host`, {
      hint: 'Ask the daemon of that host.',
      details: { host: hostId },
    });
  }
}

function checkRequest({ id, owner, machines }: CreateEnvironmentRequest): void {
  checkEnvironmentId(id);
  if (owner.length > ownerCharactersMax)
    throw new AppError('invalid', `owner must have at most ${ownerCharactersMax} characters`);
  if (machines.length > environmentMachinesMax)
    throw new AppError('invalid', `an environment has at most ${environmentMachinesMax} machines`);
}

async function find(repositories: Repositories, key: EnvironmentKey): Promise<Environment> {
  const environment = await repositories.environments.get(key);
  if (environment) return environment;
  throw new AppError('not_found', `environment not found: ${key.id}`, { details: { environment: key.id } });
}

const doing: Readonly<Record<EnvironmentOperationKind, string>> = {
  'environment.create': 'being created',
  'environment.stop': 'being stopped',
  'environment.start': 'being started',
  'environment.delete': 'being deleted',
};

/** Another operation is under way. */
class EnvironmentBusy extends AppError {
  constructor({ id }: Environment, { kind }: Operation) {
    super('conflict', `environment '${id}' is ${doing[kind as EnvironmentOperationKind]}`, {
      hint: 'Try again in a moment.',
      isPassing: kind !== 'environment.delete',
      details: { operation: kind },
    });
  }
}

function withWarning(detail: EnvironmentDetail, warning: string): EnvironmentDetail {
  const { environment } = detail;
  return { ...detail, environment: { ...environment, warnings: [...environment.warnings, warning] } };
}

function pendingWarning({ machines }: EnvironmentDetail): string {
  const pending = machines.filter(({ state }) => state !== 'running').map(({ spec }) => spec.name);
  return `still being created: ${pending.join(', ')}; read the environment again to see how that ends`;
}
