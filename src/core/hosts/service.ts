/** What a host offers and what its machines have of it. Every figure counts what was promised, not what is in use. */
import type { Capacity } from '../machines/capacity.ts';
import type { Machine } from '../machines/machine.ts';
import { diskMibMax } from '../machines/spec.ts';
import { statesWithMemory } from '../machines/states.ts';
import { type Edges, lookTimeoutMs } from '../machines/steps/context.ts';
import type { Store } from '../ports/store.ts';

export interface HostServiceDeps {
  readonly store: Store;
  readonly edges: Edges;
  readonly hostId: string;
  readonly capacity: Capacity;
  /** Processors of the host. */
  readonly processorCount: number;
}

export interface HostDescription {
  readonly id: string;
  readonly engines: readonly string[];
  readonly processors: Figures;
  readonly memoryMib: Figures;
  /** The total is what the machines' disks may grow to, and what is free. */
  readonly diskMib: Figures;
  readonly machineCount: number;
  readonly environmentCount: number;
  /** When its daemon started, RFC 3339. */
  readonly startedAt: string;
}

export interface Figures {
  readonly total: number;
  readonly used: number;
}

export interface EngineLimits {
  readonly vcpuCountMax: number;
  readonly memoryMibMax: number;
  readonly diskMibMax: number;
}

export class HostService {
  readonly #deps: HostServiceDeps;
  readonly #startedAt: string;

  constructor(deps: HostServiceDeps) {
    this.#deps = deps;
    this.#startedAt = deps.edges.clock.now().toISOString();
  }

  get id(): string {
    return this.#deps.hostId;
  }

  /** The machines of all tenants count. */
  async describe(): Promise<HostDescription> {
    const { store, edges, hostId, capacity, processorCount } = this.#deps;
    const [machines, environmentCount, freeMib] = await Promise.all([
      store.machines.all(hostId),
      store.environments.count(hostId),
      edges.disks.freeMib(AbortSignal.timeout(lookTimeoutMs)),
    ]);
    const holding = machines.filter(
      ({ state, handle }) => statesWithMemory.includes(state) || handle !== null,
    );
    const diskMib = sum(machines, ({ spec }) => spec.diskMib);
    return {
      id: hostId,
      engines: [...edges.engines.keys()],
      processors: { total: processorCount, used: sum(holding, ({ spec }) => spec.vcpuCount) },
      memoryMib: { total: capacity.memoryMib, used: sum(holding, ({ spec }) => spec.memoryMib) },
      diskMib: { total: diskMib + freeMib, used: diskMib },
      machineCount: machines.length,
      environmentCount,
      startedAt: this.#startedAt,
    };
  }

  /** The largest machine that an engine of this host runs; null when the host does not have the engine. */
  limitsOf(engine: string): EngineLimits | null {
    const driver = this.#deps.edges.engines.get(engine);
    if (driver === undefined) return null;
    const { vcpuCountMax, memoryMibMax } = driver.capabilities;
    return { vcpuCountMax, memoryMibMax, diskMibMax };
  }
}

function sum(machines: readonly Machine[], figure: (machine: Machine) => number): number {
  return machines.reduce((total, machine) => total + figure(machine), 0);
}
