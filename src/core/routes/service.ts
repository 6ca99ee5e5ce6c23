/** The use cases of routes. Called by every dialect that has the noun; each caller sees its own tenant's only. */
import { randomBytes } from 'node:crypto';
import { shortId } from '../../lib/ids.ts';
import { AppError } from '../errors.ts';
import { findMachine } from '../machines/lookup.ts';
import type { Clock } from '../ports/clock.ts';
import type { RoutePage, RoutePatch, Store } from '../ports/store.ts';
import type { Route } from './route.ts';
import { checkSubdomain, checkTargetPort } from './subdomains.ts';
import { newSecret, type RouteToken, signToken } from './tokens.ts';

/** Limit per tenant. */
export const routesMax = 1_000;

export interface NewRoute {
  /** Absent or empty: one is made up. */
  readonly subdomain?: string | undefined;
  readonly targetPort: number;
  readonly autoWake?: boolean | undefined;
  /** Whether requests need a token. Default: false. */
  readonly isPrivate?: boolean | undefined;
}

export interface RouteChange {
  readonly targetPort?: number;
  readonly autoWake?: boolean;
  readonly isPrivate?: boolean;
}

export interface RouteServiceDeps {
  readonly store: Store;
  readonly clock: Clock;
}

interface ListRequest {
  /** Id or name. */
  readonly machine?: string | undefined;
  readonly limit: number;
  readonly offset: number;
}

export class RouteService {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor({ store, clock }: RouteServiceDeps) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Raises `invalid`, `not_found` (machine), `conflict` (subdomain taken, too many routes, machine being deleted). */
  async create(tenant: string, machine: string, request: NewRoute): Promise<Route> {
    const { targetPort, autoWake = true, isPrivate = false } = request;
    const subdomain = request.subdomain || randomBytes(6).toString('hex');
    checkTargetPort(targetPort);
    if (request.subdomain) checkSubdomain(subdomain);
    const at = this.#clock.now().toISOString();
    return this.#store.transaction(async (tx) => {
      const { id: machineId, state } = await findMachine(tx, tenant, machine);
      if (state === 'deleting') throw new AppError('conflict', `machine ${machineId} is being deleted`);
      if ((await tx.routes.count(tenant)) >= routesMax) {
        throw new AppError('conflict', `there are ${routesMax} routes already`, {
          hint: 'Delete routes that are no longer used.',
        });
      }
      const ids = { id: shortId(), tenant, machineId };
      const secret = isPrivate ? newSecret() : null;
      const route: Route = { ...ids, subdomain, targetPort, autoWake, secret, createdAt: at, updatedAt: at };
      await tx.routes.insert(route);
      return route;
    });
  }

  /** Newest first. Raises `not_found` for a machine that is not there. */
  async list(tenant: string, { machine, ...page }: ListRequest): Promise<RoutePage> {
    if (machine === undefined) return this.#store.routes.list({ tenant, ...page });
    const { id: machineId } = await findMachine(this.#store, tenant, machine);
    return this.#store.routes.list({ tenant, machineId, ...page });
  }

  /** By id or subdomain. Raises `not_found`. */
  async get(tenant: string, idOrSubdomain: string): Promise<Route> {
    const route = await this.#store.routes.find(tenant, idOrSubdomain);
    if (route !== null) return route;
    throw noRoute(idOrSubdomain);
  }

  /** Raises `invalid`, `not_found`. */
  async update(tenant: string, idOrSubdomain: string, { isPrivate, ...change }: RouteChange): Promise<Route> {
    if (change.targetPort !== undefined) checkTargetPort(change.targetPort);
    const route = await this.get(tenant, idOrSubdomain);
    // A private route that is made private again keeps its secret, and so its tokens.
    if (isPrivate === undefined || isPrivate === (route.secret !== null)) return this.#patch(route, change);
    return this.#patch(route, { ...change, secret: isPrivate ? newSecret() : null });
  }

  /** A token that opens the private route for so long, and the route's subdomain. Raises `not_found`; `conflict` for a public route. */
  async issueToken(
    tenant: string,
    idOrSubdomain: string,
    seconds: number,
  ): Promise<RouteToken & Pick<Route, 'subdomain'>> {
    const { id, secret, subdomain } = await this.get(tenant, idOrSubdomain);
    if (secret === null) throw isPublic(subdomain);
    return { subdomain, ...signToken({ id, secret }, this.#clock.now().getTime() + seconds * 1000) };
  }

  /** Ends all tokens of the private route. Raises `not_found`; `conflict` for a public route. */
  async revokeTokens(tenant: string, idOrSubdomain: string): Promise<void> {
    const route = await this.get(tenant, idOrSubdomain);
    if (route.secret === null) throw isPublic(route.subdomain);
    await this.#patch(route, { secret: newSecret() });
  }

  /** Raises `not_found`. */
  async delete(tenant: string, idOrSubdomain: string): Promise<void> {
    const { id } = await this.get(tenant, idOrSubdomain);
    await this.#store.routes.remove(id, this.#clock.now().toISOString());
  }

  async #patch({ id }: Route, patch: RoutePatch): Promise<Route> {
    const changed = await this.#store.routes.patch(id, patch, this.#clock.now().toISOString());
    if (changed !== null) return changed;
    throw noRoute(id);
  }

  /** Of all tenants. */
  count(): Promise<number> {
    return this.#store.routes.count();
  }
}

function noRoute(text: string): AppError {
  return new AppError('not_found', `Route with id '${text}' not found`, { details: { route: text } });
}

function isPublic(subdomain: string): AppError {
  return new AppError('conflict', `route ${subdomain} is public and needs no token`, {
    hint: 'Make it private first: flotilla routes update --private.',
  });
}
