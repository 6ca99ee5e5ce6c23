/**
 * Compares what is recorded with what is there and says what to do. Pure: no input but the two pictures, so the same
 * pictures always give the same repairs, and carrying a repair out twice does no harm.
 */
import type { Machine } from '../machines/machine.ts';
import type { EngineStatus, ExitFacts } from '../ports/engine.ts';

export interface Observed {
  /** Incarnation → what its engine says, of each machine that should have a VMM. */
  readonly statuses: ReadonlyMap<string, EngineStatus>;
  /** Incarnations whose VMM lives though their machine is neither to run nor under way. */
  readonly strays: ReadonlySet<string>;
  /** Incarnations of which an engine has anything: engine kind → incarnations. */
  readonly incarnations: ReadonlyMap<string, readonly string[]>;
  /** Machine ids that have a disk. */
  readonly disks: readonly string[];
}

export type Repair =
  | { readonly kind: 'adopt'; readonly machine: Machine }
  | { readonly kind: 'exited'; readonly machine: Machine; readonly facts: ExitFacts }
  | { readonly kind: 'end_stray'; readonly machine: Machine }
  | { readonly kind: 'destroy_orphan'; readonly engine: string; readonly incarnation: string }
  | { readonly kind: 'remove_disk'; readonly machineId: string };

/** Machines with an open operation are left to it. */
export function planRepairs(machines: readonly Machine[], observed: Observed): readonly Repair[] {
  const repairs: Repair[] = [];
  for (const machine of machines) {
    if (isAtRest(machine) && observed.strays.has(machine.incarnation ?? '')) {
      repairs.push({ kind: 'end_stray', machine });
    }
    if (machine.state !== 'running' && machine.state !== 'paused') continue;
    const status = observed.statuses.get(machine.incarnation ?? '');
    if (!status) continue;
    if (status.state === 'exited') repairs.push({ kind: 'exited', machine, facts: status.facts });
    else if (status.state === 'absent') repairs.push({ kind: 'exited', machine, facts: lostFacts });
    else repairs.push({ kind: 'adopt', machine });
  }
  // An incarnation is recorded before it is launched, and kept after it ended as long as its console is.
  const known = new Set(machines.map(({ incarnation }) => incarnation));
  for (const [engine, incarnations] of observed.incarnations) {
    for (const incarnation of incarnations) {
      if (!known.has(incarnation)) repairs.push({ kind: 'destroy_orphan', engine, incarnation });
    }
  }
  const ids = new Set(machines.map(({ id }) => id));
  for (const machineId of observed.disks) {
    if (!ids.has(machineId)) repairs.push({ kind: 'remove_disk', machineId });
  }
  return repairs;
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
