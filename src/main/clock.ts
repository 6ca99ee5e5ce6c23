/** The real clock. */
import type { Clock } from '../core/ports/clock.ts';
import { sleep } from '../lib/abort.ts';

export const systemClock: Clock = {
  now: () => new Date(),
  sleep,
  every(ms, fn) {
    let isBusy = false;
    const timer = setInterval(async () => {
      if (isBusy) return;
      isBusy = true;
      try {
        await fn();
      } finally {
        isBusy = false;
      }
    }, ms);
    return () => clearInterval(timer);
  },
};
