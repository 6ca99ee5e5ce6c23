/** Environments on the fake host: created, extended, stopped, started and deleted as one, and what they report in part. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { AppError } from '../errors.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import type { CreateEnvironmentRequest } from './service.ts';

const tenant = 'default';
let clock: FakeClock;
let fake: FakeFlotilla;
beforeEach(async () => {
  clock = new FakeClock();
  fake = await startFake({ clock });
});
afterEach(() => fake.close());

const machine = (name: string) => ({ name, vcpuCount: 1, memoryMib: 128 });
const request = (changes: Partial<CreateEnvironmentRequest> = {}): CreateEnvironmentRequest => ({
  ...{ id: 'ci', owner: 'ann', machines: [machine('ci-a'), machine('ci-b')] },
  ...changes,
});
const create = (changes: Partial<CreateEnvironmentRequest> = {}) =>
  fake.environments.create(tenant, request(changes));
const get = () => fake.environments.get(tenant, 'ci');
const states = async () => (await get()).machines.map(({ spec, state }) => `${spec.name} ${state}`);
/** The incarnations that reach `waitReady` fail from the nth on. */
function failStartsFrom(nth: number): void {
  let starts = 0;
  fake.guest.onReady = async () => {
    starts += 1;
    if (starts >= nth) throw new AppError('guest', 'the guest said no');
  };
}
const fromNow = (seconds: number) => new Date(clock.now().getTime() + seconds * 1000).toISOString();

describe('create', () => {
  test('answers when all machines run', async () => {
    const { environment, machines } = await create();
    expect(environment).toMatchObject({ id: 'ci', owner: 'ann', state: 'active', warnings: [] });
    expect(machines.map(({ state, environmentId }) => [state, environmentId])).toEqual([
      ['running', 'ci'],
      ['running', 'ci'],
    ]);
  });

  test('a machine that fails is deleted and named in a warning; the others run', async () => {
    failStartsFrom(2);
    const { environment, machines } = await create();
    expect(machines.map(({ state }) => state)).toEqual(['running']);
    expect(environment.warnings).toEqual([expect.stringMatching(/^ci-[ab]: .*the guest said no/)]);
    expect(fake.disks.made.size).toBe(1);
    expect((await get()).environment.warnings).toEqual(environment.warnings);
  });

  test('when all fail, the error names each and nothing is left', async () => {
    failStartsFrom(1);
    await expect(create()).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringMatching(/none of its machines could be created: ci-a: .*; ci-b: /),
      details: { isTotal: true },
    });
    expect(fake.disks.made.size).toBe(0);
    expect(await fake.store.machines.all('host')).toEqual([]);
    await expect(get()).rejects.toMatchObject({ code: 'not_found' });
  });

  test.each([
    [{ machines: [{ ...machine('ci-a'), image: 'nosuch' }] }, 'not_found', 'no image "nosuch"'],
    [{ machines: [{ ...machine('ci-a'), engine: 'docker' }] }, 'invalid', "this host has no engine 'docker'"],
    [{ machines: [machine('same'), machine('same')] }, 'conflict', "Machine with name 'same' already exists"],
    [
      { machines: [{ ...machine('ci-a'), memoryMib: 999_990 }, machine('b')] },
      'exhausted',
      'too little memory',
    ],
    [
      { machines: Array.from({ length: 101 }, (_, n) => machine(`m${n}`)) },
      'invalid',
      'at most 100 machines',
    ],
    [{ id: '' }, 'invalid', 'id must not be empty'],
    [{ id: 'x'.repeat(129) }, 'invalid', 'id must have at most 128'],
    [{ id: 'a/b' }, 'invalid', 'id must be letters'],
    [{ id: 'a..b' }, 'invalid', 'two dots'],
    [{ id: '.a' }, 'invalid', 'start with a dot'],
  ] as const)('refuses %j before anything is made', async (changes, code, message) => {
    await expect(create(changes)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    expect((await fake.environments.list(tenant, { limit: 9, offset: 0 })).total).toBe(0);
    expect(await fake.store.machines.all('host')).toEqual([]);
    expect(await fake.store.operations.open('host')).toEqual([]);
  });

  test('an existing one is left alone', async () => {
    await create({ machines: [] });
    await expect(create()).rejects.toMatchObject({
      code: 'conflict',
      message: "environment 'ci' already exists",
    });
    expect((await get()).machines).toEqual([]);
    await create({ id: 'other' });
  });

  test('answers after the patience with what is still under way', async () => {
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    fake.guest.onReady = () => ready;
    const answer = fake.environments.create(tenant, request(), { patienceMs: 45_000 });
    await expect.poll(() => states().catch(() => [])).toEqual(['ci-a starting', 'ci-b starting']);
    clock.advance(45_000);
    const { environment } = await answer;
    expect(environment.warnings).toEqual([expect.stringContaining('still being created: ci-a, ci-b')]);
    resolve();
    await fake.environments.delete(tenant, 'ci');
  });
});

describe('lifetime', () => {
  test('is six hours unless asked for, and a longer one is shortened with a warning', async () => {
    const { environment } = await create({ machines: [] });
    expect(environment.expiresAt).toBe(fromNow(21_600));
    const { environment: long } = await create({ id: 'long', machines: [], lifetimeSeconds: 21_601 });
    expect(long.expiresAt).toBe(fromNow(21_600));
    expect(long.warnings).toEqual([expect.stringContaining('shortened from 21601 s to 21600 s')]);
    const { environment: short } = await create({ id: 'short', machines: [], lifetimeSeconds: 60 });
    expect([short.expiresAt, short.warnings]).toEqual([fromNow(60), []]);
  });

  test('its end deletes the machines and the environment', async () => {
    await create({ lifetimeSeconds: 60 });
    clock.advance(59_999);
    await fake.keeper.look();
    await fake.keeper.settled();
    expect((await get()).machines).toHaveLength(2);
    clock.advance(1);
    await fake.keeper.look();
    await fake.keeper.settled();
    await expect(get()).rejects.toMatchObject({ code: 'not_found' });
    expect(fake.disks.made.size).toBe(0);
  });

  test('an extension counts from now and is shortened visibly', async () => {
    await create({ machines: [], lifetimeSeconds: 60 });
    clock.advance(30_000);
    const extended = await fake.environments.extend(tenant, 'ci', { lifetimeSeconds: 600 });
    expect(extended.environment.expiresAt).toBe(fromNow(600));
    const at = await fake.environments.extend(tenant, 'ci', { expiresAt: fromNow(100) });
    expect(at.environment.expiresAt).toBe(fromNow(100));
    const { environment } = await fake.environments.extend(tenant, 'ci', { lifetimeSeconds: 99_999 });
    expect(environment.expiresAt).toBe(fromNow(21_600));
    expect(environment.warnings).toEqual([expect.stringContaining('shortened')]);
  });

  test('an end in the past is refused', async () => {
    await create({ machines: [] });
    const { environment } = await get();
    for (const expiresAt of [fromNow(0), fromNow(-1)])
      await expect(fake.environments.extend(tenant, 'ci', { expiresAt })).rejects.toMatchObject({
        code: 'invalid',
        message: 'expires_at must be in the future',
      });
    expect((await get()).environment).toEqual(environment);
  });

  test('stands still while stopped', async () => {
    await create({ lifetimeSeconds: 60 });
    clock.advance(20_000);
    const { environment } = await fake.environments.stop(tenant, 'ci');
    expect(environment).toMatchObject({ state: 'stopped', expiresAt: null, remainingMs: 40_000 });
    clock.advance(9_999_000);
    await fake.keeper.look();
    await fake.keeper.settled();
    const started = await fake.environments.start(tenant, 'ci');
    expect(started.environment).toMatchObject({ expiresAt: fromNow(40), remainingMs: null });
  });
});

describe('stop and start', () => {
  test('pause and resume the machines', async () => {
    await create();
    await fake.environments.stop(tenant, 'ci');
    expect(await states()).toEqual(['ci-a paused', 'ci-b paused']);
    await fake.environments.stop(tenant, 'ci');
    await fake.environments.start(tenant, 'ci');
    expect(await states()).toEqual(['ci-a running', 'ci-b running']);
  });

  test('stop and boot machines whose engine cannot pause', async () => {
    await fake.close();
    fake = await startFake({ clock, without: ['pause'] });
    fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
    await create();
    await fake.environments.stop(tenant, 'ci');
    expect(await states()).toEqual(['ci-a stopped', 'ci-b stopped']);
    await fake.environments.start(tenant, 'ci');
    expect(await states()).toEqual(['ci-a running', 'ci-b running']);
  });

  test('a stop that fails for one machine says which, stops the others and stays active', async () => {
    await create();
    fake.driver.failNext('pause', new AppError('engine', 'no answer'));
    await expect(fake.environments.stop(tenant, 'ci')).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringMatching(/^1 of 2 machines could not be stopped: ci-[ab]: .*no answer/),
      details: { isTotal: false },
    });
    expect((await states()).map((each) => each.split(' ')[1]).toSorted()).toEqual(['paused', 'running']);
    expect((await get()).environment).toMatchObject({
      state: 'active',
      warnings: [expect.stringContaining('no answer')],
    });
    await fake.environments.stop(tenant, 'ci');
    expect((await get()).environment).toMatchObject({ state: 'stopped', warnings: [] });
  });

  test('wait for each other by refusing', async () => {
    await create();
    const { promise: held, resolve } = Promise.withResolvers<void>();
    await fake.machines.stop(tenant, 'ci-a').catch(() => undefined);
    fake.guest.onReady = () => held;
    const starting = fake.environments.start(tenant, 'ci');
    await expect.poll(async () => (await states())[0]).toBe('ci-a starting');
    await expect(fake.environments.stop(tenant, 'ci')).rejects.toMatchObject({
      code: 'conflict',
      message: "environment 'ci' is being started",
    });
    resolve();
    await starting;
  });
});

describe('delete', () => {
  test('deletes machines in any state', async () => {
    await create();
    await fake.machines.pause(tenant, 'ci-a');
    await fake.environments.delete(tenant, 'ci');
    expect(await fake.store.machines.all('host')).toEqual([]);
    await expect(get()).rejects.toMatchObject({ code: 'not_found' });
    await expect(fake.environments.delete(tenant, 'ci')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a machine that cannot be deleted keeps the environment, which says so', async () => {
    await create();
    fake.driver.failNext('destroy', new AppError('engine', 'it does not die'));
    await expect(fake.environments.delete(tenant, 'ci')).rejects.toMatchObject({
      message: expect.stringMatching(/^1 of 2 machines could not be deleted: ci-[ab]: .*it does not die/),
    });
    expect((await get()).machines).toHaveLength(1);
    expect((await get()).environment.warnings).toEqual([expect.stringContaining('it does not die')]);
    await fake.environments.delete(tenant, 'ci');
    await expect(get()).rejects.toMatchObject({ code: 'not_found' });
  });

  test('ends a creation that is under way', async () => {
    fake.guest.onReady = (signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const creating = create().catch((error: unknown) => error);
    await expect.poll(async () => states().catch(() => [])).toEqual(['ci-a starting', 'ci-b starting']);
    await fake.environments.delete(tenant, 'ci');
    expect(await creating).toMatchObject({ code: 'conflict' });
    expect(await fake.store.machines.all('host')).toEqual([]);
    expect(await fake.store.operations.open('host')).toEqual([]);
  });

  test('ends a start that began after it had looked', async () => {
    await create();
    await fake.environments.stop(tenant, 'ci');
    fake.guest.onReady = (signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const starting = fake.environments.start(tenant, 'ci').catch((error: unknown) => error);
    await expect.poll(states).toEqual(['ci-a resuming', 'ci-b resuming']);
    const { openOn } = fake.store.operations;
    fake.store.operations.openOn = async (...args) => {
      fake.store.operations.openOn = openOn;
      await openOn.apply(fake.store.operations, args);
      return null;
    };
    await fake.environments.delete(tenant, 'ci');
    expect(await starting).toMatchObject({ code: 'conflict' });
    expect(await fake.store.machines.all('host')).toEqual([]);
  });
});

test('another tenant sees and changes nothing', async () => {
  await create();
  for (const act of ['get', 'stop', 'start', 'delete'] as const)
    await expect(fake.environments[act]('other', 'ci')).rejects.toMatchObject({ code: 'not_found' });
  expect((await fake.environments.list('other', { limit: 9, offset: 0 })).environments).toEqual([]);
});
