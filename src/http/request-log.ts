/**
 * One line for each request that was answered. What changes something, or is refused to a caller, is told at `info`; what
 * only reads at `debug`. Callers are named by their key's id, which nobody can choose. Requests without a good key are
 * told at `info` too, but only the first of a while by itself: strangers must not be able to fill the log.
 */
import type { Caller } from '../core/keys/caller.ts';
import type { Logger } from '../lib/log.ts';

/** One line about strangers in so long; what comes meanwhile is counted in the next. */
const strangersEveryMs = 10_000;

export interface AnsweredRequest {
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly ms: number;
  /** Absent: no good key was shown. */
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
    const { caller, requestId, method, path, status, ms } = request;
    if (caller === undefined) {
      this.#noteStranger(request, nowMs);
      return;
    }
    const { tenant, keyId, isOperator } = caller;
    const isRead = method === 'GET' || method === 'HEAD';
    const level = isRead && status < 400 ? 'debug' : 'info';
    this.#log[level]({ requestId, method, path, status, ms, tenant, keyId, isOperator }, 'request');
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
