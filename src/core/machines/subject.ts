/**
 * Machines as subjects of operations: how an operation begins, stores a step's result and ends, each in one
 * transaction.
 */

import { AppError } from '../errors.ts';
import type { OperationDefinition, Step, SubjectPort } from '../operations/definition.ts';
import type { SubjectFailure } from '../operations/operation.ts';
import { type Operation, type OperationKind, subjectId } from '../operations/operation.ts';
import type { MachineDetails, MachinePatch, Repositories } from '../ports/store.ts';
import { failureOf } from './last-words.ts';
import type { Machine } from './machine.ts';
import type { MachineState, TransitState } from './states.ts';
import type { Edges } from './steps/context.ts';
import { transition } from './transition.ts';

export type MachineStep = Step<Machine>;

/** May depend on where the operation began, or on how far it came. */
type EndState = MachineState | ((operation: Operation) => MachineState);

/** Whether a step has begun, even if it is undone now. */
export function hasBegun({ steps }: Operation, step: string): boolean {
  return steps.some(({ name }) => name === step);
}

/** An operation on a machine, as defined in `steps/`. */
export interface MachineOperation {
  readonly kind: OperationKind;
  readonly transit: TransitState;
  readonly steps: readonly MachineStep[];
  /** The state after success, and further changes that come with it. */
  readonly succeeded: EndState;
  onSuccess(machine: Machine, at: Date): MachinePatch;
  /** The state after the steps were undone, because of a failure or a cancellation. */
  readonly failed: EndState;
  readonly cancelled: EndState;
  onUndone(machine: Machine, failure: SubjectFailure | null, operation: Operation): MachinePatch;
  readonly limiter?: OperationDefinition<Machine>['limiter'];
}

/** A definition that can also begin: it includes the transit state. */
export interface MachineDefinition extends OperationDefinition<Machine> {
  readonly transit: TransitState;
}

export function defineOperation(edges: Edges, operation: MachineOperation): MachineDefinition {
  const { kind, transit, steps, limiter } = operation;
  return {
    kind,
    transit,
    steps,
    subject: machineSubject(operation),
    describeFailure: (machine, error, at) => failureOf(edges, machine, error, at),
    ...(limiter === undefined ? {} : { limiter }),
  };
}

function machineSubject(ends: MachineOperation): SubjectPort<Machine> {
  return {
    read,
    async keep(tx, operation, details, at) {
      const machine = await require(tx, operation);
      const time = at.toISOString();
      await tx.machines.patch(machine.id, machine.incarnation, details as MachineDetails, time);
    },
    async succeed(tx, operation, at) {
      const machine = await require(tx, operation);
      const patch = { ...ends.onSuccess(machine, at), operationId: null };
      return end(tx, machine, stateIn(ends.succeeded, operation), patch, at);
    },
    async fail(tx, operation, failure, at) {
      const machine = await read(tx, operation);
      if (!machine) return;
      const patch = { ...ends.onUndone(machine, failure, operation), operationId: null };
      const to = failure === null ? ends.cancelled : ends.failed;
      await end(tx, machine, stateIn(to, operation), patch, at);
    },
  };
}

function stateIn(state: EndState, operation: Operation): MachineState {
  return typeof state === 'string' ? state : state(operation);
}

async function end(
  tx: Repositories,
  machine: Machine,
  to: MachineState,
  patch: MachinePatch,
  at: Date,
): Promise<Machine> {
  const ended = await transition(tx, machine, to, patch, at);
  if (to === 'deleted') await tx.allocations.release(machine.hostId, { kind: 'machine', id: machine.id });
  return ended;
}

async function read(repositories: Repositories, operation: Operation): Promise<Machine | null> {
  const machine = await repositories.machines.get(subjectId(operation, 'machine'));
  const isOurs = machine?.operationId === operation.id || operation.state === 'succeeded';
  return isOurs ? machine : null;
}

async function require(repositories: Repositories, operation: Operation): Promise<Machine> {
  const machine = await read(repositories, operation);
  if (machine) return machine;
  throw new AppError('internal', `operation ${operation.id} has lost its machine`);
}
