import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { systemClock } from './clock.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a failing timer is logged and called again', async () => {
  const error = vi.fn();
  let calls = 0;
  const stop = systemClock({ error }).every(10, async () => {
    calls += 1;
    throw new Error('no');
  });
  await vi.advanceTimersByTimeAsync(35);
  expect(calls).toBe(3);
  expect(error).toHaveBeenCalledTimes(3);
  stop();
  await vi.advanceTimersByTimeAsync(35);
  expect(calls).toBe(3);
});

test('a timer never overlaps itself', async () => {
  let calls = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = systemClock({ error: () => undefined }).every(10, () => {
    calls += 1;
    return promise;
  });
  await vi.advanceTimersByTimeAsync(50);
  expect(calls).toBe(1);
  resolve();
  await vi.advanceTimersByTimeAsync(10);
  expect(calls).toBe(2);
  stop();
});
