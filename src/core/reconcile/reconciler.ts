/**
 * Looks at this host and carries out what `planRepairs` says. Takes no input, so it can run at any time: at start,
 * after open operations were taken up.
 */
import type { Machine } from '../machines/machine.ts';
import type { MachineService } from '../machines/service.ts';
import type { Edges } from '../machines/steps/context.ts';
import { engineOf } from '../machines/steps/context.ts';
import type { EngineStatus } from '../ports/engine.ts';
import type { Store } from '../ports/store.ts';
import { isAtRest, type Observed, planRepairs, type Repair } from './plan.ts';

const endStrayTimeoutMs = 30_000;

export interface ReconcilerDeps {
  readonly store: Store;
  readonly edges: Edges;
  readonly machines: MachineService;
}

export class Reconciler {
  readonly #deps: ReconcilerDeps;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  /** One look and its repairs; resolves with what was repaired. A repair that fails is logged, the rest goes on. */
  async run(): Promise<readonly Repair[]> {
    const { edges } = this.#deps;
    // Observed first: what is recorded after that look can only be more than was seen, so nothing live looks orphaned.
    const observed = await this.#observe();
    const machines = await this.#deps.store.machines.all();
    const repairs = planRepairs(machines, observed);
    for (const repair of repairs) {
      try {
        await this.#carryOut(repair);
      } catch (error) {
        edges.log.error({ repair: repair.kind, err: error }, 'repair failed');
      }
    }
    return repairs;
  }

  async #observe(): Promise<Observed> {
    const { edges, store } = this.#deps;
    const incarnations = new Map<string, readonly string[]>();
    for (const [kind, driver] of edges.engines) incarnations.set(kind, await driver.list());
    const disks = await edges.disks.list();
    const statuses = new Map<string, EngineStatus>();
    const strays = new Set<string>();
    for (const machine of await store.machines.all()) {
      if (!machine.incarnation) continue;
      const status = await this.#inspect(machine);
      if (status) statuses.set(machine.incarnation, status);
      if (isAtRest(machine) && (await engineOf(edges, machine).find(machine.incarnation))) {
        strays.add(machine.incarnation);
      }
    }
    return { statuses, strays, incarnations, disks };
  }

  async #inspect(machine: Machine): Promise<EngineStatus | null> {
    if (!machine.handle || (machine.state !== 'running' && machine.state !== 'paused')) return null;
    try {
      return await engineOf(this.#deps.edges, machine).inspect(machine.handle);
    } catch (error) {
      this.#deps.edges.log.warn({ machine: machine.id, err: error }, 'VMM cannot be inspected');
      return null;
    }
  }

  async #carryOut(repair: Repair): Promise<void> {
    const { edges, machines } = this.#deps;
    switch (repair.kind) {
      case 'adopt':
        machines.adopt(repair.machine);
        return;
      case 'exited':
        await machines.exited(repair.machine, repair.facts);
        return;
      case 'end_stray':
        edges.log.warn({ machine: repair.machine.id }, 'VMM of a machine that is not to run is ended');
        await this.#endStray(repair.machine);
        return;
      case 'destroy_orphan':
        edges.log.warn(
          { engine: repair.engine, incarnation: repair.incarnation },
          'orphaned VMM is destroyed',
        );
        await edges.engines.get(repair.engine)?.destroy(repair.incarnation);
        return;
      case 'remove_disk':
        edges.log.warn({ machine: repair.machineId }, 'orphaned disk is removed');
        await edges.disks.remove(repair.machineId);
    }
  }

  async #endStray(machine: Machine): Promise<void> {
    const driver = engineOf(this.#deps.edges, machine);
    const handle = machine.incarnation && (await driver.find(machine.incarnation));
    if (handle) await driver.stop(handle, AbortSignal.timeout(endStrayTimeoutMs));
  }
}
