/** The core's console on the fake engine with the real store. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import type { FakeMachine } from '../../engines/fake/machine.ts';
import { type ConsoleRequest, followersPerMachineMax } from './console.ts';
import { lastLines } from './console-lines.ts';

const tenant = 'default';
const never = new AbortController().signal;

let fake: FakeFlotilla;
beforeEach(async () => {
  fake = await startFake();
  fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
});
afterEach(() => fake.close());

const open = async (request: Partial<ConsoleRequest> = {}, signal = never) => {
  const pieces = await fake.machines.console(
    tenant,
    'web',
    { lines: 100, follow: false, ...request },
    signal,
  );
  return pieces[Symbol.asyncIterator]();
};
const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();
async function rest(iterator: AsyncIterator<Uint8Array>): Promise<string> {
  let all = '';
  for (;;) {
    const { done, value } = await iterator.next();
    if (done) return all;
    all += text(value);
  }
}
async function guest(): Promise<FakeMachine> {
  const { incarnation } = await fake.machines.get(tenant, 'web');
  return fake.driver.machine(incarnation ?? '');
}

describe('lastLines', () => {
  test.each([
    ['', 5, ''],
    ['a\nb\nc\n', 2, 'b\nc\n'],
    ['a\nb\nc', 2, 'b\nc'],
    ['a\nb\n', 2, 'a\nb\n'],
    ['a\nb\n', 9, 'a\nb\n'],
    ['\n\n\n', 2, '\n\n'],
    ['a\n\nb', 2, '\nb'],
    ['\nb', 2, '\nb'],
  ])('%j, %i: %j', (all, lines, last) => {
    expect(text(lastLines(Buffer.from(all), lines))).toBe(last);
  });
});

describe('the console', () => {
  test('is empty before the first start, also for followers', async () => {
    expect(await rest(await open())).toBe('');
    expect(await rest(await open({ follow: true }))).toBe('');
  });

  test('shows its last lines while the machine runs, and afterwards', async () => {
    await fake.machines.start(tenant, 'web');
    (await guest()).print('one\ntwo\nthree\n');
    expect(await rest(await open({ lines: 2 }))).toBe('two\nthree\n');
    await fake.machines.stop(tenant, 'web');
    expect(await rest(await open({ lines: 1 }))).toBe('three\n');
    expect(await rest(await open({ lines: 1, follow: true }))).toBe('three\n');
  });

  test('of the previous boot is shown after a restart, a crash, and by the next daemon', async () => {
    await fake.machines.start(tenant, 'web');
    await expect(open({ previous: true })).rejects.toMatchObject({ code: 'not_found' });
    (await guest()).print('first\nboot\n');
    await fake.machines.restart(tenant, 'web');
    (await guest()).print('second\n');
    expect(await rest(await open({ previous: true, lines: 1 }))).toBe('boot\n');
    expect(await rest(await open({ previous: true, follow: true }))).toBe('first\nboot\n');
    (await guest()).die();
    await fake.machines.wait(tenant, 'web', { states: ['failed'], timeoutMs: 5_000 }, never);
    // The crash is in the latest boot's console until the machine starts again.
    expect(await rest(await open())).toBe('second\n');
    await fake.machines.start(tenant, 'web');
    expect(await rest(await open({ previous: true }))).toBe('second\n');
    const next = await fake.recovered();
    const request = { lines: 9, follow: false, previous: true };
    const pieces = await next.machines.console(tenant, 'web', request, never);
    expect(await rest(pieces[Symbol.asyncIterator]())).toBe('second\n');
    // One boot is kept, and a boot without output does not replace it.
    await next.machines.restart(tenant, 'web');
    expect(await rest(await open({ previous: true }))).toBe('second\n');
  });

  test('that cannot be kept does not prevent a start', async () => {
    await fake.machines.start(tenant, 'web');
    (await guest()).print('first\n');
    fake.consoles.nextFailure = new Error('no space');
    await fake.machines.restart(tenant, 'web');
    await expect(open({ previous: true })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('shows when each line was seen, also of lines that arrive in pieces', async () => {
    await fake.machines.start(tenant, 'web');
    const machine = await guest();
    const [t0, t1] = [Date.parse('2026-11-29T10:00:00Z'), Date.parse('2026-11-29T11:00:00Z')];
    machine.print('one\ntwo', { atMs: t0 });
    const following = await open({ timestamps: true, follow: true });
    expect(text((await following.next()).value)).toBe(
      '2026-11-29T10:00:00.000Z one\n2026-11-29T10:00:00.000Z two',
    );
    machine.print(' of two\n', { atMs: t1 });
    expect(text((await following.next()).value)).toBe(' of two\n');
    machine.print('late\n', { sinceMs: t0, atMs: t1 });
    const late = '2026-11-29T11:00:00.000Z [seen late, after 2026-11-29T10:00:00.000Z] late\n';
    expect(text((await following.next()).value)).toBe(late);
    await following.return?.();
    expect(await rest(await open({ timestamps: true, lines: 2 }))).toBe(
      `2026-11-29T10:00:00.000Z two of two\n${late}`,
    );
    await fake.machines.restart(tenant, 'web');
    expect(await rest(await open({ timestamps: true, previous: true, lines: 1 }))).toBe(late);
  });

  test('follows new output and ends with the machine', async () => {
    await fake.machines.start(tenant, 'web');
    const machine = await guest();
    machine.print('one\ntwo\n');
    const following = await open({ lines: 1, follow: true });
    expect(text((await following.next()).value)).toBe('two\n');
    const next = following.next();
    machine.print('three\n');
    expect(text((await next).value)).toBe('three\n');
    machine.print('four\n');
    machine.powerOff();
    expect(await rest(following)).toBe('four\n');
  });

  test('ends for followers on a restart', async () => {
    await fake.machines.start(tenant, 'web');
    const following = await open({ follow: true });
    await following.next();
    await fake.machines.restart(tenant, 'web');
    expect(await rest(following)).toBe('');
  });

  test('of a starting machine is followed from its first line', async () => {
    const launching = Promise.withResolvers<void>();
    fake.driver.delay('launch', 50);
    fake.guest.onReady = () => launching.promise;
    const starting = fake.machines.start(tenant, 'web');
    await fake.machines.wait(tenant, 'web', { states: ['starting'], timeoutMs: 5_000 }, never);
    const following = await open({ follow: true });
    expect(text((await following.next()).value)).toBe('');
    (await guest()).print('booting\n');
    expect(text((await following.next()).value)).toBe('booting\n');
    launching.resolve();
    await starting;
    await following.return?.();
  });

  test('releases an idle follower when its signal aborts', async () => {
    await fake.machines.start(tenant, 'web');
    const leaving = new AbortController();
    const following = await open({ follow: true }, leaving.signal);
    await following.next();
    const machine = await guest();
    expect(machine.followers).toBe(1);
    leaving.abort();
    // Even though nobody requests more.
    await vi.waitUntil(() => machine.followers === 0);
  });

  test('ends for all followers when the service closes', async () => {
    await fake.machines.start(tenant, 'web');
    const following = await open({ follow: true });
    await following.next();
    const next = following.next();
    await Promise.all([expect(next).rejects.toMatchObject({ code: 'unavailable' }), fake.machines.close()]);
  });

  test('is unsupported on an engine without consoles', async () => {
    Object.assign(fake.driver, { console: null });
    await expect(open()).rejects.toMatchObject({ code: 'unsupported' });
  });

  test('of a missing machine is not found', async () => {
    const request = { lines: 1, follow: false };
    await expect(fake.machines.console(tenant, 'nobody', request, never)).rejects.toMatchObject({
      code: 'not_found',
    });
    await expect(fake.machines.console('other', 'web', request, never)).rejects.toMatchObject({
      code: 'not_found',
    });
  });
});

describe('followers', () => {
  const leaves: readonly [string, (one: AsyncIterator<Uint8Array>, gone: AbortController) => unknown][] = [
    ['before the first piece', (one) => one.return?.()],
    [
      'while they wait',
      async (one) => {
        await one.next();
        const next = one.next();
        await one.return?.();
        expect(await next).toMatchObject({ done: true });
      },
    ],
    ['by their signal', (_, gone) => gone.abort()],
  ];

  test.each(leaves)('are limited, and release their place when they leave %s', async (_, leave) => {
    await fake.machines.start(tenant, 'web');
    const gone = new AbortController();
    const first = await open({ follow: true }, gone.signal);
    for (let i = 1; i < followersPerMachineMax; i++) await open({ follow: true });
    await expect(open({ follow: true })).rejects.toMatchObject({ code: 'exhausted' });
    await open();
    await leave(first, gone);
    await open({ follow: true });
    await expect(open({ follow: true })).rejects.toMatchObject({ code: 'exhausted' });
  });

  test('with an aborted signal take no place', async () => {
    await fake.machines.start(tenant, 'web');
    for (let i = 0; i <= followersPerMachineMax; i++) {
      expect(await rest(await open({ follow: true }, AbortSignal.abort()))).toBe('');
    }
  });
});
