/**
 * Logs one line per answered request. Requests that change something, or are refused to a caller, at `info`;
 * reads at `debug`. Callers are named by their key's id, which they cannot choose. Requests without a valid
 * key are logged at `info` too, but only one per interval with a count, so that they cannot fill the log.
 */
import type { Caller } from '../core/keys/caller.ts';
import type { Logger } from '../lib/log.ts';

/** Interval of lines about requests without a valid key; the next line counts those in between. */
const strangersEveryMs = 10_000;

export interface AnsweredRequest {
  readonly requestId: string;
  /** Absent: none was looked up. */
  readonly machine?: string | undefined;
  /** Absent: none was begun. */
  readonly operation?: string | undefined;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly ms: number;
  /** Absent: no valid key was sent. */
  readonly caller: Caller | undefined;
  readonly address: string;
}

export class RequestLog {
  readonly #log: Logger;
  #refusedSince = 0;
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(log: Logger) {
    this.#log = log;
  }

  note(request: AnsweredRequest, nowMs = performance.now()): void {
    const { caller, requestId, machine, operation, method, path, status, ms } = request;
    if (caller === undefined) {
      this.#noteStranger(request, nowMs);
      return;
    }
    const { tenant, keyId, isOperator } = caller;
    const isRead = (method === 'GET' || method === 'HEAD') && status !== 101;
    const level = isRead && status < 400 ? 'debug' : 'info';
    const ids = { requestId, machine, operation };
    this.#log[level]({ ...ids, method, path, status, ms, tenant, keyId, isOperator }, 'request');
  }

  #noteStranger({ requestId, method, path, status, ms, address }: AnsweredRequest, nowMs: number): void {
    this.#log.debug({ requestId, method, path, status, ms, address }, 'request');
    if (status !== 401) return;
    this.#refusedSince += 1;
    if (nowMs - this.#toldAtMs < strangersEveryMs) return;
    this.#log.info({ requestId, path, address, count: this.#refusedSince }, 'requests without a good key');
    this.#toldAtMs = nowMs;
    this.#refusedSince = 0;
  }
}
