/**
 * A logger with a rate limit per subject, so that no single machine floods the log. Each subject may log a
 * burst, then one line per interval. The next line that passes says how many were dropped. Debug lines are
 * not limited.
 */
import type { Logger } from './log.ts';
import { Lru } from './lru.ts';

export interface LogLimits {
  /** Number of lines allowed at once. */
  readonly burst: number;
  /** Interval after which one more line is allowed. */
  readonly everyMs: number;
}

/** A start and a stop log about ten lines; the daemon's whole log holds about 100,000. */
export const machineLogLimits: LogLimits = { burst: 50, everyMs: 10_000 };

/** A subject that was evicted starts with a full burst again. */
const subjectsMax = 10_000;

interface Allowance {
  lines: number;
  at: number;
  leftOut: number;
}

export class LimitedLogs {
  readonly #log: Logger;
  readonly #limits: LogLimits;
  readonly #now: () => number;
  readonly #allowances = new Lru<string, Allowance>(subjectsMax);

  /** `now` returns monotonic milliseconds. */
  constructor(
    log: Logger,
    limits: LogLimits = machineLogLimits,
    now: () => number = () => performance.now(),
  ) {
    this.#log = log;
    this.#limits = limits;
    this.#now = now;
  }

  /** The logger of one subject, such as an incarnation. All loggers of one subject share its limit. */
  of(subject: string): Logger {
    const write = (level: keyof Logger) => (fields: object, message: string) => {
      const leftOut = this.#take(subject);
      if (leftOut === null) return;
      this.#log[level](leftOut === 0 ? fields : { ...fields, linesLeftOut: leftOut }, message);
    };
    return {
      debug: (fields, message) => this.#log.debug(fields, message),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
    };
  }

  /** Number of lines dropped before this one; null when this one is dropped too. */
  #take(subject: string): number | null {
    const { burst, everyMs } = this.#limits;
    const now = this.#now();
    const before = this.#allowances.get(subject) ?? { lines: burst, at: now, leftOut: 0 };
    const earned = Math.floor((now - before.at) / everyMs);
    const lines = Math.min(burst, before.lines + earned);
    const at = lines === burst ? now : before.at + earned * everyMs;
    const isLeftOut = lines === 0;
    this.#allowances.set(subject, {
      lines: isLeftOut ? 0 : lines - 1,
      at,
      leftOut: isLeftOut ? before.leftOut + 1 : 0,
    });
    return isLeftOut ? null : before.leftOut;
  }
}
