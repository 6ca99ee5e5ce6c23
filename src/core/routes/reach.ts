/**
 * What strangers may reach of machines: exposed ports, and the ports that routes name. Called by the reverse proxy, for
 * requests that name no tenant and carry no key. Decides what is reachable, and knows nothing of HTTP.
 */
import type { Duplex } from 'node:stream';
import type { ConnectionService } from '../connections/service.ts';
import { AppError } from '../errors.ts';
import { machineNotFound } from '../machines/lookup.ts';
import type { AwakeMachine, WakeRequest, Waking } from '../machines/waking.ts';
import type { Store } from '../ports/store.ts';
import type { RouteLock } from './tokens.ts';

/** Where a request goes to. */
export interface Destination {
  readonly tenant: string;
  readonly machineId: string;
  readonly port: number;
  /** Whether this way of reaching the machine wakes it; the machine's own setting can forbid it as well. */
  readonly isToWake: boolean;
  /** What a token of the request must open; null: everybody may. */
  readonly lock: RouteLock | null;
}

export interface ReachDeps {
  readonly store: Pick<Store, 'machines' | 'routes'>;
  readonly waking: Pick<Waking, 'ensureAwakeById'>;
  readonly connections: Pick<ConnectionService, 'connectTo'>;
}

export class Reach {
  readonly #deps: ReachDeps;

  constructor(deps: ReachDeps) {
    this.#deps = deps;
  }

  /** A port of the machine with this id; names are not unique across tenants. Raises `not_found`, `forbidden` (not exposed). */
  async byId(machineId: string, port: number): Promise<Destination> {
    const machine = await this.#deps.store.machines.get(machineId);
    if (machine === null) throw machineNotFound(machineId);
    if (!machine.spec.exposedPorts.includes(port)) {
      throw new AppError('forbidden', `Port ${port} is not exposed on this machine`, { details: { port } });
    }
    return { tenant: machine.tenant, machineId, port, isToWake: true, lock: null };
  }

  /** Where the route with this subdomain leads; null when there is none. A route exposes its own port. */
  async bySubdomain(subdomain: string): Promise<Destination | null> {
    const route = await this.#deps.store.routes.bySubdomain(subdomain);
    if (route === null) return null;
    const { id, tenant, machineId, targetPort: port, autoWake: isToWake, secret } = route;
    return { tenant, machineId, port, isToWake, lock: secret === null ? null : { id, secret } };
  }

  /** See `Waking.ensureAwake`. */
  wake(request: WakeRequest): Promise<AwakeMachine> {
    return this.#deps.waking.ensureAwakeById(request.machine, request);
  }

  /** See `ConnectionService.connectTo`. */
  connect(awake: AwakeMachine, port: number, signal: AbortSignal): Promise<Duplex> {
    return this.#deps.connections.connectTo(awake.machine, port, signal);
  }
}
