/** Waking for many callers at once, with the real store and core on fakes. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import type { CreateRequest } from './spec.ts';
import type { WakeRequest } from './waking.ts';

const tenant = 'default';
const machine = { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' };
const { signal } = new AbortController();

let fake: FakeFlotilla;
beforeEach(async () => {
  fake = await startFake();
});
afterEach(() => fake.close());

const create = (request: Partial<CreateRequest> = {}) =>
  fake.machines.create(tenant, { ...machine, ...request });
const wake = (request: Partial<WakeRequest> = {}) =>
  fake.waking.ensureAwake({ tenant, machine: 'web', timeoutMs: 10_000, signal, ...request });
const operations = async (kind: string) => {
  const listed = await fake.operations.list(tenant, { limit: 100, offset: 0 });
  return listed.operations.filter((each) => each.kind === kind);
};

test('starts a stopped machine once for a hundred callers', async () => {
  await create();
  const awake = await Promise.all(Array.from({ length: 100 }, () => wake()));
  expect(new Set(awake.map((each) => each.machine.incarnation)).size).toBe(1);
  expect(awake.every((each) => each.machine.state === 'running')).toBe(true);
  expect(await operations('machine.start')).toHaveLength(1);
});

test('resumes a paused machine once for a hundred callers', async () => {
  await create();
  await fake.machines.start(tenant, 'web');
  await fake.machines.pause(tenant, 'web');
  await Promise.all(Array.from({ length: 100 }, () => wake()));
  expect(await operations('machine.resume')).toHaveLength(1);
});

test('returns a running machine without an operation', async () => {
  await create();
  await fake.machines.start(tenant, 'web');
  expect((await wake()).machine.state).toBe('running');
  expect(await operations('machine.start')).toHaveLength(1);
});

test('joins a start that is under way, also where it may not wake', async () => {
  await create({ autoWake: false });
  const started = fake.machines.start(tenant, 'web');
  await fake.machines.wait(tenant, 'web', { states: ['starting', 'running'], timeoutMs: 5_000 }, signal);
  expect((await wake({ isToWake: false })).machine.state).toBe('running');
  await started;
});

test('waits until a stop has ended, and starts again', async () => {
  await create();
  await fake.machines.start(tenant, 'web');
  const asked = Promise.withResolvers<void>();
  const may = Promise.withResolvers<void>();
  fake.guest.onShutdown = ({ incarnation }) => {
    asked.resolve();
    void may.promise.then(() => fake.driver.machine(incarnation).powerOff());
  };
  const stopped = fake.machines.stop(tenant, 'web');
  await asked.promise;
  const woken = wake();
  may.resolve();
  await stopped;
  expect((await woken).machine.state).toBe('running');
  expect(await operations('machine.start')).toHaveLength(2);
});

describe('refuses', () => {
  test('a machine that may not be woken', async () => {
    await create({ autoWake: false });
    await expect(wake()).rejects.toMatchObject({ code: 'conflict', details: { state: 'created' } });
    await fake.machines.update(tenant, 'web', { autoWake: true });
    await expect(wake({ isToWake: false })).rejects.toMatchObject({ code: 'conflict' });
    expect((await wake()).machine.state).toBe('running');
  });

  test('a machine that is not there', async () => {
    await expect(wake()).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a machine that has failed, with its reason', async () => {
    await create();
    fake.driver.failNext('launch', new Error('the host says no'));
    await expect(wake()).rejects.toThrow('the host says no');
    await expect(wake()).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('failed'),
    });
    expect(await operations('machine.start')).toHaveLength(1);
  });
});

test('a caller whose time is up leaves the start to the others', async () => {
  await create();
  const may = Promise.withResolvers<void>();
  fake.guest.onReady = () => may.promise;
  const patient = wake();
  await expect(wake({ timeoutMs: 1 })).rejects.toMatchObject({ code: 'timeout', isPassing: true });
  const leaver = new AbortController();
  const left = wake({ signal: leaver.signal });
  leaver.abort(new Error('gone'));
  await expect(left).rejects.toThrow('gone');
  may.resolve();
  expect((await patient).machine.state).toBe('running');
});
