/**
 * The state machine of a machine, as data.
 *
 *   creating → created → starting → running → stopping → stopped → starting …
 *   running → pausing → paused → resuming → running;  paused → stopping
 *   starting, running, paused, stopping → failed;  created, stopped, failed → deleting → deleted (the row is gone)
 *
 * Stable: created running paused stopped failed. In transit: creating starting pausing resuming snapshotting stopping
 * deleting; in transit exactly while an operation is open. `failed` means that no clean stable state was reached:
 * start tries again, stop cleans up, delete removes. `decide` is pure; only `transition.ts` writes a state.
 */

export const stableStates = ['created', 'running', 'paused', 'stopped', 'failed'] as const;
export const transitStates = [
  'creating',
  'starting',
  'pausing',
  'resuming',
  'snapshotting',
  'stopping',
  'deleting',
] as const;
export const machineStates = [...stableStates, ...transitStates, 'deleted'] as const;

export type MachineState = (typeof machineStates)[number];
export type TransitState = (typeof transitStates)[number];
export type MachineAction =
  | 'start'
  | 'restart'
  | 'stop'
  | 'pause'
  | 'resume'
  | 'snapshot'
  | 'exec'
  /** Of its hardware. */
  | 'update'
  | 'delete';

export function isTransit(state: MachineState): state is TransitState {
  return (transitStates as readonly string[]).includes(state);
}

export type Decision =
  | { readonly verdict: 'accept' }
  /** Accepted, and the operation under way is cancelled first. */
  | { readonly verdict: 'cancel' }
  /** Already so. */
  | { readonly verdict: 'ignore' }
  | { readonly verdict: 'deny' };

interface Rule {
  readonly accept: readonly MachineState[];
  readonly cancel?: readonly MachineState[];
  readonly ignore?: readonly MachineState[];
  /** Accepted, or accepted after a cancel, only when the caller insists. */
  readonly force?: readonly MachineState[];
  readonly forceCancel?: readonly MachineState[];
}

const rules: Readonly<Record<MachineAction, Rule>> = {
  start: { accept: ['created', 'stopped', 'failed'], ignore: ['running', 'starting'] },
  restart: { accept: ['running'] },
  stop: {
    accept: ['running', 'paused', 'failed'],
    cancel: ['starting', 'resuming'],
    ignore: ['created', 'stopped', 'stopping'],
  },
  pause: { accept: ['running'], ignore: ['paused', 'pausing'] },
  resume: { accept: ['paused'], ignore: ['running', 'resuming'] },
  snapshot: { accept: ['running', 'paused', 'stopped'] },
  exec: { accept: ['running'] },
  update: { accept: ['created', 'stopped', 'failed'] },
  delete: {
    accept: ['created', 'stopped', 'failed'],
    cancel: ['creating'],
    ignore: ['deleting', 'deleted'],
    force: ['running', 'paused'],
    forceCancel: ['starting', 'pausing', 'resuming', 'snapshotting', 'stopping'],
  },
};

/** States in which a VMM may hold the machine's memory. */
export const statesWithMemory: readonly MachineState[] = [
  'starting',
  'running',
  'pausing',
  'paused',
  'resuming',
  'snapshotting',
  'stopping',
  'deleting',
];

/** States in which nothing of an incarnation is left on the host, so no handle may be kept. */
export const statesWithoutHandle: readonly MachineState[] = ['creating', 'created', 'stopped', 'deleted'];

/** What to do with an action on a machine in this state. `force` is the caller's insistence, where it matters. */
export function decide(action: MachineAction, state: MachineState, force = false): Decision {
  const rule = rules[action];
  if (rule.accept.includes(state)) return { verdict: 'accept' };
  if (rule.cancel?.includes(state)) return { verdict: 'cancel' };
  if (rule.ignore?.includes(state)) return { verdict: 'ignore' };
  if (force && rule.force?.includes(state)) return { verdict: 'accept' };
  if (force && rule.forceCancel?.includes(state)) return { verdict: 'cancel' };
  return { verdict: 'deny' };
}

/** Where each transit state leads when its operation succeeds. */
const successes: Readonly<Record<TransitState, MachineState>> = {
  creating: 'created',
  starting: 'running',
  pausing: 'paused',
  resuming: 'running',
  // Back to where it was taken, mostly.
  snapshotting: 'running',
  stopping: 'stopped',
  deleting: 'deleted',
};

/**
 * Whether an action that is denied in this state is likely to be accepted soon without anybody's doing: the operation under
 * way leads to a state that accepts it. Example: exec while starting, but not exec while stopping.
 */
export function isSoonAccepted(action: MachineAction, state: MachineState): boolean {
  return isTransit(state) && decide(action, successes[state]).verdict === 'accept';
}

/** Where a state may go next. An operation's transit state leads to its stable ends. */
export const transitions: Readonly<Record<MachineState, readonly MachineState[]>> = {
  creating: ['created', 'deleted'],
  created: ['starting', 'deleting'],
  starting: ['running', 'stopped', 'failed'],
  running: ['stopping', 'starting', 'pausing', 'snapshotting', 'deleting', 'stopped', 'failed'],
  pausing: ['paused', 'running', 'failed'],
  paused: ['resuming', 'stopping', 'snapshotting', 'deleting', 'stopped', 'failed'],
  resuming: ['running', 'paused', 'failed'],
  snapshotting: ['running', 'paused', 'stopped', 'failed'],
  stopping: ['stopped', 'failed'],
  stopped: ['starting', 'deleting', 'snapshotting'],
  failed: ['starting', 'stopping', 'deleting', 'stopped'],
  deleting: ['deleted', 'failed'],
  deleted: [],
};
