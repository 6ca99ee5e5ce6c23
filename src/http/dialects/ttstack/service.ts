/** TTstack's calls as core's use cases, for the controller's routes and the host's. */
import { AppError, isAppError } from '../../../core/errors.ts';
import type { HostDescription } from '../../../core/hosts/service.ts';
import type { Caller } from '../../../core/keys/caller.ts';
import type { Machine } from '../../../core/machines/machine.ts';
import type { MachineState } from '../../../core/machines/states.ts';
import type { HttpDeps } from '../../context.ts';
import { requireFit, schedulingError } from './scheduling.ts';
import type * as schema from './schema.ts';
import {
  checkName,
  enginesOf,
  environmentLabel,
  toCreateRequest,
  toEnv,
  toEnvDetail,
  toEnvironmentRequest,
  toHost,
  toResource,
  toVm,
  toWanted,
} from './translate.ts';

type Deps = Pick<HttpDeps, 'environments' | 'hosts' | 'images' | 'machines' | 'network'>;

/** TTstack's command line gives up after 60 s; this leaves time for everything else of the request. */
const patienceMs = 45_000;
/** From these a machine is resumed. */
const pausedStates: readonly MachineState[] = ['pausing', 'paused', 'resuming'];
/** Its lists have no pages. */
const listMax = 10_000;

export class TtstackService {
  readonly #deps: Deps;

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  /** Only this host's own address is accepted. */
  async addHost(addr: string, ownAddress: string): Promise<schema.HostBody> {
    const { host, port } = parseAddress(addr);
    const own = parseAddress(ownAddress);
    const isOwn = port === own.port && (host === own.host || loopbackNames.has(host));
    if (isOwn) return toHost(await this.#deps.hosts.describe(), ownAddress);
    throw new AppError('conflict', 'fleet limit reached (1 host): this server manages only its own host', {
      hint: `Use its address, ${ownAddress}.`,
    });
  }

  async hosts(ownAddress: string): Promise<schema.HostBody[]> {
    return [toHost(await this.#deps.hosts.describe(), ownAddress)];
  }

  async host(id: string, ownAddress: string): Promise<schema.HostBody> {
    const host = await this.#deps.hosts.describe();
    if (host.id === id) return toHost(host, ownAddress);
    throw new AppError('not_found', `host not found: ${id}`);
  }

  /** An unknown host is gone already. This host cannot leave itself. */
  async removeHost(id: string): Promise<void> {
    const host = await this.#deps.hosts.describe();
    if (host.id !== id) return;
    const { machineCount } = host;
    throw new AppError(
      'conflict',
      machineCount > 0
        ? `host ${id} still has ${machineCount} VMs; destroy them first`
        : `host ${id} is this server itself and cannot be removed`,
    );
  }

  async createEnv(caller: Caller, asked: schema.CreateEnv): Promise<schema.EnvDetail> {
    checkName('env name', asked.id);
    const wanted = asked.vms.map((vm) => toWanted(vm, asked.ssh_keys ?? []));
    for (const each of wanted) requireFit(this.#deps.hosts, each);
    const request = toEnvironmentRequest(asked, wanted, this.#deps.network.facts);
    try {
      const { environments } = this.#deps;
      return toEnvDetail(await environments.create(caller.tenant, request, { patienceMs, asker: caller }));
    } catch (error) {
      throw schedulingError(error, wanted);
    }
  }

  async envs({ tenant }: Caller, owner: string | undefined): Promise<schema.EnvBody[]> {
    const { environments } = this.#deps;
    const page = await environments.list(tenant, { owner, limit: listMax, offset: 0 });
    const details = await Promise.all(
      page.environments.map(({ id }) => orGone(environments.get(tenant, id))),
    );
    return details.flatMap((each) => (each === null ? [] : [toEnv(each.environment, each.machines)]));
  }

  async env({ tenant }: Caller, id: string): Promise<schema.EnvDetail> {
    return toEnvDetail(await this.#deps.environments.get(tenant, id));
  }

  async extendEnv({ tenant }: Caller, id: string, lifetimeSeconds: number): Promise<schema.EnvDetail> {
    return toEnvDetail(await this.#deps.environments.extend(tenant, id, { lifetimeSeconds }));
  }

  async vms(caller: Caller): Promise<schema.VmBody[]> {
    return (await this.#machines(caller)).map((machine) => toVm(machine));
  }

  async vm({ tenant }: Caller, id: string): Promise<schema.VmBody> {
    return toVm(await this.#deps.machines.get(tenant, id));
  }

  async imageNames({ tenant }: Caller): Promise<string[]> {
    return (await this.#deps.images.list(tenant)).map(({ name }) => name);
  }

  async status() {
    const host = await this.#deps.hosts.describe();
    const { vm_count: total_vms, ...figures } = toResource(host);
    return { hosts: 1, hosts_online: 1, total_vms, total_envs: host.environmentCount, ...figures };
  }

  async info(caller: Caller) {
    const host: HostDescription = await this.#deps.hosts.describe();
    return {
      ...{ host_id: host.id, resource: toResource(host), engines: enginesOf(host), storage: 'file' as const },
      images: await this.imageNames(caller),
    };
  }

  /** The controller chooses the id; here it is the machine's name, which every path accepts. */
  async createVm(caller: Caller, asked: schema.CreateVm): Promise<schema.VmBody> {
    const { machines, hosts } = this.#deps;
    const { vm_id, env_id } = asked;
    checkName('vm id', vm_id);
    checkName('env name', env_id);
    const wanted = toWanted(asked, []);
    requireFit(hosts, wanted);
    const labels = { [environmentLabel]: env_id };
    try {
      const made = await machines.create(
        caller.tenant,
        { ...toCreateRequest(wanted, vm_id), labels },
        caller,
      );
      try {
        return toHostVm((await machines.start(caller.tenant, made.id)).machine);
      } catch (error) {
        // The controller does not know the machine: it must not stay.
        await machines.delete(caller.tenant, made.id, { force: true });
        throw error;
      }
    } catch (error) {
      throw schedulingError(error, [wanted]);
    }
  }

  async hostVms(caller: Caller): Promise<schema.VmBody[]> {
    return (await this.#machines(caller)).map((machine) => toHostVm(machine));
  }

  async hostVm({ tenant }: Caller, id: string): Promise<schema.VmBody> {
    return toHostVm(await this.#deps.machines.get(tenant, id));
  }

  async stopVm({ tenant }: Caller, id: string): Promise<void> {
    await this.#deps.machines.halt(tenant, id);
  }

  async startVm({ tenant }: Caller, id: string): Promise<void> {
    const { machines } = this.#deps;
    const { state } = await machines.get(tenant, id);
    if (pausedStates.includes(state)) await machines.resume(tenant, id, { isIdempotent: true });
    else await machines.start(tenant, id, { isIdempotent: true });
  }

  /** A machine that is not there is deleted already. */
  async deleteVm({ tenant }: Caller, id: string): Promise<void> {
    await orGone(this.#deps.machines.delete(tenant, id, { force: true }));
  }

  async #machines({ tenant }: Caller): Promise<readonly Machine[]> {
    const { machines } = this.#deps;
    const { machines: all } = await machines.list({ tenant, limit: listMax, offset: 0 });
    const found = await Promise.all(all.map(({ id }) => orGone(machines.get(tenant, id))));
    return found.filter((machine) => machine !== null);
  }
}

/** On a host's own listener a machine is known by the id that its controller gave it, which is its name. */
function toHostVm(machine: Machine): schema.VmBody {
  return toVm(machine, machine.spec.name);
}

/** Null for what does not exist, or was deleted meanwhile. */
async function orGone<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found;
  } catch (error) {
    if (isAppError(error, 'not_found')) return null;
    throw error;
  }
}

const loopbackNames: ReadonlySet<string> = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** Raises `invalid`. */
function parseAddress(text: string): { readonly host: string; readonly port: string } {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/.exec(text);
  const [, host, port] = match ?? [];
  if (host !== undefined && port !== undefined && Number(port) <= 65_535) return { host, port };
  throw new AppError('invalid', `addr must be host:port, not '${text.slice(0, 100)}'`);
}
