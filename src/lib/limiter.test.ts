import { expect, test } from 'vitest';
import { Limiter, QueueFullError } from './limiter.ts';

const never = new AbortController().signal;

test('admits `count` holders, then one in order of arrival for each release', async () => {
  const limiter = new Limiter(2, 10);
  const [first, second] = [await limiter.acquire(never), await limiter.acquire(never)];
  const entered: string[] = [];
  const third = limiter.acquire(never).then((release) => {
    entered.push('third');
    return release;
  });
  const fourth = limiter.acquire(never).then((release) => {
    entered.push('fourth');
    return release;
  });
  expect(entered).toEqual([]);
  first();
  (await third)();
  (await fourth)();
  second();
  expect(entered).toEqual(['third', 'fourth']);
});

test('releasing twice frees only one place', async () => {
  const limiter = new Limiter(1, 1);
  const release = await limiter.acquire(never);
  release();
  release();
  await limiter.acquire(never);
  const late = new AbortController();
  const waiting = limiter.acquire(late.signal);
  expect(limiter.isFull).toBe(true);
  await expect(limiter.acquire(never)).rejects.toThrow(QueueFullError);
  late.abort(new Error('gave up'));
  await expect(waiting).rejects.toThrow('gave up');
});

test('a waiter that gives up leaves the queue', async () => {
  const limiter = new Limiter(1, 2);
  const release = await limiter.acquire(never);
  const controller = new AbortController();
  const abandoned = limiter.acquire(controller.signal);
  const patient = limiter.acquire(never);
  controller.abort(new Error('gave up'));
  await expect(abandoned).rejects.toThrow('gave up');
  release();
  (await patient)();
});
