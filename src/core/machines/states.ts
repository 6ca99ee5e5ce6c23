/**
 * The state machine of a machine, as data.
 *
 *   creating → created → starting → running → stopping → stopped → starting …
 *   running → pausing → paused → resuming → running;  paused → stopping
 *   running, paused → suspending → suspended → starting …
 *   starting, running, paused, stopping → failed;  created, stopped, failed → deleting → deleted (the row is gone)
 *
 * Stable states: created running paused suspended stopped failed. Transit states: creating starting pausing resuming

 * suspending stopping deleting. A machine is in a transit state if and only if it has an open operation.
 * `failed` means that no regular stable state was reached: start tries again, stop cleans up, delete removes.
 * `decide` is pure; only `transition.ts` writes a state.
 */

export const stableStates = ['created', 'running', 'paused', 'suspended', 'stopped', 'failed'] as const;
export const transitStates = [
  'creating',
  'starting',
  'pausing',
  'resuming',
  'suspending',
  'stopping',
  'deleting',
] as const;
export const machineStates = [...stableStates, ...transitStates, 'deleted'] as const;

export type MachineState = (typeof machineStates)[number];
export type TransitState = (typeof transitStates)[number];
/** `update`: a change of its hardware. */
export const machineActions = [
  'start',
  'restart',
  'stop',
  'pause',
  'resume',
  'suspend',
  'snapshot',
  'revert',
  'exec',
  'update',
  'delete',
] as const;
export type MachineAction = (typeof machineActions)[number];

export function isTransit(state: MachineState): state is TransitState {
  return (transitStates as readonly string[]).includes(state);
}

export type Decision =
  | { readonly verdict: 'accept' }
  /** Accepted after cancelling the open operation. */
  | { readonly verdict: 'cancel' }
  /** The machine is in that state already. */
  | { readonly verdict: 'ignore' }
  | { readonly verdict: 'deny' };

interface Rule {
  readonly accept: readonly MachineState[];
  readonly cancel?: readonly MachineState[];
  readonly ignore?: readonly MachineState[];
  /** States in which the action is accepted, possibly after a cancel, only with `force`. */
  readonly force?: readonly MachineState[];
  readonly forceCancel?: readonly MachineState[];
}

const rules: Readonly<Record<MachineAction, Rule>> = {
  start: { accept: ['created', 'suspended', 'stopped', 'failed'], ignore: ['running', 'starting'] },
  restart: { accept: ['running'] },
  stop: {
    accept: ['running', 'paused', 'failed'],
    cancel: ['starting', 'resuming'],
    ignore: ['created', 'stopped', 'stopping'],
    // Its memory is given up.
    force: ['suspended'],
  },
  pause: { accept: ['running'], ignore: ['paused', 'pausing'] },
  resume: { accept: ['paused'], ignore: ['running', 'resuming'] },
  suspend: { accept: ['running', 'paused'], ignore: ['suspended', 'suspending'] },
  snapshot: { accept: ['created', 'running', 'paused', 'suspended', 'stopped'] },
  revert: { accept: ['created', 'running', 'paused', 'suspended', 'stopped', 'failed'] },
  exec: { accept: ['running'] },
  update: { accept: ['created', 'stopped', 'failed'] },
  delete: {
    accept: ['created', 'suspended', 'stopped', 'failed'],
    cancel: ['creating'],
    ignore: ['deleting', 'deleted'],
    force: ['running', 'paused'],
    forceCancel: ['starting', 'pausing', 'resuming', 'suspending', 'stopping'],
  },
};

/** States in which a VMM may use the machine's memory. */
export const statesWithMemory: readonly MachineState[] = [
  'starting',
  'running',
  'pausing',
  'paused',
  'resuming',
  'suspending',
  'stopping',
  'deleting',
];

/** States in which nothing of an incarnation is left on the host, so there must be no handle. */
export const statesWithoutHandle: readonly MachineState[] = [
  'creating',
  'created',
  'suspended',
  'stopped',
  'deleted',
];

/** Decides what to do with an action in this state. `force`: the caller insists. */
export function decide(action: MachineAction, state: MachineState, force = false): Decision {
  const rule = rules[action];
  if (rule.accept.includes(state)) return { verdict: 'accept' };
  if (rule.cancel?.includes(state)) return { verdict: 'cancel' };
  if (rule.ignore?.includes(state)) return { verdict: 'ignore' };
  if (force && rule.force?.includes(state)) return { verdict: 'accept' };
  if (force && rule.forceCancel?.includes(state)) return { verdict: 'cancel' };
  return { verdict: 'deny' };
}

/** The actions that a machine in this state accepts. */
export function actionsIn(state: MachineState): readonly MachineAction[] {
  return machineActions.filter((action) => ['accept', 'cancel'].includes(decide(action, state).verdict));
}

/** The transit state that an accepted action begins; actions without one leave the state as it is. */
export const transitOf: Readonly<Partial<Record<MachineAction, TransitState>>> = {
  start: 'starting',
  restart: 'starting',
  stop: 'stopping',
  pause: 'pausing',
  resume: 'resuming',
  suspend: 'suspending',
  revert: 'stopping',
  delete: 'deleting',
};

/** The state after an accepted action has succeeded. */
export function outcomeOf(action: MachineAction, state: MachineState): MachineState {
  const transit = transitOf[action];
  return transit === undefined ? state : successes[transit];
}

/** The state after each transit state's operation has succeeded. */
const successes: Readonly<Record<TransitState, MachineState>> = {
  creating: 'created',
  starting: 'running',
  pausing: 'paused',
  resuming: 'running',
  suspending: 'suspended',
  stopping: 'stopped',
  deleting: 'deleted',
};

/**
 * Whether an action that this state denies will probably be accepted soon, because the open operation leads
 * to a state that accepts it. Example: exec while starting, but not exec while stopping.
 */
export function isSoonAccepted(action: MachineAction, state: MachineState): boolean {
  return isTransit(state) && decide(action, successes[state]).verdict === 'accept';
}

/** The possible next states. A transit state leads to the stable states in which its operation can end. */
export const transitions: Readonly<Record<MachineState, readonly MachineState[]>> = {
  creating: ['created', 'suspended', 'deleted'],
  created: ['starting', 'stopping', 'deleting'],
  starting: ['running', 'suspended', 'stopped', 'failed'],
  running: ['stopping', 'starting', 'pausing', 'suspending', 'deleting', 'stopped', 'failed'],
  pausing: ['paused', 'running', 'failed'],
  paused: ['resuming', 'suspending', 'stopping', 'deleting', 'stopped', 'failed'],
  resuming: ['running', 'paused', 'failed'],
  suspending: ['suspended', 'running', 'paused', 'failed'],
  suspended: ['starting', 'stopping', 'deleting'],
  stopping: ['stopped', 'suspended', 'failed'],
  stopped: ['starting', 'stopping', 'deleting'],
  failed: ['starting', 'stopping', 'deleting', 'stopped'],
  deleting: ['deleted', 'failed'],
  deleted: [],
};
