/**
 * Compares recorded machines with what engines and disks report, and returns the repairs to make. Called by
 * the reconciler at start, on a timer and after a failed undo. Pure: the same input gives the same repairs,
 * and each repair may be repeated.
 * Example: a row says `running`, the engine says `absent`, the host did not reboot → repair `exited`, and the
 * machine becomes `failed: vmm_died`.
 */
import type { Machine } from '../machines/machine.ts';
import type { MachineState } from '../machines/states.ts';
import { guestFreeMibMin } from '../machines/steps/context.ts';
import { isPausedOnRequest } from '../machines/steps/pause.ts';
import type { Operation } from '../operations/operation.ts';
import { diskFullReason, type EngineStatus, type ExitFacts, type FoundIncarnation } from '../ports/engine.ts';
import type { DamagedMachine } from '../ports/store.ts';
import type { Foreign } from './foreign.ts';

export interface Observed {
  /** The observed host. */
  readonly hostId: string;
  /** The host's current boot. A machine started in an earlier one lost its VMM to the reboot. */
  readonly bootId: string;
  /** Free disk space in MiB; 0 when unknown. */
  readonly freeMib: number;
  /** Incarnation → the engine's answer, for each machine that should have a VMM. */
  readonly statuses: ReadonlyMap<string, EngineStatus>;
  /** Incarnations with a running VMM whose machine should not run and has no open operation. */
  readonly strays: ReadonlySet<string>;
  /** Engine kind → the incarnations for which it has a VMM or files. */
  readonly incarnations: ReadonlyMap<string, readonly FoundIncarnation[]>;
  /** Ids of machines that have a disk; null when unknown. */
  readonly disks: readonly string[] | null;
  /** Ids of machines that have anything in the host's network; null when unknown. */
  readonly attached: readonly string[] | null;
  /** Ids of machines whose rules on the host are older than their records. */
  readonly behind: ReadonlySet<string>;
}

export type Repair =
  | { readonly kind: 'adopt'; readonly machine: Machine }
  | { readonly kind: 'exited'; readonly machine: Machine; readonly facts: ExitFacts }
  /**
   * The machine ran until the host went down. `isToRun`: start it again. A paused machine has lost its memory
   * and is not started.
   */
  | { readonly kind: 'host_rebooted'; readonly machine: Machine; readonly isToRun: boolean }
  /** The guest waits for disk space. */
  | { readonly kind: 'mark_disk_full'; readonly machine: Machine }
  /** The guest is paused but should run: there is disk space again, or a pause was interrupted. */
  | { readonly kind: 'resume'; readonly machine: Machine }
  /** The guest runs but should be paused: a resume was interrupted. */
  | { readonly kind: 'pause'; readonly machine: Machine }
  | { readonly kind: 'clear_disk_full'; readonly machine: Machine }
  | { readonly kind: 'end_stray'; readonly machine: Machine }
  | { readonly kind: 'destroy_orphan'; readonly engine: string; readonly incarnation: string }
  | { readonly kind: 'quarantine_disk'; readonly machineId: string }
  /** It has a VMM and nothing in the host's network. */
  | { readonly kind: 'attach'; readonly machine: Machine }
  /** The host's network has something of a machine that has no VMM. */
  | { readonly kind: 'detach'; readonly machine: Machine }
  | { readonly kind: 'detach_orphan'; readonly machineId: string }
  /** A change of its rules is recorded, and the host has refused it. */
  | { readonly kind: 'apply_rules'; readonly machine: Machine };

export const diskFullCode = diskFullReason;
/** Reasons for paused vCPUs that cannot be resumed. */
const brokenReasons: ReadonlySet<string> = new Set(['internal_error', 'io_error', 'guest_panicked']);

/**
 * Machines with an open operation are left to it. `damaged` machines, whose record cannot be read, and
 * `foreign` ones are left to the operator.
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
  return [...repairs, ...planNetwork(machines, observed, ids)];
}

/** `ids`: those of all known machines; only of an unknown one everything is removed. */
function planNetwork(
  machines: readonly Machine[],
  { attached, behind }: Observed,
  ids: ReadonlySet<string>,
): readonly Repair[] {
  if (attached === null) return [];
  const there = new Set(attached);
  const repairs: Repair[] = [];
  // First what is too much: it may have the address that another machine needs.
  for (const machineId of attached) {
    if (!ids.has(machineId)) repairs.push({ kind: 'detach_orphan', machineId });
  }
  for (const machine of machines) {
    if (isAtRest(machine) && there.has(machine.id)) repairs.push({ kind: 'detach', machine });
  }
  for (const machine of machines) {
    const { id, spec } = machine;
    if (!hasVmm(machine) || spec.network.mode === 'none') continue;
    if (!there.has(id)) repairs.push({ kind: 'attach', machine });
    else if (behind.has(id)) repairs.push({ kind: 'apply_rules', machine });
  }
  return repairs;
}

export interface UnknownIncarnation extends FoundIncarnation {
  readonly engine: string;
}

/**
 * Returns incarnations that no record explains. Only those started by a daemon of this host may be ended;
 * those of another or unknown host are left to the operator.
 */
export function findUnknown(
  machines: readonly Machine[],
  open: readonly Operation[],
  { disks, incarnations }: Pick<Observed, 'disks' | 'incarnations'>,
  damaged: readonly Pick<DamagedMachine, 'id' | 'incarnation'>[] = [],
  foreign: readonly Foreign[] = [],
): readonly UnknownIncarnation[] {
  // An incarnation is recorded before its launch and kept after its end, as long as its console is kept. The
  // previous incarnation is cleared by its machine's operation.
  const known = new Set<unknown>([
    ...machines.map(({ incarnation }) => incarnation),
    ...damaged.map(({ incarnation }) => incarnation),
    ...foreign.map(({ incarnation }) => incarnation),
    ...open.map(({ params }) => params.previousIncarnation),
  ]);
  // Any unknown VMM may belong to the foreign machine.
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
    const reason = `the guest cannot continue: ${status.reason.replaceAll('_', ' ')}`;
    return [{ kind: 'exited', machine, facts: { ...lostFacts, reason } }];
  }
  const adopt: Repair = { kind: 'adopt', machine };
  // Only the user's resume ends a pause, even if the disk was full meanwhile.
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

/** Whether a machine that lost its VMM to a host reboot is started again. */
function isToRun({ state, desired }: Machine): boolean {
  return state === 'running' && desired === 'running';
}

function hasVmm(machine: Machine): boolean {
  return machine.state === 'running' || machine.state === 'paused';
}

const restStates: readonly MachineState[] = ['created', 'suspended', 'stopped', 'failed'];

/** Whether the machine should have no VMM: it has no open operation, and its state has no VMM. */
export function isAtRest(machine: Machine): boolean {
  return restStates.includes(machine.state);
}

const lostFacts: ExitFacts = {
  kind: 'died',
  exitCode: null,
  signal: null,
  reason: 'the VMM is gone; its exit was not seen',
};
