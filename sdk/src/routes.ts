/** Routes: names in the reverse proxy's domain that lead to ports of machines. */
import { call, type QueryOf } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { CreateRoute, CreateRouteToken, Route, RouteList, RouteToken, UpdateRoute } from './types.ts';

export class Routes {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Without a `subdomain` the server makes one up. */
  create(route: CreateRoute, options?: CallOptions): Promise<Route> {
    return call(this.#transport, 'createRoute', { body: route }, deadlinesMs.write, options);
  }

  /** Returns one page, newest first; `machine` limits it to those of one machine. */
  list(query: QueryOf<'listRoutes'> = {}, options?: CallOptions): Promise<RouteList> {
    return call(this.#transport, 'listRoutes', { query }, deadlinesMs.read, options);
  }

  /** By id or subdomain. */
  get(id: string, options?: CallOptions): Promise<Route> {
    return call(this.#transport, 'getRoute', { path: { id } }, deadlinesMs.read, options);
  }

  update(id: string, changes: UpdateRoute, options?: CallOptions): Promise<Route> {
    return call(this.#transport, 'updateRoute', { path: { id }, body: changes }, deadlinesMs.write, options);
  }

  /** A token for a private route: for the header `X-Flotilla-Token`, or as `url` for a browser. Default: for an hour. */
  createToken(id: string, token: CreateRouteToken = {}, options?: CallOptions): Promise<RouteToken> {
    return call(
      this.#transport,
      'createRouteToken',
      { path: { id }, body: token },
      deadlinesMs.write,
      options,
    );
  }

  /** Revokes all tokens of a private route. */
  revokeTokens(id: string, options?: CallOptions): Promise<void> {
    return call(this.#transport, 'revokeRouteTokens', { path: { id } }, deadlinesMs.write, options);
  }

  delete(id: string, options?: CallOptions): Promise<void> {
    return call(this.#transport, 'deleteRoute', { path: { id } }, deadlinesMs.write, options);
  }
}
