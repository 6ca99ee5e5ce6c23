/**
 * What the log says about the request being served: its id, and the ids of the machine and the operation that
 * it turned out to be about. The server opens a context for each request; work that runs without a request
 * has none.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface RequestContext {
  readonly requestId: string;
  /** The machine that was looked up last. */
  machine?: string;
  /** The operation that was begun or joined first. */
  operation?: string;
}

const storage = new AsyncLocalStorage<RequestContext>();

export function withRequestContext<T>(context: RequestContext, work: () => T): T {
  return storage.run(context, work);
}

/** Null outside of requests. */
export function requestContext(): RequestContext | null {
  return storage.getStore() ?? null;
}
