/** Pausing and resuming: preconditions, races and results, on the fake engine with the real store. */
import { afterEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, type FakeOptions, startFake } from '../../../test/support/fake.ts';
import type { FakeMachine } from '../../engines/fake/machine.ts';
import { AppError } from '../errors.ts';
import type { MachineState } from './states.ts';

const tenant = 'default';
const never = new AbortController().signal;

let fake: FakeFlotilla;
afterEach(() => fake.close());

async function begin(options: FakeOptions = {}): Promise<FakeMachine> {
  fake = await startFake(options);
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
  const { machine } = await fake.machines.start(tenant, 'web');
  return fake.driver.machine(machine.incarnation ?? '');
}

const pause = () => fake.machines.pause(tenant, 'web');
const resume = () => fake.machines.resume(tenant, 'web');
const get = () => fake.machines.get(tenant, 'web');
const reached = (state: MachineState) =>
  fake.machines.wait(tenant, 'web', { states: [state], timeoutMs: 5_000 }, never);
const toldTheTime = () => fake.guest.calls.filter((call) => call.startsWith('resync')).length;

describe('pause', () => {
  test('pauses the guest, and ignores its silence until it is resumed', async () => {
    const vmm = await begin();
    const waiting = reached('paused');
    expect(await pause()).toMatchObject({
      verdict: 'done',
      machine: { state: 'paused', desired: 'running' },
    });
    expect(await waiting).toMatchObject({ state: 'paused' });
    expect(vmm.status).toEqual({ state: 'paused', reason: 'on_request' });
    expect(fake.guest.quiet).toEqual(new Set([vmm.handle.incarnation]));
    expect(await pause()).toMatchObject({ verdict: 'ignored' });

    const told = toldTheTime();
    expect(await resume()).toMatchObject({ verdict: 'done', machine: { state: 'running', failure: null } });
    expect(vmm.status).toEqual({ state: 'running' });
    expect(fake.guest.quiet.size).toBe(0);
    expect(toldTheTime()).toBe(told + 1);
    expect(await resume()).toMatchObject({ verdict: 'ignored' });
  });

  test('refuses commands and restarts', async () => {
    await begin();
    await pause();
    const request = { argv: ['true'], timeoutMs: 1000 };
    await expect(fake.machines.exec(tenant, 'web', request, never)).rejects.toMatchObject({
      details: { action: 'exec', state: 'paused' },
    });
    await expect(fake.machines.restart(tenant, 'web')).rejects.toMatchObject({ code: 'conflict' });
    await expect(fake.machines.start(tenant, 'web')).rejects.toMatchObject({ code: 'conflict' });
  });

  test('is refused before anything is recorded if the engine cannot pause', async () => {
    await begin({ without: ['pause'] });
    await expect(pause()).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('qemu'),
    });
    expect(await get()).toMatchObject({ state: 'running', operationId: null });
    const { operations } = await fake.store.operations.list({ tenant, limit: 10, offset: 0 });
    expect(operations.map(({ kind }) => kind)).not.toContain('machine.pause');
  });

  test('that fails in the engine leaves the machine running and returns the reason', async () => {
    const vmm = await begin();
    fake.driver.failNext('pause', new AppError('engine', 'not now'));
    await expect(pause()).rejects.toMatchObject({ message: 'not now' });
    expect(await get()).toMatchObject({ state: 'running', failure: null });
    expect(vmm.status).toEqual({ state: 'running' });
    expect(fake.guest.quiet.size).toBe(0);
  });

  test('of a VMM that ends meanwhile fails the machine with the reason', async () => {
    const vmm = await begin({
      hooks: {
        recorded: async ({ kind }, _step, phase) => {
          if (kind === 'machine.pause' && phase === 'started') vmm.die();
        },
      },
    });
    await expect(pause()).rejects.toMatchObject({ code: 'engine' });
    expect(await reached('failed')).toMatchObject({ failure: { code: 'vmm_died' } });
  });

  test('of a guest that waits for disk space replaces the wait by the pause', async () => {
    const vmm = await begin();
    vmm.pause('disk_full');
    fake.disks.free = 1;
    await fake.reconciler.run();
    expect(await get()).toMatchObject({ state: 'running', failure: { code: 'disk_full' } });
    await pause();
    fake.disks.free = 100_000;
    await fake.reconciler.run();
    expect(await get()).toMatchObject({ state: 'paused', failure: null });
    expect(vmm.status).toMatchObject({ state: 'paused' });
    await resume();
    expect(vmm.status).toEqual({ state: 'running' });
  });
});

describe('halt', () => {
  const halt = async () => (await fake.machines.halt(tenant, 'web')).machine.state;

  test('pauses, and leaves a machine that stands still as it is', async () => {
    await begin();
    expect(await halt()).toBe('paused');
    expect(await halt()).toBe('paused');
    fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
    await fake.machines.stop(tenant, 'web');
    expect(await halt()).toBe('stopped');
  });

  test('stops where the engine cannot pause', async () => {
    await begin({ without: ['pause'] });
    fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
    expect(await halt()).toBe('stopped');
    expect(await halt()).toBe('stopped');
  });
});

describe('resume', () => {
  test('of a guest that does not answer leaves it paused', async () => {
    const vmm = await begin();
    await pause();
    fake.guest.onReady = async () => {
      throw new AppError('timeout', 'no answer');
    };
    await expect(resume()).rejects.toMatchObject({ code: 'timeout' });
    expect(await get()).toMatchObject({ state: 'paused', failure: null });
    expect(vmm.status).toEqual({ state: 'paused', reason: 'on_request' });
    expect(fake.guest.quiet).toEqual(new Set([vmm.handle.incarnation]));
  });

  test('of a VMM that dies meanwhile fails the machine with the reason', async () => {
    const vmm = await begin();
    await pause();
    fake.guest.onReady = async () => {
      vmm.die();
      await new Promise(() => undefined);
    };
    await expect(resume()).rejects.toMatchObject({ code: 'engine' });
    expect(await reached('failed')).toMatchObject({ failure: { code: 'vmm_died' } });
  });

  test('that waits for a silent guest is cancelled by a stop', async () => {
    const vmm = await begin();
    await pause();
    const waiting = Promise.withResolvers<void>();
    fake.guest.onReady = (signal) => {
      waiting.resolve();
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const resumed = expect(resume()).rejects.toMatchObject({ code: 'conflict' });
    await waiting.promise;
    fake.guest.onReady = async () => undefined;
    fake.guest.onShutdown = () => vmm.powerOff();
    expect(await fake.machines.stop(tenant, 'web')).toMatchObject({ machine: { state: 'stopped' } });
    await resumed;
  });

  test('on a full disk is refused and leaves the machine paused', async () => {
    const vmm = await begin();
    await pause();
    fake.disks.free = 1;
    await expect(resume()).rejects.toMatchObject({ code: 'exhausted' });
    expect(await get()).toMatchObject({ state: 'paused' });
    expect(vmm.status).toEqual({ state: 'paused', reason: 'on_request' });
  });
});

describe('a paused machine', () => {
  test('is resumed to power off when it is stopped', async () => {
    const vmm = await begin();
    await pause();
    fake.guest.onShutdown = () => {
      expect(vmm.status).toEqual({ state: 'running' });
      vmm.powerOff();
    };
    expect(await fake.machines.stop(tenant, 'web')).toMatchObject({
      machine: { state: 'stopped', failure: null },
    });
    expect(vmm.status).toMatchObject({ facts: { kind: 'powered_off' } });
  });

  test('is deleted only with force', async () => {
    await begin();
    await pause();
    await expect(fake.machines.delete(tenant, 'web', { force: false })).rejects.toMatchObject({
      code: 'conflict',
    });
    await fake.machines.delete(tenant, 'web', { force: true });
    expect(fake.driver.host.machines.size).toBe(0);
  });

  test('whose VMM dies fails with the reason', async () => {
    const vmm = await begin();
    await pause();
    vmm.die();
    expect(await reached('failed')).toMatchObject({ failure: { code: 'vmm_died' }, handle: null });
  });

  test('stays paused after a restart of the daemon, is watched but not called, and can be resumed', async () => {
    const vmm = await begin();
    await pause();
    const spoken = fake.guest.calls.length;
    const next = await fake.restarted();
    await (await next.supervisor.recover()).ended;
    expect((await next.reconciler.run()).map(({ kind }) => kind)).toEqual(['adopt']);
    expect(await next.machines.get(tenant, 'web')).toMatchObject({ state: 'paused' });
    expect(fake.guest.calls).toHaveLength(spoken);
    await next.machines.resume(tenant, 'web');
    await next.machines.pause(tenant, 'web');
    vmm.die();
    const wanted = { states: ['failed'] as const, timeoutMs: 5_000 };
    expect(await next.machines.wait(tenant, 'web', wanted, never)).toMatchObject({ state: 'failed' });
  });

  test('is stopped by a host reboot, and not started again', async () => {
    await begin();
    await pause();
    fake.driver.host.machines.clear();
    const next = await fake.recovered({ hasHostRebooted: true });
    expect(await next.machines.get(tenant, 'web')).toMatchObject({
      state: 'stopped',
      desired: 'stopped',
      failure: null,
      handle: null,
    });
  });
});

test.each(['machine.pause', 'machine.resume'] as const)(
  'a host reboot in the middle of %s leaves no open operation',
  async (kind) => {
    const died = Promise.withResolvers<void>();
    await begin({
      hooks: {
        recorded: async (operation, _step, phase) => {
          if (operation.kind !== kind || phase !== 'started') return;
          died.resolve();
          await new Promise(() => undefined);
        },
      },
    });
    if (kind === 'machine.resume') await pause();
    void (kind === 'machine.pause' ? pause() : resume());
    await died.promise;
    fake.driver.host.machines.clear();
    const next = await fake.recovered({ hasHostRebooted: true });
    // The pause had not been confirmed, so the machine ran; the resume had not, so it was paused.
    const state = kind === 'machine.pause' ? 'running' : 'stopped';
    const wanted = { states: [state], timeoutMs: 5_000 } as const;
    expect(await next.machines.wait(tenant, 'web', wanted, never)).toMatchObject({
      state,
      operationId: null,
    });
  },
);
