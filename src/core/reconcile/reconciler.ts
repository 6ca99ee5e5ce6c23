/**
 * Observes this host and carries out the repairs of `planRepairs`. It needs no input and may run at any time:
 * when the daemon starts, on a timer, and after an operation that left something undone (`nudge`).
 *
 * Normally, events report changes. What only the timer finds was missed by the events, which is a defect: it
 * is repaired and logged as one. Since an event may still be on its way, a finding of the timer counts only
 * when a second look confirms it.
 */
import { abortable } from '../../lib/abort.ts';
import type { Machine } from '../machines/machine.ts';
import { type Edges, engineOf } from '../machines/steps/context.ts';
import { tellTime } from '../machines/steps/pause.ts';
import type { Supervisor } from '../machines/supervisor.ts';
import type { MachineNetworks } from '../network/networks.ts';
import type { Owner } from '../operations/operation.ts';
import type { Store } from '../ports/store.ts';
import { findForeign } from './foreign.ts';
import { observe } from './observe.ts';
import { diskFullCode, findUnknown, planRepairs, type Repair } from './plan.ts';
import { putProcessorsRight } from './processors.ts';

/** Interval of the timer. */
const intervalMs = 10_000;
/** Time between a finding of the timer and the look that confirms it; events take milliseconds. */
const confirmMs = 1_000;
/** Limit of one repair. A repair that hangs is tried again at the next look. */
const repairTimeoutMs = 30_000;
/** How many ended operations are kept, and how often older ones are pruned. */
const operationsKept = 1_000;
const ticksToPrune = 60;
/** How many events are kept: some hours on a busy host. */
const eventsKept = 20_000;

const dayMs = 86_400_000;

export interface ReconcilerDeps {
  readonly store: Store;
  readonly edges: Edges;
  readonly supervisor: Supervisor;
  readonly networks: MachineNetworks;
  readonly owner: Owner;
  /** How many days the disks of unknown machines are kept. Default: 7. */
  readonly quarantineDays?: number;
}

export class Reconciler {
  readonly #deps: ReconcilerDeps;
  #running: Promise<unknown> = Promise.resolve();
  #ticks = 0;
  /** Whether a look is requested that has not started yet; it serves all nudges until then. */
  #isNudged = false;
  #stopTimer: () => void = () => undefined;
  /** What the last look left alone because it is foreign → whether it was logged. */
  #left: ReadonlyMap<string, boolean> = new Map();
  #agedAtMs: number;
  readonly #closing = new AbortController();

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
    this.#agedAtMs = deps.edges.clock.elapsedMs();
  }

  /**
   * Looks, repairs, and looks a second time before anything is treated as unknown. Resolves with the repairs.
   * A failed repair is logged, and the others continue.
   */
  run(): Promise<readonly Repair[]> {
    return this.#exclusively(async () => {
      const repairs = await this.#look();
      const isSure = repairs.every((repair) => !isOfUnknown(repair));
      const again = isSure ? null : new Set((await this.#look()).map(keyOf));
      const confirmed = repairs.filter((repair) => !isOfUnknown(repair) || again?.has(keyOf(repair)));
      await this.#carryOutAll(confirmed);
      return confirmed;
    });
  }

  /** Starts the timer; it runs until `close`. */
  start(): void {
    this.#stopTimer = this.#deps.edges.clock.every(intervalMs, () => this.#tick());
  }

  /** Requests a look soon, after something was left undone. */
  nudge(): void {
    if (this.#isNudged) return;
    this.#isNudged = true;
    const look = this.#running.then(() => {
      this.#isNudged = false;
      return this.run();
    });
    look.catch((error: unknown) => this.#deps.edges.log.error({ err: error }, 'reconciliation failed'));
  }

  async close(): Promise<void> {
    this.#stopTimer();
    this.#closing.abort();
    await this.#running;
  }

  async #tick(): Promise<void> {
    const { edges, store, supervisor } = this.#deps;
    try {
      // Before the look and outside its lock, because a recovered operation may take as long as a boot.
      void supervisor.recoverOrphans().catch((error: unknown) => {
        edges.log.error({ err: error }, 'open operations not taken up');
      });
      await this.#exclusively(async () => {
        if (this.#ticks++ % ticksToPrune === 0) {
          await store.operations.prune(operationsKept);
          await store.events.prune(eventsKept);
          await this.#ageQuarantine();
        }
        const first = await this.#look();
        await this.#carryOutAll(first.filter(isRoutine));
        const doubtful = first.filter((repair) => !isRoutine(repair));
        if (doubtful.length === 0) return;
        await edges.clock.sleep(confirmMs, this.#closing.signal);
        const again = new Set((await this.#look()).map(keyOf));
        const confirmed = doubtful.filter((repair) => again.has(keyOf(repair)));
        for (const repair of confirmed) {
          edges.log.error({ repair: keyOf(repair) }, 'only the timer found this: a defect, please report it');
        }
        await this.#carryOutAll(confirmed);
      });
    } catch (error) {
      if (!this.#closing.signal.aborted) edges.log.error({ err: error }, 'reconciliation failed');
    }
  }

  /**
   * Takes the observation first and reads the store second. A machine recorded in between then explains what
   * was observed, so nothing live is mistaken for an orphan.
   */
  async #look(): Promise<readonly Repair[]> {
    const { store, edges, owner, networks } = this.#deps;
    const { hostId, epoch } = owner;
    // Another daemon has claimed the host, so this one must not repair anything on it.
    if ((await store.hosts.epoch(hostId)) !== epoch) {
      edges.log.error(
        { host: hostId, epoch },
        'another daemon has taken over this host; reconciliation stopped',
      );
      return [];
    }
    const recordedBefore = await store.machines.all(hostId);
    const observed = await observe(edges, networks, recordedBefore, owner, this.#closing.signal);
    const machines = await store.machines.all(hostId);
    const damaged = await store.machines.damaged(hostId);
    const known = new Set([...machines, ...damaged].map(({ id }) => id));
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(repairTimeoutMs)]);
    const foreign = await findForeign(edges.records, observed.disks ?? [], known, signal);
    const recorded = [machines, await store.operations.open(hostId), observed, damaged, foreign] as const;
    const strangers = findUnknown(...recorded).filter((found) => found.hostId !== hostId);
    this.#tellLeft([
      ...foreign.map(({ machineId }) => `machine ${machineId} of another database`),
      ...strangers.map(
        ({ engine, incarnation }) => `${engine} ${incarnation}, not started by a daemon of this host`,
      ),
    ]);
    return planRepairs(...recorded);
  }

  /**
   * Logs each once, and only at its second sighting: a machine that is being deleted briefly looks foreign
   * too.
   */
  #tellLeft(names: readonly string[]): void {
    const before = this.#left;
    this.#left = new Map(names.map((name) => [name, before.has(name)]));
    for (const what of names)
      if (before.get(what) === false) this.#deps.edges.log.warn({ what }, 'left alone: not in this database');
  }

  async #carryOutAll(repairs: readonly Repair[]): Promise<void> {
    for (const repair of repairs) {
      try {
        const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(repairTimeoutMs)]);
        await abortable(this.#carryOut(repair, signal), signal);
      } catch (error) {
        this.#deps.edges.log.error({ repair: keyOf(repair), err: error }, 'repair failed');
      }
    }
  }

  async #carryOut(repair: Repair, signal: AbortSignal): Promise<void> {
    const { edges, supervisor, networks } = this.#deps;
    if (repair.kind !== 'adopt') edges.log.info({ repair: keyOf(repair) }, 'repair');
    switch (repair.kind) {
      case 'adopt':
        return supervisor.adopt(repair.machine);
      case 'exited':
        return supervisor.recordExit(repair.machine, repair.facts);
      case 'host_rebooted':
        return supervisor.recordHostReboot(repair.machine, repair.isToRun);
      case 'mark_disk_full':
        return this.#setDiskFull(repair.machine, true);
      case 'clear_disk_full':
        return this.#setDiskFull(repair.machine, false);
      case 'resume':
      case 'pause':
        return this.#putProcessorsRight(repair.machine, signal);
      case 'end_stray':
        return this.#endStray(repair.machine, signal);
      case 'destroy_orphan':
        return edges.engines.get(repair.engine)?.destroy(repair.incarnation, signal);
      case 'quarantine_disk':
        return edges.disks.quarantine(repair.machineId, signal);
      case 'attach':
        return networks.attach(repair.machine, signal).ended;
      case 'detach':
        return networks.settle(repair.machine.id, signal);
      case 'detach_orphan':
        return networks.settle(repair.machineId, signal);
      case 'apply_rules':
        return networks.catchUp(repair.machine, signal);
    }
  }

  /** Ages the quarantine by the time elapsed since the last call; nothing ages while no daemon runs. */
  async #ageQuarantine(): Promise<void> {
    const { edges, quarantineDays = 7 } = this.#deps;
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(repairTimeoutMs)]);
    const elapsedMs = edges.clock.elapsedMs();
    const byMs = elapsedMs - this.#agedAtMs;
    const removed = await edges.disks.ageQuarantine(byMs, quarantineDays * dayMs, signal);
    this.#agedAtMs = elapsedMs;
    if (removed.length > 0) edges.log.info({ removed }, 'disks of unknown machines removed');
  }

  async #putProcessorsRight(machine: Machine, signal: AbortSignal): Promise<void> {
    const { store, edges } = this.#deps;
    if (!(await putProcessorsRight(store, edges, machine, signal))) return;
    await this.#setDiskFull(machine, false);
    // Not awaited: if the disk is still full, the guest does not answer.
    void tellTime(edges, machine, this.#closing.signal);
  }

  /** Only for a machine that still runs as observed; failures that others record meanwhile are kept. */
  #setDiskFull(seen: Machine, isFull: boolean): Promise<void> {
    const at = this.#deps.edges.clock.now().toISOString();
    const message = 'the host’s disk is full; the guest is paused and resumes when there is space';
    const failure = isFull ? { code: diskFullCode, message, at, console: [] } : null;
    return this.#deps.store.transaction(async ({ machines }) => {
      const now = await machines.get(seen.id);
      if (now?.state !== 'running' || now.incarnation !== seen.incarnation || now.operationId) return;
      if (!isFull && now.failure?.code !== diskFullCode) return;
      await machines.patch(now.id, now.incarnation, { failure }, at);
    });
  }

  async #endStray(machine: Machine, signal: AbortSignal): Promise<void> {
    const driver = engineOf(this.#deps.edges, machine);
    const handle = machine.incarnation && (await driver.find(machine.incarnation, signal));
    if (handle) await driver.stop(handle, signal);
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#running.then(work);
    this.#running = result.catch(() => undefined);
    return result;
  }
}

/** Whether the repair ends or quarantines something that appears unknown. */
function isOfUnknown({ kind }: Repair): boolean {
  return kind === 'destroy_orphan' || kind === 'quarantine_disk' || kind === 'detach_orphan';
}

/** Whether finding this is normal because no event reports it, so that it is not a defect. */
function isRoutine({ kind }: Repair): boolean {
  return (
    kind === 'adopt' ||
    kind === 'mark_disk_full' ||
    kind === 'clear_disk_full' ||
    kind === 'resume' ||
    kind === 'pause' ||
    kind === 'apply_rules'
  );
}

function keyOf(repair: Repair): string {
  switch (repair.kind) {
    case 'destroy_orphan':
      return `${repair.kind} ${repair.incarnation}`;
    case 'quarantine_disk':
    case 'detach_orphan':
      return `${repair.kind} ${repair.machineId}`;
    default:
      return `${repair.kind} ${repair.machine.id} ${repair.machine.incarnation}`;
  }
}
