/** The real clock. */
import type { Clock } from '../core/ports/clock.ts';
import { sleep } from '../lib/abort.ts';
import type { Logger } from '../lib/log.ts';

/**
 * Errors in functions called by `every` are logged, and the timer continues: they must not end the daemon.
 */
export function systemClock(log: Pick<Logger, 'error'>): Clock {
  return {
    now: () => new Date(),
    elapsedMs: () => performance.now(),
    sleep,
    every(ms, fn) {
      let isBusy = false;
      const timer = setInterval(async () => {
        if (isBusy) return;
        isBusy = true;
        try {
          await fn();
        } catch (error) {
          log.error({ err: error }, 'timer failed');
        } finally {
          isBusy = false;
        }
      }, ms);
      return () => clearInterval(timer);
    },
  };
}
