/** What can be done with a virtual machine in each state, from core's own table of states. Pure. */
import {
  actionsIn,
  isTransit,
  type MachineAction,
  type MachineState,
  outcomeOf,
  transitions,
  transitOf,
} from '../../core/machines/states.ts';
import { type VmState, vmStates } from '../dialects/hypermachine/schema.ts';
import { statesOf, stateWord } from '../dialects/hypermachine/translate.ts';
import type { OntologyOperation } from './ontology-operations.ts';
import { findTool } from './tool.ts';
import { tools } from './tools.ts';

/** The operations of the API by the action of core that decides about them. */
const operationOf: Readonly<Partial<Record<MachineAction, string>>> = {
  start: 'start_vm',
  stop: 'stop_vm',
  pause: 'pause_vm',
  resume: 'resume_vm',
  restart: 'restart_vm',
  delete: 'delete_vm',
  exec: 'execute_script',
};
/** Reads are possible in every state. */
const reads = ['get_vm', 'get_metrics'];

export interface Transition {
  readonly from_state: VmState;
  readonly to_state: VmState;
  /** `auto`: without a request. */
  readonly trigger_operation: string;
  readonly conditions: readonly string[];
  /** Whether one operation leads back. */
  readonly reversible: boolean;
}

/** The state of core that a word mostly stands for: the stable one, if it stands for several. */
function mainState(word: VmState): MachineState {
  const states = statesOf(word);
  const state = states.find((each) => !isTransit(each)) ?? states[0];
  if (state === undefined) throw new Error(`no machine is ever ${word}`);
  return state;
}

/** Ids of the operations that a virtual machine in this state accepts. */
export function operationsIn(word: VmState): readonly string[] {
  const actions = actionsIn(mainState(word));
  return [...reads, ...actions.flatMap((action) => operationOf[action] ?? [])];
}

export function transitionsFrom(word: VmState): readonly Transition[] {
  const state = mainState(word);
  const byRequest = actionsIn(state).flatMap((action) => requested(word, state, action));
  const begun = new Set(actionsIn(state).map((action) => transitOf[action]));
  const alone = transitions[state].filter((next) => !isTransit(next) || !begun.has(next));
  const automatic = [
    ...new Set(alone.filter((next) => !isTransit(next) && next !== 'deleted').map(stateWord)),
  ]
    .filter((next) => next !== word)
    .map((next) => ({
      from_state: word,
      to_state: next,
      trigger_operation: 'auto',
      conditions: [automaticReason(state, next)],
      reversible: false,
    }));
  return [...byRequest, ...automatic];
}

function requested(word: VmState, state: MachineState, action: MachineAction): readonly Transition[] {
  const operation = operationOf[action];
  const transit = transitOf[action];
  if (operation === undefined || transit === undefined) return [];
  const outcome = outcomeOf(action, state);
  const leadsBack = actionsIn(outcome).some((back) => outcomeOf(back, outcome) === state && back !== 'exec');
  const target = stateWord(transit) === word ? stateWord(outcome) : stateWord(transit);
  return [
    {
      from_state: word,
      to_state: target,
      trigger_operation: operation,
      conditions: [`the state is '${word}'`],
      reversible: outcome !== state && outcome !== 'deleted' && leadsBack,
    },
  ];
}

function automaticReason(state: MachineState, next: VmState): string {
  if (next === 'error') return isTransit(state) ? 'the operation fails' : 'the guest or its VMM fails';
  return isTransit(state) ? 'the operation ends' : 'the guest powers off, or the host reboots';
}

/**
 * What a resource in this state offers, with the API's own description of each operation. Unknown types and states
 * have nothing to offer.
 */
export function affordances(operations: readonly OntologyOperation[], resourceType: string, state: string) {
  const word = vmStates.find((each) => each === state.toLowerCase());
  const isKnown = resourceType.toLowerCase() === 'vm' && word !== undefined;
  const allowed = isKnown ? operationsIn(word) : [];
  return {
    resource_type: resourceType,
    current_state: state,
    available_operations: operations
      .filter(({ id }) => allowed.includes(id))
      .map(({ id, name, description, http_method, path, idempotent }) => ({
        operation_id: id,
        name,
        description,
        http_method,
        path,
        preconditions: reads.includes(id) ? [] : [`the state is '${word}'`],
        postconditions: [...(findTool(tools, id)?.postconditions ?? [])],
        idempotent,
      })),
    possible_transitions: (isKnown ? transitionsFrom(word) : []).map(
      ({ to_state, trigger_operation, conditions, reversible }) => ({
        target_state: to_state,
        trigger_operation,
        conditions: [...conditions],
        reversible,
      }),
    ),
  };
}
