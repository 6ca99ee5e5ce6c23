/** What the runner guarantees its callers beyond `test/crash`: joins, lost races, steps that hang. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { abandonAfterMs } from './bounded.ts';

const tenant = 'default';
const request = { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' };
const never = () => new Promise<never>(() => undefined);
const turn = () => new Promise((resolve) => setImmediate(resolve));

let fake: FakeFlotilla;
afterEach(() => fake.close(), 15_000);

/** Makes the guest power off when asked to; otherwise each stop waits for its grace period. */
const powersOff = () => {
  fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
};

const newest = async () => {
  const { operations } = await fake.store.operations.list({ tenant, limit: 1, offset: 0 });
  return operations[0];
};

describe('a stop that meets the end of a start', () => {
  test('rewrites nothing: the start stays succeeded, the machine is stopped', async () => {
    // The stop requests cancellation while the start's last write is in progress.
    for (let round = 0; round < 8; round++) {
      const atEnd = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      fake = await startFake({
        hooks: {
          recorded: async (operation, step, phase) => {
            if (operation.kind !== 'machine.start' || step !== 'ready' || phase !== 'started') return;
            atEnd.resolve();
            await goOn.promise;
          },
        },
      });
      powersOff();
      await fake.machines.create(tenant, request);
      const starting = fake.machines.start(tenant, 'web').catch(() => null);
      await atEnd.promise;
      const stopping = fake.machines.stop(tenant, 'web');
      for (let n = 0; n < round; n++) await turn();
      goOn.resolve();
      expect(await stopping).toMatchObject({ machine: { state: 'stopped' } });
      const started = await starting;
      const { operations } = await fake.store.operations.list({ tenant, limit: 9, offset: 0 });
      const start = operations.find(({ kind }) => kind === 'machine.start');
      expect(start?.state).toBe(started ? 'succeeded' : 'cancelled');
      expect(await fake.store.operations.open('host')).toEqual([]);
      if (round < 7) await fake.close();
    }
  });

  test('and finds the start closed acts on the machine’s new state', async () => {
    const booting = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    fake = await startFake();
    powersOff();
    fake.guest.onReady = async () => {
      booting.resolve();
      await goOn.promise;
    };
    await fake.machines.create(tenant, request);
    const starting = fake.machines.start(tenant, 'web');
    await booting.promise;
    // The start ends after the stop has decided to cancel it and before the cancel request.
    const { operations } = fake.store;
    const real = operations.requestCancel;
    vi.spyOn(operations, 'requestCancel').mockImplementationOnce(async (id) => {
      goOn.resolve();
      await starting;
      return real(id);
    });
    expect(await fake.machines.stop(tenant, 'web')).toMatchObject({ machine: { state: 'stopped' } });
    const all = await operations.list({ tenant, limit: 9, offset: 0 });
    expect(all.operations.map(({ kind, state }) => `${kind} ${state}`).sort()).toEqual([
      'machine.create succeeded',
      'machine.start succeeded',
      'machine.stop succeeded',
    ]);
  });
});

test('two stops of an operation without a runner take it up only once', async () => {
  const launched = Promise.withResolvers<void>();
  fake = await startFake({
    hooks: {
      recorded: async (_operation, step, phase) => {
        if (step !== 'ready' || phase !== 'started') return;
        launched.resolve();
        await never();
      },
    },
  });
  await fake.machines.create(tenant, request);
  void fake.machines.start(tenant, 'web');
  await launched.promise;
  let undone = 0;
  const next = await fake.restarted({
    hooks: {
      recorded: async (_operation, step, phase) => {
        if (step === 'launch' && phase === 'undone') undone += 1;
      },
    },
  });
  const stops = await Promise.all([1, 2, 3].map(() => next.machines.stop(tenant, 'web')));
  for (const { machine } of stops) expect(machine.state).toBe('stopped');
  expect(undone).toBe(1);
  expect((await newest())?.state).toBe('cancelled');
  expect(await next.machines.start(tenant, 'web')).toMatchObject({ machine: { state: 'running' } });
});

test('a replaced daemon writes nothing more, even for operations it still runs', async () => {
  const launched = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  fake = await startFake({
    hooks: {
      recorded: async (_operation, step, phase) => {
        if (step !== 'ready' || phase !== 'started') return;
        launched.resolve();
        await goOn.promise;
      },
    },
  });
  await fake.machines.create(tenant, request);
  const old = fake.machines.start(tenant, 'web').catch((error: unknown) => error);
  await launched.promise;
  await fake.recovered();
  const before = await newest();
  expect(before).toMatchObject({ state: 'succeeded', owner: { epoch: 2 } });
  goOn.resolve();
  expect(await old).toMatchObject({ message: expect.stringContaining('another daemon') });
  expect(await newest()).toEqual(before);
  await expect(fake.machines.stop(tenant, 'web')).rejects.toMatchObject({ code: 'unavailable' });
});

describe('a step that ignores its deadline', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /**
   * A function that never settles; `called` resolves at its call. Only then are timers faked, so that the
   * store's timers stay real.
   */
  function hanging() {
    const { promise: called, resolve } = Promise.withResolvers<void>();
    const call = async (): Promise<never> => {
      resolve();
      return never();
    };
    return { called, call };
  }

  /**
   * Passes a step's or undo's deadline and the time to stop, but no more: the store is used right after it.
   */
  async function passDeadline(timeoutMs: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(timeoutMs);
    await vi.advanceTimersByTimeAsync(abandonAfterMs);
  }

  test('is abandoned: a create whose disk hangs fails in time, and so does its undo', async () => {
    fake = await startFake();
    const [prepare, remove] = [hanging(), hanging()];
    vi.spyOn(fake.disks, 'prepare').mockImplementation(prepare.call);
    vi.spyOn(fake.disks, 'remove').mockImplementation(remove.call);
    const creating = fake.machines.create(tenant, request).catch((error: unknown) => error);
    await prepare.called;
    await passDeadline(60_000);
    await remove.called;
    await passDeadline(60_000);
    expect(await creating).toMatchObject({ code: 'timeout' });
    expect(await newest()).toMatchObject({ state: 'failed', failure: { code: 'timed_out', step: 'disk' } });
    expect(await fake.store.operations.open('host')).toEqual([]);
  });

  test('is abandoned: a delete whose VMM cannot be destroyed leaves a failed machine with the reason', async () => {
    fake = await startFake();
    await fake.machines.create(tenant, request);
    await fake.machines.start(tenant, 'web');
    const destroy = hanging();
    const spy = vi.spyOn(fake.driver, 'destroy').mockImplementation(destroy.call);
    const deleting = fake.machines.delete(tenant, 'web', { force: true }).catch((error: unknown) => error);
    await destroy.called;
    await passDeadline(30_000);
    expect(await deleting).toMatchObject({ code: 'timeout' });
    expect(await fake.machines.get(tenant, 'web')).toMatchObject({
      state: 'failed',
      failure: { message: expect.stringContaining('did not end within') },
    });
    spy.mockRestore();
    await fake.machines.delete(tenant, 'web', { force: false });
  });

  test('does not delay the daemon’s shutdown', async () => {
    fake = await startFake();
    const prepare = hanging();
    vi.spyOn(fake.disks, 'prepare').mockImplementation(prepare.call);
    const creating = fake.machines.create(tenant, request).catch((error: unknown) => error);
    await prepare.called;
    const closed = fake.interrupt();
    await vi.advanceTimersByTimeAsync(abandonAfterMs);
    await closed;
    expect(await creating).toMatchObject({ code: 'unavailable' });
    expect(await fake.store.operations.open('host')).toHaveLength(1);
  });
});

test('the reconciler looks for leftovers of a failed undo after the operation is closed', async () => {
  fake = await startFake();
  await fake.machines.create(tenant, request);
  fake.guest.onReady = async () => {
    fake.driver.failNext('stop', new Error('the VMM does not listen'));
    throw new Error('the guest said no');
  };
  const openThen = Promise.withResolvers<number>();
  const { all } = fake.store.machines;
  vi.spyOn(fake.store.machines, 'all').mockImplementationOnce(async (hostId) => {
    openThen.resolve((await fake.store.operations.open('host')).length);
    return all(hostId);
  });
  await expect(fake.machines.start(tenant, 'web')).rejects.toThrow('the guest said no');
  expect(await openThen.promise).toBe(0);
  const [vmm] = [...fake.driver.host.machines.values()];
  while (vmm?.status.state === 'running') await turn();
  expect(vmm?.status.state).toBe('exited');
});
