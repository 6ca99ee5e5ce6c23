/**
 * Connections to programs that listen in running machines: for tenants, called by dialects, and for edges of this host
 * that decide themselves who may connect, such as the reverse proxy and published ports that the daemon carries. The only place that knows how a port of a machine is
 * reached.
 */
import { type Duplex, finished } from 'node:stream';
import { AppError } from '../errors.ts';
import type { Activity } from '../machines/activity.ts';
import { type AnsweringDeps, findAnswering, findAnsweringById } from '../machines/answering.ts';
import { stateConflict } from '../machines/lookup.ts';
import type { Machine } from '../machines/machine.ts';
import { PerMachineLimit } from '../machines/per-machine-limit.ts';
import { decide } from '../machines/states.ts';
import { type Edges, guestOf } from '../machines/steps/context.ts';
import type { GuestTarget } from '../ports/guest.ts';

/** Connections that one machine may have open: a guest, its link and this host have limits. */
export const connectionsPerMachineMax = 128;

export interface ConnectionServiceDeps extends AnsweringDeps {
  readonly edges: Edges;
}

/** Whose machine it is, its id or name, and the TCP port. */
export interface PortOf {
  readonly tenant: string;
  readonly machine: string;
  readonly port: number;
}

export class ConnectionService {
  readonly #deps: ConnectionServiceDeps;
  readonly #connections: PerMachineLimit;
  /** Those of this host's edges, which may be kept between requests. */
  readonly #kept: PerMachineLimit;
  /** Those of published ports. */
  readonly #published: PerMachineLimit;

  constructor(deps: ConnectionServiceDeps) {
    this.#deps = deps;
    const limit = (activity: Activity | null) =>
      new PerMachineLimit(activity, connectionsPerMachineMax, tooMany);
    this.#connections = limit(deps.activity);
    this.#kept = limit(null);
    this.#published = limit(deps.activity);
  }

  /**
   * Connects to a port of a machine that the caller has awake. The connection is no use of the machine by itself; whoever
   * keeps it open without need, for the next request, does not keep the machine from resting. Raises what `connect` does.
   */
  async connectTo(machine: Machine, port: number, signal: AbortSignal): Promise<Duplex> {
    if (decide('exec', machine.state).verdict !== 'accept') throw stateConflict('exec', machine);
    return this.#open(this.#kept, guestOf(machine), port, signal);
  }

  /** For whoever connects to a published port, which is all that is needed. Wakes nothing. Raises what `connect` does. */
  async connectPublished(machineId: string, port: number, signal: AbortSignal): Promise<Duplex> {
    const { target } = await findAnsweringById(this.#deps, machineId);
    return this.#open(this.#published, target, port, signal);
  }

  /**
   * Raises `not_found`, `conflict` (the machine does not run, or nothing listens on the port), `exhausted`, and the errors of
   * `GuestConnections`, which also says how the stream ends. Listen for its errors at once.
   */
  async connect({ tenant, machine: idOrName, port }: PortOf, signal: AbortSignal): Promise<Duplex> {
    const { target } = await findAnswering(this.#deps, tenant, idOrName);
    return this.#open(this.#connections, target, port, signal);
  }

  async #open(
    limit: PerMachineLimit,
    target: GuestTarget,
    port: number,
    signal: AbortSignal,
  ): Promise<Duplex> {
    const free = limit.take(target.machineId);
    try {
      const connection = await this.#deps.edges.guest.connections.connect(target, port, signal);
      finished(connection, free);
      return connection;
    } catch (error) {
      free();
      throw error;
    }
  }
}

function tooMany(machineId: string): AppError {
  return new AppError(
    'exhausted',
    `machine ${machineId} has ${connectionsPerMachineMax} connections already`,
    {
      hint: 'Close one.',
    },
  );
}
