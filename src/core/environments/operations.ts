/**
 * The operations on environments. Each has one step, which acts on all machines through the machines' own operations
 * (decision 30). After a crash the step is repeated, and finds what the machines' operations have done meanwhile.
 */
import { AppError } from '../errors.ts';
import { holdLifetime } from '../machines/lifetime.ts';
import type {
  OperationDefinition,
  OperationDefinitions,
  StepContext,
  SubjectPort,
} from '../operations/definition.ts';
import { type Operation, type OperationKind, subjectId } from '../operations/operation.ts';
import type { EnvironmentKey, Repositories, Store } from '../ports/store.ts';
import { type Environment, type EnvironmentPatch, environmentIdOf } from './environment.ts';
import type { Member, Members, Outcome } from './members.ts';

export interface EnvironmentOperationsDeps {
  readonly store: Store;
  readonly members: Members;
}

/** Written by `environment.create`. */
export interface CreateParams {
  readonly members: readonly Member[];
  /** What is to be said of the environment in any case. */
  readonly notes: readonly string[];
}

export type EnvironmentOperationKind = Extract<OperationKind, `environment.${string}`>;
type Definition = OperationDefinition<Environment>;

/** Images are copied and guests boot in turns; a host that needs longer for an environment is not going to make it. */
const createTimeoutMs = 60 * 60_000;
/** Longer than the longest operation of one machine, for machines that wait for their turn. */
const actTimeoutMs = 10 * 60_000;

export function environmentDefinitions(
  deps: EnvironmentOperationsDeps,
): Readonly<Record<EnvironmentOperationKind, Definition>> {
  return {
    'environment.create': createOperation(deps),
    'environment.stop': stopOperation(deps),
    'environment.start': startOperation(deps),
    'environment.delete': deleteOperation(deps),
  };
}

/** Definitions for taking up operations after a crash. */
export function asOperationDefinitions(
  definitions: ReturnType<typeof environmentDefinitions>,
): OperationDefinitions {
  return definitions as OperationDefinitions;
}

function createOperation({ store, members }: EnvironmentOperationsDeps): Definition {
  return {
    kind: 'environment.create',
    subject: subjectOf({ onSuccess: () => ({}), isRemovedOnFailure: true }),
    steps: [
      {
        name: 'machines',
        timeoutMs: createTimeoutMs,
        // The transaction that recorded the operation has recorded the machines, too.
        isOwedFromBegin: true,
        async do({ subject, operation, signal }) {
          const { members: planned, notes } = operation.params as unknown as CreateParams;
          const outcomes = await members.bringUp(subject, planned, signal);
          if (planned.length > 0 && outcomes.every(({ problem }) => problem !== null)) {
            throw failed('none of its machines could be created', outcomes, true);
          }
          return { details: { warnings: [...notes, ...problemsOf(outcomes)] } };
        },
        undo: async ({ subject, signal }) => {
          requireAll(
            'could not be deleted',
            await members.delete(subject, await membersOf(store, subject), signal),
          );
        },
      },
    ],
  };
}

function stopOperation({ store, members }: EnvironmentOperationsDeps): Definition {
  return {
    kind: 'environment.stop',
    subject: subjectOf({
      onSuccess: (environment, at) => ({ state: 'stopped', ...holdLifetime(environment, at), warnings: [] }),
    }),
    steps: [
      step('stopped', async ({ subject, signal }) =>
        members.halt(subject, await membersOf(store, subject), signal),
      ),
    ],
  };
}

/** It counts as active from the beginning of the operation: some machine may run from then on. */
function startOperation({ store, members }: EnvironmentOperationsDeps): Definition {
  return {
    kind: 'environment.start',
    subject: subjectOf({ onSuccess: () => ({ warnings: [] }) }),
    steps: [
      step('started', async ({ subject, signal }) =>
        members.start(subject, await membersOf(store, subject), signal),
      ),
    ],
  };
}

function deleteOperation({ store, members }: EnvironmentOperationsDeps): Definition {
  return {
    kind: 'environment.delete',
    subject: subjectOf({ isRemovedOnSuccess: true }),
    steps: [
      step('deleted', async ({ subject, signal }) => {
        const outcomes = await members.delete(subject, await membersOf(store, subject), signal);
        requireAll('could not be deleted', outcomes);
        // Also machines whose record cannot be read.
        const left = await store.machines.countInEnvironment(subject);
        if (left > 0) throw new AppError('unavailable', `${left} of its machines could not be deleted`);
        return outcomes;
      }),
    ],
  };
}

function step(done: string, act: (context: StepContext<Environment>) => Promise<readonly Outcome[]>) {
  return {
    name: 'machines',
    timeoutMs: actTimeoutMs,
    async do(context: StepContext<Environment>) {
      requireAll(`could not be ${done}`, await act(context));
    },
  };
}

async function membersOf(store: Repositories, environment: Environment): Promise<readonly Member[]> {
  const machines = await store.machines.inEnvironment(environment);
  return machines.map(({ id, spec }) => ({ id, name: spec.name }));
}

/** Raises the error that names the machines for which the action failed, if there are any. */
function requireAll(what: string, outcomes: readonly Outcome[]): void {
  const count = problemsOf(outcomes).length;
  if (count > 0)
    throw failed(`${count} of ${outcomes.length} machines ${what}`, outcomes, count === outcomes.length);
}

function failed(what: string, outcomes: readonly Outcome[], isTotal: boolean): AppError {
  return new AppError('engine', `${what}: ${problemsOf(outcomes).join('; ')}`, {
    hint: 'The operations of each machine say more: flotilla operations ls.',
    details: { isTotal, problems: problemsOf(outcomes) },
  });
}

function problemsOf(outcomes: readonly Outcome[]): readonly string[] {
  return outcomes.flatMap(({ name, problem }) => (problem === null ? [] : [`${name}: ${problem}`]));
}

interface Ends {
  readonly onSuccess?: (environment: Environment, at: Date) => EnvironmentPatch;
  readonly isRemovedOnSuccess?: boolean;
  readonly isRemovedOnFailure?: boolean;
}

function keyOf(operation: Operation): EnvironmentKey {
  return {
    tenant: operation.tenant,
    id: environmentIdOf({ kind: 'environment', id: subjectId(operation, 'environment') }),
  };
}

/** An environment has at most one open operation, so it needs no mark of its own that it belongs to this one. */
function subjectOf({ onSuccess, isRemovedOnSuccess, isRemovedOnFailure }: Ends): SubjectPort<Environment> {
  const require = async (tx: Repositories, operation: Operation) => {
    const environment = await tx.environments.get(keyOf(operation));
    if (environment) return environment;
    throw new AppError('internal', `operation ${operation.id} has lost its environment`);
  };
  return {
    read: (repositories, operation) => repositories.environments.get(keyOf(operation)),
    async keep(tx, operation, details, at) {
      await tx.environments.patch(keyOf(operation), details as EnvironmentPatch, at.toISOString());
    },
    async succeed(tx, operation, at) {
      const environment = await require(tx, operation);
      if (isRemovedOnSuccess) {
        await tx.environments.remove(environment, at.toISOString());
        return environment;
      }
      const patch = onSuccess?.(environment, at) ?? {};
      return (await tx.environments.patch(environment, patch, at.toISOString())) ?? environment;
    },
    async fail(tx, operation, failure, at) {
      const key = keyOf(operation);
      const isEmpty = (await tx.machines.countInEnvironment(key)) === 0;
      if (isRemovedOnFailure && isEmpty) return tx.environments.remove(key, at.toISOString());
      if (failure) await tx.environments.patch(key, { warnings: [failure.message] }, at.toISOString());
    },
  };
}
