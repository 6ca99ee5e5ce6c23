/**
 * Compares what is recorded with what is there and says what to do. Pure: no input but the two pictures, so the same
 * pictures always give the same repairs, and carrying a repair out twice does no harm.
 */
import type { Machine } from '../machines/machine.ts';
import { guestFreeMibMin } from '../machines/steps/context.ts';
import { isPausedOnRequest } from '../machines/steps/pause.ts';
import type { Operation } from '../operations/operation.ts';
import type { EngineStatus, ExitFacts, FoundIncarnation } from '../ports/engine.ts';
import type { DamagedMachine } from '../ports/store.ts';
import type { Foreign } from './foreign.ts';

export interface Observed {
  /** The host that is looked at. */
  readonly hostId: string;
  /** The host's current boot. A machine started in an earlier one lost its VMM to the reboot. */
  readonly bootId: string;
  /** What is free for disks, in MiB; 0 when nobody knows. */
  readonly freeMib: number;
  /** Incarnation → what its engine says, of each machine that should have a VMM. */
  readonly statuses: ReadonlyMap<string, EngineStatus>;
  /** Incarnations whose VMM lives though their machine is neither to run nor under way. */
  readonly strays: ReadonlySet<string>;
  /** Incarnations of which an engine has anything: engine kind → incarnations. */
  readonly incarnations: ReadonlyMap<string, readonly FoundIncarnation[]>;
  /** Machine ids that have a disk; null when nobody knows. */
  readonly disks: readonly string[] | null;
}

export type Repair =
  | { readonly kind: 'adopt'; readonly machine: Machine }
  | { readonly kind: 'exited'; readonly machine: Machine; readonly facts: ExitFacts }
  /** It ran until the host went down. `isToRun`: it is started again. One that was paused has lost its memory: it is not. */
  | { readonly kind: 'host_rebooted'; readonly machine: Machine; readonly isToRun: boolean }
  /** Its guest waits for space on the host's disk. */
  | { readonly kind: 'mark_disk_full'; readonly machine: Machine }
  /** Its guest stands still though it is to run: there is space again, or a pause was undone by half. */
  | { readonly kind: 'resume'; readonly machine: Machine }
  /** Its guest runs though it is paused: a resume was undone by half. */
  | { readonly kind: 'pause'; readonly machine: Machine }
  | { readonly kind: 'clear_disk_full'; readonly machine: Machine }
  | { readonly kind: 'end_stray'; readonly machine: Machine }
  | { readonly kind: 'destroy_orphan'; readonly engine: string; readonly incarnation: string }
  | { readonly kind: 'quarantine_disk'; readonly machineId: string };

export const diskFullCode = 'disk_full';
/** Why processors stand still that nothing lets go on. */
const brokenReasons: ReadonlySet<string> = new Set(['internal_error', 'io_error', 'guest_panicked']);

/**
 * Machines with an open operation are left to it; `damaged` ones, whose record cannot be read, and `foreign` ones to the
 * operator.
 */
export function planRepairs(
  machines: readonly Machine[],
  open: readonly Operation[],
  observed: Observed,
  damaged: readonly Pick<DamagedMachine, 'id' | 'incarnation'>[] = [],
  foreign: readonly Foreign[] = [],
): readonly Repair[] {
  const repairs: Repair[] = [];
  for (const machine of machines) {
    const { incarnation } = machine;
    if (isAtRest(machine) && observed.strays.has(incarnation ?? ''))
      repairs.push({ kind: 'end_stray', machine });
    const status = observed.statuses.get(incarnation ?? '');
    if (status && hasVmm(machine)) repairs.push(...planRunning(machine, status, observed));
  }
  for (const { engine, incarnation, hostId } of findUnknown(machines, open, observed, damaged, foreign)) {
    if (hostId === observed.hostId) repairs.push({ kind: 'destroy_orphan', engine, incarnation });
  }
  const ids = new Set([
    ...[...machines, ...damaged].map(({ id }) => id),
    ...foreign.map(({ machineId }) => machineId),
  ]);
  for (const machineId of observed.disks ?? []) {
    if (!ids.has(machineId)) repairs.push({ kind: 'quarantine_disk', machineId });
  }
  return repairs;
}

export interface UnknownIncarnation extends FoundIncarnation {
  readonly engine: string;
}

/**
 * Incarnations that nothing recorded accounts for. Only one that a daemon of this host began may be ended; another's, or one of which
 * nothing says whose it is, is the operator's to end.
 */
export function findUnknown(
  machines: readonly Machine[],
  open: readonly Operation[],
  { disks, incarnations }: Pick<Observed, 'disks' | 'incarnations'>,
  damaged: readonly Pick<DamagedMachine, 'id' | 'incarnation'>[] = [],
  foreign: readonly Foreign[] = [],
): readonly UnknownIncarnation[] {
  // An incarnation is recorded before it is launched, and kept after it ended as long as its console is.
  // The one before it is its operation's to clear away.
  const known = new Set<unknown>([
    ...machines.map(({ incarnation }) => incarnation),
    ...damaged.map(({ incarnation }) => incarnation),
    ...foreign.map(({ incarnation }) => incarnation),
    ...open.map(({ params }) => params.previousIncarnation),
  ]);
  // While it is unknown which VMM a foreign machine has, each may be its.
  if (disks === null || known.has('unknown')) return [];
  return [...incarnations].flatMap(([engine, found]) =>
    found.filter(({ incarnation }) => !known.has(incarnation)).map((each) => ({ engine, ...each })),
  );
}

function planRunning(machine: Machine, status: EngineStatus, observed: Observed): readonly Repair[] {
  if (status.state === 'exited' || status.state === 'absent') {
    if (machine.bootId !== null && machine.bootId !== observed.bootId) {
      return [{ kind: 'host_rebooted', machine, isToRun: isToRun(machine) }];
    }
    return [{ kind: 'exited', machine, facts: status.state === 'exited' ? status.facts : lostFacts }];
  }
  if (status.state === 'paused' && brokenReasons.has(status.reason)) {
    const reason = `the guest can never go on: ${status.reason.replaceAll('_', ' ')}`;
    return [{ kind: 'exited', machine, facts: { ...lostFacts, reason } }];
  }
  const adopt: Repair = { kind: 'adopt', machine };
  // Who paused it lets it go on, and nobody else, also when its disk was full.
  if (machine.state === 'paused')
    return status.state === 'running' ? [adopt, { kind: 'pause', machine }] : [adopt];
  if (isPausedOnRequest(status)) return [adopt, { kind: 'resume', machine }];
  const isMarked = machine.failure?.code === diskFullCode;
  if (status.state === 'paused' && status.reason === diskFullCode) {
    if (observed.freeMib >= guestFreeMibMin) return [adopt, { kind: 'resume', machine }];
    return isMarked ? [adopt] : [adopt, { kind: 'mark_disk_full', machine }];
  }
  return isMarked ? [adopt, { kind: 'clear_disk_full', machine }] : [adopt];
}

/** Whether a machine that lost its VMM with the host is started again. */
function isToRun({ state, desired }: Machine): boolean {
  return state === 'running' && desired === 'running';
}

function hasVmm(machine: Machine): boolean {
  return machine.state === 'running' || machine.state === 'paused';
}

/** Whether the machine should have no VMM: it is in no operation, and in no state that has one. */
export function isAtRest(machine: Machine): boolean {
  return machine.state === 'created' || machine.state === 'stopped' || machine.state === 'failed';
}

const lostFacts: ExitFacts = {
  kind: 'died',
  exitCode: null,
  signal: null,
  reason: 'the VMM is gone; nobody saw it end',
};
