/** What a repair does when a machine changes between the observation and the repair, or during the repair. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import type { FakeMachine } from '../../engines/fake/machine.ts';

const tenant = 'default';
const never = new AbortController().signal;

let fake: FakeFlotilla;
let vmm: FakeMachine;

beforeEach(async () => {
  fake = await startFake();
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
  const { machine } = await fake.machines.start(tenant, 'web');
  vmm = fake.driver.machine(machine.incarnation ?? '');
});
afterEach(async () => {
  await fake.reconciler.close();
  await fake.close();
});

const pause = () => fake.machines.pause(tenant, 'web');
const resume = () => fake.machines.resume(tenant, 'web');
const get = () => fake.machines.get(tenant, 'web');

async function die(): Promise<void> {
  vmm.die();
  await fake.machines.wait(tenant, 'web', { states: ['failed'], timeoutMs: 5_000 }, never);
}

/** One observation and its repairs; `meanwhile` runs after the observation has read the store. */
async function run(meanwhile: () => Promise<unknown> = async () => undefined): Promise<readonly string[]> {
  const seen = await fake.store.machines.all('host');
  const all = vi.spyOn(fake.store.machines, 'all');
  all.mockResolvedValueOnce(seen).mockImplementationOnce(async () => {
    await meanwhile();
    return seen;
  });
  const repairs = await fake.reconciler.run();
  all.mockRestore();
  return repairs.map(({ kind }) => kind).filter((kind) => kind !== 'adopt');
}

/** `before` runs after the last check and before the engine executes the next such call. */
function beforeNext(call: 'pause' | 'resume', before: () => Promise<unknown>): void {
  const original = fake.driver.processors[call];
  vi.spyOn(fake.driver.processors, call).mockImplementationOnce(async (handle, signal) => {
    await before();
    return original(handle, signal);
  });
}

describe('a full disk', () => {
  test.each([
    ['paused', pause],
    ['stopped', () => fake.machines.stop(tenant, 'web')],
  ] as const)('does not mark a machine that is %s meanwhile', async (state, act) => {
    vmm.pause('disk_full');
    fake.guest.onShutdown = () => vmm.powerOff();
    const free = vi.spyOn(fake.disks, 'freeMib').mockResolvedValueOnce(1);
    expect(await run(act)).toEqual(['mark_disk_full']);
    expect(free).toHaveBeenCalled();
    expect(await get()).toMatchObject({ state, failure: null });
  });

  test('that has space again keeps the reason of a machine that fails meanwhile', async () => {
    vmm.pause('disk_full');
    fake.disks.free = 1;
    await run();
    vmm.resume();
    expect(await run(die)).toEqual(['clear_disk_full']);
    expect(await get()).toMatchObject({ state: 'failed', failure: { code: 'vmm_died' } });
  });

  test('that has space again keeps the reason of a machine that fails as soon as it resumes', async () => {
    vmm.pause('disk_full');
    const original = fake.driver.processors.resume;
    vi.spyOn(fake.driver.processors, 'resume').mockImplementationOnce(async (handle, signal) => {
      await original(handle, signal);
      await die();
    });
    expect(await run()).toEqual(['resume']);
    expect(await get()).toMatchObject({ state: 'failed', failure: { code: 'vmm_died' } });
  });
});

describe('processors', () => {
  test('are left alone when the second check finds nothing wrong', async () => {
    const inspect = vi.spyOn(fake.driver, 'inspect');
    inspect.mockResolvedValueOnce({ state: 'paused', reason: 'on_request' });
    expect(await run()).toEqual(['resume']);
    expect(fake.driver.calls.get('resume') ?? 0).toBe(0);
    await pause();
    inspect.mockResolvedValueOnce({ state: 'running' });
    expect(await run()).toEqual(['pause']);
    expect(fake.driver.calls.get('pause')).toBe(1);
  });

  test('that were resumed are paused again when a user paused the machine in between', async () => {
    vmm.pause('on_request');
    beforeNext('resume', pause);
    expect(await run()).toEqual(['resume']);
    expect(await get()).toMatchObject({ state: 'paused' });
    expect(vmm.status).toEqual({ state: 'paused', reason: 'on_request' });
    expect(fake.guest.quiet).toEqual(new Set([vmm.handle.incarnation]));
  });

  test.each([
    ['resumed', resume],
    ['resumed, paused and resumed', () => resume().then(pause).then(resume)],
  ])('that were paused are resumed when a user %s the machine in between', async (_, act) => {
    await pause();
    vmm.resume();
    beforeNext('pause', act);
    expect(await run()).toEqual(['pause']);
    expect(await get()).toMatchObject({ state: 'running', operationId: null });
    expect(vmm.status).toEqual({ state: 'running' });
    expect(fake.guest.quiet.size).toBe(0);
  });
});
