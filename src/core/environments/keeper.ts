/**
 * Deletes environments whose lifetime has ended. Reads what is due from the store, so it survives restarts of the
 * daemon. Driven by the machines' keeper, which has the timer.
 */
import { AppError } from '../errors.ts';
import type { Edges } from '../machines/steps/context.ts';
import type { Store } from '../ports/store.ts';
import type { Environment } from './environment.ts';
import type { EnvironmentService } from './service.ts';

export interface EnvironmentKeeperDeps {
  readonly store: Store;
  readonly edges: Edges;
  readonly hostId: string;
  readonly environments: Pick<EnvironmentService, 'delete'>;
}

/** Limit of environments deleted at once; others wait for a later check. */
const busyMax = 8;
/** Delay before a failed deletion is retried. */
const deleteAgainMs = 60_000;

export class EnvironmentKeeper {
  readonly #deps: EnvironmentKeeperDeps;
  readonly #busy = new Map<string, Promise<void>>();
  /** When to retry a deletion, in milliseconds. Only environments that are still due. */
  #deleteAgain: ReadonlyMap<string, number> = new Map();

  constructor(deps: EnvironmentKeeperDeps) {
    this.#deps = deps;
  }

  /** Begins the deletions that are due and not running yet. */
  async look(): Promise<void> {
    const { store, edges, hostId } = this.#deps;
    const now = edges.clock.now();
    const limit = 2 * busyMax + this.#deleteAgain.size;
    const due = await store.environments.due(hostId, now.toISOString(), limit);
    const isDue = new Set(due.map(nameOf));
    this.#deleteAgain = new Map([...this.#deleteAgain].filter(([name]) => isDue.has(name)));
    for (const environment of due) {
      const name = nameOf(environment);
      const isPutOff = (this.#deleteAgain.get(name) ?? 0) > now.getTime();
      if (this.#busy.has(name) || isPutOff || this.#busy.size >= busyMax) continue;
      const ended = this.#delete(environment).finally(() => this.#busy.delete(name));
      this.#busy.set(name, ended);
    }
  }

  /** Resolves when all begun deletions have ended, successfully or not. */
  async settled(): Promise<void> {
    await Promise.all(this.#busy.values());
  }

  async #delete(environment: Environment): Promise<void> {
    const { edges, environments } = this.#deps;
    const { tenant, id } = environment;
    try {
      await environments.delete(tenant, id, ({ expiresAt }) => {
        // Its lifetime may have been extended since the check.
        if (expiresAt !== null && Date.parse(expiresAt) <= edges.clock.now().getTime()) return;
        throw new AppError('conflict', `the lifetime of environment '${id}' was extended`);
      });
    } catch (error) {
      edges.log.warn({ environment: id, err: error }, 'environment whose lifetime has ended was not deleted');
      const again = edges.clock.now().getTime() + deleteAgainMs;
      this.#deleteAgain = new Map([...this.#deleteAgain, [nameOf(environment), again]]);
    }
  }
}

function nameOf({ tenant, id }: Environment): string {
  return `${tenant}/${id}`;
}
