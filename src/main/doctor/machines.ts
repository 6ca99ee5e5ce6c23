/** Findings about differences between records and observations. Pure. */
import type { Machine } from '../../core/machines/machine.ts';
import { isTransit } from '../../core/machines/states.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { Foreign } from '../../core/reconcile/foreign.ts';
import type { Observed, Repair, UnknownIncarnation } from '../../core/reconcile/plan.ts';
import { type Finding, fail, ok, warn } from '../../setup/doctor/finding.ts';
import type { RecordedMachine } from '../../setup/doctor/state-files.ts';
import type { StateLayout } from '../../storage/layout.ts';

export interface Situation {
  readonly layout: StateLayout;
  readonly isDaemonRunning: boolean;
}

/** Reports what the reconciler would do; adopting a running machine is not reported. */
export function checkRepairs(repairs: readonly Repair[], situation: Situation): readonly Finding[] {
  const { isDaemonRunning, layout } = situation;
  const hint = isDaemonRunning
    ? `The daemon repairs this within seconds; if it stays, look at ${layout.logFile}.`
    : 'The next start of the daemon repairs this: ./flotilla up';
  return repairs.flatMap((repair) => {
    const said = describe(repair, layout);
    return said === null ? [] : [warn(said.subject, said.message, hint)];
  });
}

function describe(
  repair: Repair,
  layout: StateLayout,
): { readonly subject: string; readonly message: string } | null {
  const of = (machine: Machine, message: string) => ({ subject: subjectOf(machine), message });
  switch (repair.kind) {
    case 'adopt':
      return null;
    case 'exited':
      return of(
        repair.machine,
        `recorded as ${repair.machine.state}, and its VMM has ended: ${repair.facts.reason}`,
      );
    case 'host_rebooted': {
      const next = repair.isToRun ? 'is started again' : 'is recorded as stopped';
      return of(repair.machine, `it ran until the host went down and ${next}`);
    }
    case 'mark_disk_full':
      return of(repair.machine, 'its guest waits for space on the host’s disk');
    case 'resume':
      return of(repair.machine, 'its guest waits for space, and there is some again');
    case 'pause':
      return of(repair.machine, 'it is recorded as paused, and its guest runs');
    case 'clear_disk_full':
      return of(repair.machine, 'it is recorded as waiting for space, and runs');
    case 'end_stray':
      return of(repair.machine, `it is recorded as ${repair.machine.state}, and its VMM runs`);
    case 'destroy_orphan': {
      const subject = `${repair.engine} ${repair.incarnation}`;
      return {
        subject,
        message: `a VMM or its directory belongs to no machine: ${layout.run}/${repair.incarnation}`,
      };
    }
    case 'quarantine_disk':
      return {
        subject: `disk ${repair.machineId}`,
        message: `it belongs to no machine: ${layout.disks}/${repair.machineId}`,
      };
    case 'attach':
      return of(repair.machine, 'it runs, and nothing of it is in the network of the host');
    case 'detach':
      return of(repair.machine, `it is recorded as ${repair.machine.state}, and has a place in the network`);
    case 'detach_orphan':
      return { subject: `network of ${repair.machineId}`, message: 'it belongs to no machine' };
    case 'apply_rules':
      return of(repair.machine, 'the latest change of its network is not in force yet');
  }
}

/** Reports open operations, and machines in transit without an open operation. */
export function checkOperations(
  machines: readonly Machine[],
  open: readonly Operation[],
  { isDaemonRunning }: Situation,
): readonly Finding[] {
  const byId = new Map(machines.map((machine) => [machine.id, machine]));
  const operations = open.map((operation) => {
    const [about] = operation.subjects;
    const machine = byId.get(about?.id ?? '');
    const subject = machine ? subjectOf(machine) : `${about?.kind} ${about?.id}`;
    if (isDaemonRunning) return ok(subject, `${operation.kind} is under way`);
    return warn(
      subject,
      `${operation.kind} was interrupted and will be taken up at the next start of the daemon`,
      './flotilla up starts it.',
    );
  });
  const openIds = new Set(open.map(({ id }) => id));
  const stuck = machines
    .filter(({ operationId }) => operationId !== null && !openIds.has(operationId))
    .map((machine) => {
      const message = `recorded as ${machine.state}, and its operation ${machine.operationId} is not open`;
      return fail(
        subjectOf(machine),
        message,
        'Restore flotilla.db from a backup, and report this as a defect.',
      );
    });
  return [...operations, ...stuck];
}

/** Reports recorded machines without a disk; `isThere` checks the disk file itself. */
export function checkDisks(
  machines: readonly Machine[],
  isThere: (machineId: string) => boolean,
  { layout }: Situation,
): readonly Finding[] {
  return machines
    .filter((machine) => !isTransit(machine.state) && !isThere(machine.id))
    .map((machine) =>
      fail(
        subjectOf(machine),
        `its disk is missing: ${layout.disk(machine.id)}`,
        `Restore the file from a backup, or: ./flotilla rm ${machine.spec.name}`,
      ),
    );
}

/** Reports foreign machines, which only a record beside their disk knows. */
export function checkForeign(foreign: readonly Foreign[], { layout }: Situation): readonly Finding[] {
  return foreign.map(({ machineId }) =>
    warn(
      `disk ${machineId}`,
      `machine of another database: it has a record beside its disk, ${layout.diskDir(machineId)}, and none in the database`,
      `Put the database back that knows it, or take this one away and start with --adopt-state. When nobody misses the machine: mv ${layout.diskDir(machineId)} ${layout.quarantine}/${machineId}.0, then ./flotilla gc`,
    ),
  );
}

/** Reports VMMs, or their remains, that no record explains and no daemon of this host started. */
export function checkStrangers(
  strangers: readonly UnknownIncarnation[],
  { layout }: Situation,
): readonly Finding[] {
  return strangers.map(({ engine, incarnation, hostId }) => {
    const whose = hostId === null ? 'nothing says whose it is' : `host ${hostId} began it`;
    const directory = `${layout.run}/${incarnation}`;
    return warn(
      `${engine} ${incarnation}`,
      `a VMM or its directory belongs to no machine of this database, and ${whose}; it is left alone: ${directory}`,
      `When nobody misses it, end the process that ${directory}/vmm.json names and remove the directory.`,
    );
  });
}

/** One line that counts the machines. */
export function summarise(machines: readonly Machine[], { statuses }: Observed): Finding {
  if (machines.length === 0) return ok('machines', 'none recorded');
  const running = machines.filter(({ state, incarnation }) => {
    const status = statuses.get(incarnation ?? '')?.state;
    return state === 'running' && (status === 'running' || status === 'paused');
  });
  return ok('machines', `${machines.length} recorded, ${running.length} running`);
}

/** The part of a machine that the file checks need. */
export function recordedMachine(machine: Machine): RecordedMachine {
  const { id, slot, imageDigest, incarnation, spec, state } = machine;
  return { id, name: spec.name, slot, imageDigest, incarnation, isInTransit: isTransit(state) };
}

function subjectOf(machine: Machine): string {
  return `machine ${machine.spec.name}`;
}
