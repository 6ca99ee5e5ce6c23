import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Liveness } from './liveness.ts';

let pings: number[];
let deaths: number;
let ticks: number;
let liveness: Liveness;

beforeEach(() => {
  vi.useFakeTimers();
  pings = [];
  deaths = 0;
  ticks = 0;
  liveness = new Liveness({
    intervalMs: 10,
    deadlineMs: 30,
    sendPing: (number) => pings.push(number),
    onDeath: () => {
      deaths += 1;
      liveness.stop();
    },
    onTick: () => {
      ticks += 1;
    },
  });
});
afterEach(() => {
  liveness.stop();
  vi.useRealTimers();
});

it('treats silence after a ping as death', async () => {
  await vi.advanceTimersByTimeAsync(39);
  expect([pings, deaths]).toEqual([[0], 0]);
  await vi.advanceTimersByTimeAsync(10);
  expect(deaths).toBe(1);
});

it('pings again after each sign of life', async () => {
  for (let round = 0; round < 5; round++) {
    await vi.advanceTimersByTimeAsync(10);
    liveness.heard();
  }
  expect([pings, deaths]).toEqual([[0, 1, 2, 3, 4], 0]);
});

it('neither pings nor judges a paused peer, and gives it the full time afterwards', async () => {
  await vi.advanceTimersByTimeAsync(30);
  liveness.setQuiet(true);
  await vi.advanceTimersByTimeAsync(1_000);
  expect([pings, deaths]).toEqual([[0], 0]);
  expect(ticks).toBe(103);
  liveness.setQuiet(false);
  await vi.advanceTimersByTimeAsync(30);
  expect([pings, deaths]).toEqual([[0, 1], 0]);
  await vi.advanceTimersByTimeAsync(20);
  expect(deaths).toBe(1);
});
