/**
 * The worlds of golden conversations on a real host with real guests: each has a tenant's machines and no others.
 * A given machine that is still as a conversation wants it is used again, because booting takes seconds. What only
 * fakes can do (a failing store, a state between two others) is refused.
 */
import { FlotillaClient } from '../../sdk/src/index.ts';
import { version } from '../../src/main/version.ts';
import type { TestHost } from '../support/host.ts';
import type { GivenMachine, Turn, World } from './conversation.ts';
import type { Captures } from './placeholders.ts';
import type { OpenWorld } from './replay.ts';

const tenant = 'golden';
/** What a world on a real host may have; `exec` is what the guest must do by itself. */
const possible: ReadonlySet<string> = new Set(['machines', 'keys', 'exec', 'logged']);

/** A daemon with its own address, and a client with the operator's key. */
type Host = Pick<TestHost, 'url' | 'client'>;

export class HostWorlds {
  readonly #url: string;
  readonly #key: string;
  readonly #client: FlotillaClient;

  private constructor({ url }: Host, key: string, requestsTo: string) {
    this.#url = requestsTo;
    this.#key = key;
    this.#client = new FlotillaClient({ url, key });
  }

  /** `requestsTo`: another address of the daemon, for the requests of conversations. */
  static async of(host: Host, requestsTo = host.url): Promise<HostWorlds> {
    const { key } = await host.client.keys.create({ name: tenant, tenant, scopes: ['*'] });
    return new HostWorlds(host, key, requestsTo);
  }

  readonly open = async (world: World): Promise<OpenWorld> => {
    refuseImpossible(world);
    const captures: Captures = new Map([
      ['key', this.#key],
      ['version', version],
    ]);
    await this.#clear(world.machines);
    for (const machine of world.machines) captures.set(machine.as, await this.#place(machine));
    for (const { as, scopes, end, tier } of world.keys) {
      if (end !== undefined || tier !== undefined)
        throw new Error(`key '${as}' cannot be made on a real host`);
      captures.set(as, (await this.#client.keys.create({ name: as, scopes })).key);
    }
    return { url: this.#url, captures, turn: refuseImpossible, close: async () => undefined };
  };

  /** Deletes the machines. */
  close(): Promise<void> {
    return this.#clear([]);
  }

  /** Deletes what the next world does not have. */
  async #clear(wanted: readonly GivenMachine[]): Promise<void> {
    const { environments } = await this.#client.environments.list({ limit: 1000 });
    for (const { id } of environments) await this.#client.environments.delete(id);
    const [{ machines }, { templates }] = await Promise.all([
      this.#client.machines.list({ limit: 1000 }),
      this.#client.templates.list({ limit: 1000 }),
    ]);
    const names = wanted.filter(({ state }) => state === 'running').map(({ as }) => as);
    for (const { id, name, status } of machines)
      if (!names.includes(name) || status !== 'running')
        await this.#client.machines.delete(id, { force: true });
    for (const { id } of templates) await this.#client.templates.delete(id);
  }

  async #place({ as: name, state, vcpu_count, mem_size_mib }: GivenMachine): Promise<string> {
    const { machines } = await this.#client.machines.list({ limit: 1000 });
    const known = machines.find((machine) => machine.name === name);
    if (known) return known.id;
    const { id } = await this.#client.machines.create({ name, vcpu_count, mem_size_mib });
    if (state === 'created') return id;
    await this.#client.machines.start(id);
    if (state === 'stopped') await this.#client.machines.stop(id);
    else if (state === 'paused') await this.#client.machines.pause(id);
    else if (state !== 'running') throw new Error(`no machine stays ${state} on a real host`);
    return id;
  }
}

function refuseImpossible(turn: Turn | World): void {
  const isAsked = (value: unknown) => value !== undefined && !(Array.isArray(value) && value.length === 0);
  const wrong = Object.entries(turn).find(([name, value]) => isAsked(value) && !possible.has(name));
  if (wrong) throw new Error(`'${wrong[0]}' cannot be arranged on a real host`);
}
