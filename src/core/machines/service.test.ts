/** Promises of the use cases that hold for every engine; on the fake one, with the real store. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type FakeFlotilla, type FakeOptions, startFake } from '../../../test/support/fake.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import type { MachineState } from './states.ts';

const tenant = 'default';
const request = { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' };
/** Gives everything else that is due a turn. */
const turn = () => new Promise((resolve) => setImmediate(resolve));
const never = () => new Promise<never>(() => undefined);

let fake: FakeFlotilla;
afterEach(() => fake.close());

async function begin(options: FakeOptions = {}): Promise<FakeFlotilla> {
  fake = await startFake(options);
  await fake.machines.create(tenant, request);
  return fake;
}

/** A caller who can leave; `error` is why. */
function leaver() {
  const error = new Error('the caller has left');
  const controller = new AbortController();
  return { error, signal: controller.signal, leave: () => controller.abort(error) };
}

describe('a caller who leaves', () => {
  const wait = (state: MachineState) =>
    fake.machines.wait(tenant, 'web', { states: [state], timeoutMs: 10_000 }, new AbortController().signal);

  test('ends the start that it began, and nothing of it is left', async () => {
    const { machines, guest, driver, operations } = await begin();
    guest.onReady = never;
    const { error, signal, leave } = leaver();
    const starting = machines.start(tenant, 'web', { signal });
    await wait('starting');
    leave();
    await expect(starting).rejects.toBe(error);
    const { state, failure, restartAt } = await machines.get(tenant, 'web');
    expect({ state, failure, restartAt }).toEqual({ state: 'stopped', failure: null, restartAt: null });
    expect([...driver.host.machines.values()].filter(({ status }) => status.state === 'running')).toEqual([]);
    const { operations: listed } = await operations.list(tenant, { machine: 'web', limit: 1, offset: 0 });
    expect(listed).toMatchObject([{ kind: 'machine.start', state: 'cancelled' }]);
    guest.onReady = async () => undefined;
    expect(await machines.start(tenant, 'web')).toMatchObject({ machine: { state: 'running' } });
  });

  test('leaves a start alone that another began', async () => {
    const { machines, guest } = await begin();
    const { promise, resolve } = Promise.withResolvers<void>();
    guest.onReady = () => promise;
    const starting = machines.start(tenant, 'web');
    await wait('starting');
    const { signal, leave } = leaver();
    const joined = machines.start(tenant, 'web', { isIdempotent: true, signal });
    // A transaction after that of the second start.
    await machines.update(tenant, 'web', { labels: { joined: 'yes' } });
    leave();
    resolve();
    expect(await starting).toMatchObject({ machine: { state: 'running' } });
    expect(await joined).toMatchObject({ machine: { state: 'running' } });
    expect((await machines.get(tenant, 'web')).state).toBe('running');
  });

  test('too early begins nothing, too late changes nothing', async () => {
    const { machines } = await begin();
    const early = leaver();
    early.leave();
    await expect(machines.start(tenant, 'web', { signal: early.signal })).rejects.toBe(early.error);
    expect((await machines.get(tenant, 'web')).state).toBe('created');
    const late = leaver();
    await machines.start(tenant, 'web', { signal: late.signal });
    late.leave();
    expect((await machines.get(tenant, 'web')).state).toBe('running');
  });

  test('leaves a resumed machine paused, and a machine that is being made does not come to be', async () => {
    const { machines, guest, disks } = await begin();
    await machines.start(tenant, 'web');
    await machines.pause(tenant, 'web');
    guest.onReady = never;
    const one = leaver();
    const resuming = machines.resume(tenant, 'web', { signal: one.signal });
    await wait('resuming');
    one.leave();
    await expect(resuming).rejects.toBe(one.error);
    expect((await machines.get(tenant, 'web')).state).toBe('paused');
    const other = leaver();
    vi.spyOn(disks, 'prepare').mockImplementation(async () => {
      other.leave();
      return never();
    });
    const creating = machines.create(tenant, { ...request, name: 'db' }, undefined, other.signal);
    await expect(creating).rejects.toBe(other.error);
    await expect(machines.get(tenant, 'db')).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('start', () => {
  test('a guest that hangs at boot fails the machine at its deadline, with the console’s last lines', async () => {
    const { machines, guest, driver } = await begin({ bootTimeoutMs: 100 });
    guest.onReady = never;
    const starting = machines.start(tenant, 'web');
    await machines.wait(
      tenant,
      'web',
      { states: ['starting'], timeoutMs: 5_000 },
      new AbortController().signal,
    );
    const untilLaunched = async () => {
      while (driver.host.machines.size === 0) await turn();
    };
    await untilLaunched();
    for (const machine of driver.host.machines.values()) machine.print('Waiting for root device\n');
    await expect(starting).rejects.toMatchObject({ code: 'timeout' });
    expect(await machines.get(tenant, 'web')).toMatchObject({
      state: 'failed',
      failure: { code: 'timed_out', console: ['Waiting for root device'] },
    });
    expect([...driver.host.machines.values()].map(({ status }) => status.state)).toEqual(['exited']);
  });

  test('a host disk that becomes full at boot fails it before its deadline, as disk_full', async () => {
    const { machines, guest, driver } = await begin();
    guest.onReady = async () => {
      for (const machine of driver.host.machines.values()) machine.pause('disk_full');
      await never();
    };
    await expect(machines.start(tenant, 'web')).rejects.toMatchObject({ code: 'exhausted' });
    expect(await machines.get(tenant, 'web')).toMatchObject({
      state: 'failed',
      failure: { code: 'disk_full' },
    });
    expect([...driver.host.machines.values()].map(({ status }) => status.state)).toEqual(['exited']);
    guest.onReady = async () => undefined;
    expect(await machines.start(tenant, 'web')).toMatchObject({ machine: { state: 'running' } });
  });

  test('a VMM that dies at boot fails it at once, not at the deadline', async () => {
    const { machines, guest, driver } = await begin();
    guest.onReady = async () => {
      for (const machine of driver.host.machines.values()) machine.die({ reason: 'no bootable kernel' });
      await never();
    };
    await expect(machines.start(tenant, 'web')).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringContaining('no bootable kernel'),
    });
  });

  test('the deadline counts from launch: waiting in the queue does not time out', async () => {
    const { machines, guest } = await begin({ bootTimeoutMs: 300 });
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const name of names) await machines.create(tenant, { ...request, name });
    // Three rounds of two at a time take longer than one deadline.
    guest.onReady = (signal) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(resolve, 150);
        signal.addEventListener('abort', () => {
          clearTimeout(timer);
          reject(signal.reason);
        });
      });
    const results = await Promise.all(names.map((name) => machines.start(tenant, name)));
    expect(results.map(({ machine }) => machine.state)).toEqual(names.map(() => 'running'));
  });
});

describe('the record beside the disk', () => {
  test('exists before the disk, and names an incarnation before its VMM', async () => {
    fake = await startFake();
    const { machines, records, disks, driver } = fake;
    const seen: unknown[] = [];
    const prepare = disks.prepare.bind(disks);
    vi.spyOn(disks, 'prepare').mockImplementation(async (request) => {
      seen.push(records.written.get(request.machineId)?.spec.name);
      return prepare(request);
    });
    const launch = driver.launch.bind(driver);
    vi.spyOn(driver, 'launch').mockImplementation(async (spec, signal) => {
      const { incarnation, revision } = records.written.get(spec.machineId) ?? {};
      seen.push(incarnation === spec.incarnation, revision);
      return launch(spec, signal);
    });
    const { id } = await machines.create(tenant, request);
    await machines.start(tenant, 'web');
    await machines.restart(tenant, 'web');
    const { revision } = (await fake.store.machines.get(id)) ?? {};
    expect(seen).toEqual(['web', true, expect.any(Number), true, expect.any(Number)]);
    expect(seen[4]).toBeGreaterThan(seen[2] as number);
    expect(revision).toBeGreaterThan(seen[4] as number);
  });
});

describe('races', () => {
  test('of ten creates of one name one wins, and the others leave nothing behind', async () => {
    fake = await startFake();
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => fake.machines.create(tenant, request)),
    );
    const lost = results.filter((result) => result.status === 'rejected');
    expect(lost.map(({ reason }) => reason.code)).toEqual(Array(9).fill('conflict'));
    expect(fake.disks.made.size).toBe(1);
  });

  test('of ten starts one boots, and the others learn that it is starting', async () => {
    const { machines, driver } = await begin();
    const results = await Promise.all(Array.from({ length: 10 }, () => machines.start(tenant, 'web')));
    expect(results.filter(({ verdict }) => verdict === 'done')).toHaveLength(1);
    expect(driver.host.machines.size).toBe(1);
  });

  test('a delete during a create leaves no machine', async () => {
    const reached = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    fake = await startFake({
      hooks: {
        recorded: async (_operation, _step, phase) => {
          if (phase !== 'started') return;
          reached.resolve();
          await goOn.promise;
        },
      },
    });
    const creating = fake.machines.create(tenant, request).catch((error: unknown) => error);
    await reached.promise;
    const deleting = fake.machines.delete(tenant, 'web', { force: false });
    while (!(await fake.store.operations.open('host'))[0]?.isCancelRequested) await turn();
    goOn.resolve();
    expect(await deleting).toMatchObject({ verdict: 'done', machine: { state: 'deleted' } });
    expect(await creating).toMatchObject({ code: 'conflict' });
    expect(fake.disks.made.size).toBe(0);
    expect((await fake.machines.list({ limit: 10, offset: 0 })).total).toBe(0);
  });
});

describe('a delete with force', () => {
  const untilState = (state: MachineState) =>
    fake.machines.wait(tenant, 'web', { states: [state], timeoutMs: 5_000 }, new AbortController().signal);
  const remove = () => fake.machines.delete(tenant, 'web', { force: true });
  const expectNothing = async () => {
    expect((await fake.machines.list({ limit: 10, offset: 0 })).total).toBe(0);
    expect(fake.disks.made.size).toBe(0);
    expect(fake.driver.host.machines.size).toBe(0);
  };

  test('cancels a start like a stop does', async () => {
    const { machines, guest } = await begin();
    guest.onReady = never;
    const starting = machines.start(tenant, 'web').catch((error: unknown) => error);
    await untilState('starting');
    await expect(machines.delete(tenant, 'web', { force: false })).rejects.toMatchObject({
      code: 'conflict',
      isPassing: false,
      hint: 'Stop the machine first, or delete it with force.',
    });
    expect(await remove()).toMatchObject({ verdict: 'done' });
    expect(await starting).toMatchObject({ code: 'conflict' });
    await expectNothing();
  });

  test('cancels a stop, and a pause', async () => {
    const { machines, guest, driver } = await begin();
    await machines.start(tenant, 'web');
    const asked = Promise.withResolvers<void>();
    guest.onShutdown = () => asked.resolve();
    const stopping = machines.stop(tenant, 'web').catch((error: unknown) => error);
    await asked.promise;
    guest.onShutdown = ({ incarnation }) => driver.machine(incarnation).powerOff();
    await remove();
    await stopping;
    await expectNothing();
  });

  test('that is repeated ends with the first one, without an error', async () => {
    const { machines, driver } = await begin();
    await machines.start(tenant, 'web');
    const destroying = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const destroy = driver.destroy.bind(driver);
    vi.spyOn(driver, 'destroy').mockImplementation(async (...args) => {
      destroying.resolve();
      await goOn.promise;
      return destroy(...args);
    });
    const first = remove();
    await destroying.promise;
    const second = machines.delete(tenant, 'web', { force: false });
    goOn.resolve();
    expect(await second).toMatchObject({ verdict: 'done', machine: { state: 'deleted' } });
    expect(await first).toMatchObject({ verdict: 'done', machine: { state: 'deleted' } });
    await expectNothing();
  });
});

test('an idempotent action succeeds in the requested state, and waits for an operation on its way there', async () => {
  const { machines, guest } = await begin();
  const isReady = Promise.withResolvers<void>();
  guest.onReady = () => isReady.promise;
  const again = { isIdempotent: true };
  const starts = [machines.start(tenant, 'web'), machines.start(tenant, 'web', again)];
  isReady.resolve();
  const running = { verdict: 'done', machine: { state: 'running' } };
  expect(await Promise.all(starts)).toMatchObject([running, running]);
  expect(await machines.start(tenant, 'web', again)).toMatchObject(running);
  expect(await machines.start(tenant, 'web')).toMatchObject({ verdict: 'ignored' });
});

describe('changing a machine', () => {
  test('gives every command its environment, unless the command has its own', async () => {
    const { machines, guest } = await begin();
    await machines.start(tenant, 'web');
    await machines.update(tenant, 'web', { env: { LANG: 'C', A: '1' } });
    await machines.update(tenant, 'web', { env: { A: null, B: '2' } });
    const exec = vi.spyOn(guest, 'exec');
    const command = { argv: ['true'], timeoutMs: 1_000 };
    await machines.exec(tenant, 'web', { ...command, env: { B: '3' } }, new AbortController().signal);
    const [[, request] = []] = exec.mock.calls as unknown as [[unknown, object]];
    expect(request).toMatchObject({ env: { LANG: 'C', B: '3' } });
  });

  test('enlarges its disk at the next start', async () => {
    const { machines, disks } = await begin();
    await machines.update(tenant, 'web', { diskMib: 4096 });
    const { machine } = await machines.start(tenant, 'web');
    expect(disks.grown.get(machine.id)).toBe(4096);
    await expect(machines.update(tenant, 'web', { diskMib: 8192 })).rejects.toMatchObject({
      code: 'conflict',
      details: { action: 'update', state: 'running' },
    });
  });

  test('refuses more than the host has, and a smaller disk', async () => {
    const { machines } = await begin({ capabilities: { vcpuCountMax: 4, memoryMibMax: 1000 } });
    const refused = (message: string) => ({ code: 'invalid', message: expect.stringContaining(message) });
    await expect(machines.update(tenant, 'web', { vcpuCount: 5 })).rejects.toMatchObject(refused('4 vCPUs'));
    await expect(machines.update(tenant, 'web', { memoryMib: 1001 })).rejects.toMatchObject(
      refused('1000 MiB'),
    );
    await expect(machines.update(tenant, 'web', { diskMib: 1 })).rejects.toMatchObject(refused('shrink'));
    expect((await machines.get(tenant, 'web')).spec).toMatchObject({ vcpuCount: 1, memoryMib: 128 });
  });

  test('refuses less memory than its image needs, which it could never start with', async () => {
    const { machines } = await begin();
    await expect(machines.update(tenant, 'web', { memoryMib: 63 })).rejects.toMatchObject({
      code: 'invalid',
      message: "image 'busybox' needs at least 64 MiB of memory, not 63",
      hint: 'Ask for 64 MiB or more.',
    });
    expect((await machines.update(tenant, 'web', { memoryMib: 64 })).spec.memoryMib).toBe(64);
  });

  test('refuses a disk too large for its memory: the guest would run out of it', async () => {
    const { machines } = await begin();
    const diskMib = 4 * 1024 * 1024;
    await machines.update(tenant, 'web', { memoryMib: 95 });
    await expect(machines.update(tenant, 'web', { diskMib })).rejects.toMatchObject({
      code: 'invalid',
      message: `image 'busybox' with a disk of ${diskMib} MiB needs at least 96 MiB of memory, not 95`,
      hint: 'Ask for 96 MiB or more, or for a smaller disk.',
    });
    expect((await machines.update(tenant, 'web', { memoryMib: 96, diskMib })).spec).toMatchObject({
      memoryMib: 96,
      diskMib,
    });
    await expect(
      machines.create(tenant, { name: 'big', memoryMib: 95, diskMib, vcpuCount: 1 }),
    ).rejects.toMatchObject({ code: 'invalid' });
  });

  test('loses none of several simultaneous changes of its exposed ports', async () => {
    const { machines } = await begin();
    await machines.update(tenant, 'web', { exposedPorts: [80, 443] });
    const ports = [8080, 8081, 8082, 8083, 8084];
    const added = ports.map((port) => machines.update(tenant, 'web', { exposedPortsAdd: [port] }));
    await Promise.all([...added, machines.update(tenant, 'web', { exposedPortsRemove: [80, 81] })]);
    const exposed = async () => (await machines.get(tenant, 'web')).spec.exposedPorts;
    expect([...(await exposed())].sort()).toEqual([443, ...ports]);
    await machines.update(tenant, 'web', {
      exposedPorts: [1],
      exposedPortsAdd: [1, 2],
      exposedPortsRemove: [2],
    });
    expect(await exposed()).toEqual([1]);
    const many = Array.from({ length: 256 }, (_, port) => port + 2);
    await expect(machines.update(tenant, 'web', { exposedPortsAdd: many })).rejects.toMatchObject({
      code: 'invalid',
      message: 'a machine exposes at most 256 ports',
    });
  });

  test('limits the size of labels and environment', async () => {
    const { machines } = await begin();
    const labels = (from: number) =>
      Object.fromEntries(Array.from({ length: 64 }, (_, n) => [`label-${from + n}`, 'x']));
    await machines.update(tenant, 'web', { labels: labels(0) });
    await expect(machines.update(tenant, 'web', { labels: labels(1) })).rejects.toMatchObject({
      code: 'invalid',
      message: 'labels must be at most 64',
    });
    await expect(
      machines.update(tenant, 'web', { env: { BIG: 'x'.repeat(16 * 1024) } }),
    ).rejects.toMatchObject({ code: 'invalid', message: 'env must take at most 16384 bytes in all' });
  });
});

describe('a restart that waits in the queue', () => {
  /** Both slots are taken by guests that hang; `web` runs and gets a restart request. */
  async function queued(): Promise<{ readonly restarting: Promise<unknown>; readonly incarnation: string }> {
    const { machines, guest } = await begin();
    const { machine } = await machines.start(tenant, 'web');
    guest.onReady = (signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    for (const name of ['a', 'b']) {
      await machines.create(tenant, { ...request, name });
      machines.start(tenant, name).catch(() => undefined);
    }
    while (fake.driver.host.machines.size < 3) await turn();
    const restarting = machines.restart(tenant, 'web').catch((error: unknown) => error);
    await machines.wait(
      tenant,
      'web',
      { states: ['starting'], timeoutMs: 5_000 },
      new AbortController().signal,
    );
    return { restarting, incarnation: machine.incarnation ?? '' };
  }

  test('keeps its guest running meanwhile, also during reconciliation', async () => {
    const { incarnation } = await queued();
    const repairs = await fake.reconciler.run();
    expect(repairs.filter(({ kind }) => kind !== 'adopt')).toEqual([]);
    expect(fake.driver.machine(incarnation).status).toEqual({ state: 'running' });
  });

  test('asks its guest to power off when it is stopped before its turn, and can start again', async () => {
    const { restarting, incarnation } = await queued();
    fake.guest.onShutdown = ({ incarnation: asked }) => fake.driver.machine(asked).powerOff();
    expect(await fake.machines.stop(tenant, 'web')).toMatchObject({ machine: { state: 'stopped' } });
    expect(await restarting).toMatchObject({ code: 'conflict' });
    expect(fake.guest.calls).toContain(`shutdown ${incarnation}`);
    expect(fake.driver.host.machines.has(incarnation)).toBe(false);
    for (const name of ['a', 'b']) await fake.machines.stop(tenant, name);
    fake.guest.onReady = async () => undefined;
    expect(await fake.machines.start(tenant, 'web')).toMatchObject({ machine: { state: 'running' } });
  });
});

test('a restart on a full disk is refused before its guest is asked to end', async () => {
  const { machines, disks, guest } = await begin();
  await machines.start(tenant, 'web');
  disks.free = 1;
  await expect(machines.restart(tenant, 'web')).rejects.toMatchObject({ code: 'exhausted' });
  expect(await machines.get(tenant, 'web')).toMatchObject({ state: 'running' });
  expect(guest.calls.filter((call) => call.startsWith('shutdown'))).toEqual([]);
});

test('a guest that reboots does not delay reconciliation while it boots', async () => {
  const { machines, driver, guest, reconciler } = await begin();
  const { machine } = await machines.start(tenant, 'web');
  const incarnation = machine.incarnation ?? '';
  guest.announce(incarnation, 'reboot');
  guest.onReady = never;
  fake.machines.close();
  driver.machine(incarnation).reset();
  await reconciler.run();
  await vi.waitUntil(async () => (await machines.get(tenant, 'web')).state === 'starting');
});

describe('an operation without a runner', () => {
  async function orphaned(options: FakeOptions = {}): Promise<ReturnType<FakeFlotilla['restarted']>> {
    const launched = Promise.withResolvers<void>();
    const { machines } = await begin({
      ...options,
      hooks: {
        recorded: async (_operation, step, phase) => {
          if (step !== 'launch' || phase !== 'succeeded') return;
          launched.resolve();
          await never();
        },
      },
    });
    void machines.start(tenant, 'web');
    await launched.promise;
    return await fake.restarted();
  }

  test('is undone by a stop, which does not wait for ever', async () => {
    const next = await orphaned();
    expect(await next.machines.stop(tenant, 'web')).toMatchObject({
      verdict: 'done',
      machine: { state: 'stopped' },
    });
    expect([...fake.driver.host.machines.values()].map(({ status }) => status.state)).toEqual(['exited']);
  });

  test('is taken up after a while, even if the clock is set', async () => {
    const clock = new FakeClock();
    const { supervisor, machines } = await orphaned({ clock });
    const state = async () => (await machines.get(tenant, 'web')).state;
    await supervisor.recoverOrphans();
    clock.set(1e10);
    await supervisor.recoverOrphans();
    expect(await state()).toBe('starting');
    clock.set(-2e10);
    clock.advance(10_000);
    await supervisor.recoverOrphans();
    expect(await state()).toBe('running');
  });

  test('is refused once the daemon shuts down', async () => {
    const next = await orphaned();
    await next.interrupt();
    await expect(next.machines.stop(tenant, 'web')).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('after a host reboot', () => {
  test('machines that should run are started again; one stopped by its guest stays stopped', async () => {
    const { machines, driver } = await begin();
    await machines.create(tenant, { ...request, name: 'off' });
    await machines.start(tenant, 'web');
    await machines.start(tenant, 'off');
    await machines.stop(tenant, 'off');
    const before = await machines.get(tenant, 'web');
    driver.host.machines.clear();

    const next = await fake.recovered({ hasHostRebooted: true });
    const wanted = { states: ['running'] as const, timeoutMs: 5_000 };
    const after = await next.machines.wait(tenant, 'web', wanted, new AbortController().signal);
    expect(after.incarnation).not.toBe(before.incarnation);
    expect(await next.machines.get(tenant, 'off')).toMatchObject({ state: 'stopped', failure: null });
  });

  test('machines that could not be inspected or started at first are corrected by a later reconciliation', async () => {
    const { machines, driver, store } = await begin();
    await machines.start(tenant, 'web');
    driver.host.machines.clear();
    driver.failNext('inspect', new Error('the host is busy'));
    const next = await fake.recovered({ hasHostRebooted: true });
    expect(await next.machines.get(tenant, 'web')).toMatchObject({ state: 'running', failure: null });

    const { transaction } = store;
    store.transaction = async () => {
      throw new Error('the store is busy');
    };
    const again = await fake.restarted({ store });
    await again.reconciler.run();
    store.transaction = transaction;
    expect(await again.machines.get(tenant, 'web')).toMatchObject({ state: 'running', failure: null });

    expect((await again.reconciler.run()).map(({ kind }) => kind)).toEqual(['host_rebooted']);
    const wanted = { states: ['starting', 'running'] as const, timeoutMs: 5_000 };
    await again.machines.wait(tenant, 'web', wanted, new AbortController().signal);
    await vi.waitUntil(() => driver.host.machines.size === 1);
  });

  test('a start interrupted by the reboot is repeated from its launch', async () => {
    const died = Promise.withResolvers<void>();
    const { machines, driver } = await begin({
      hooks: {
        recorded: async (_operation, step, phase) => {
          if (step !== 'launch' || phase !== 'succeeded') return;
          died.resolve();
          await never();
        },
      },
    });
    void machines.start(tenant, 'web');
    await died.promise;
    driver.host.machines.clear();
    const next = await fake.recovered({ hasHostRebooted: true });
    expect(await next.machines.get(tenant, 'web')).toMatchObject({
      state: 'running',
      failure: null,
      bootId: next.owner.bootId,
    });
    expect(driver.host.machines.size).toBe(1);
  });
});

describe('memory', () => {
  const create = (name: string) => fake.machines.create(tenant, { ...request, name });
  const start = (name: string) => fake.machines.start(tenant, name);
  const short = {
    code: 'exhausted',
    message: expect.stringContaining('needs 128 MiB, 72 of 200 MiB are free'),
    details: { resource: 'memory', neededMib: 128, freeMib: 72, capacityMib: 200 },
  };

  test('is reserved at start, kept while paused and during a restart, and released by a stop', async () => {
    fake = await startFake({ memoryMib: 200 });
    fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
    await create('a');
    await create('b');
    await start('a');
    await expect(start('b')).rejects.toMatchObject(short);
    expect(await fake.machines.get(tenant, 'b')).toMatchObject({ state: 'created', operationId: null });
    await fake.machines.restart(tenant, 'a');
    await fake.machines.pause(tenant, 'a');
    await expect(start('b')).rejects.toMatchObject(short);
    await fake.machines.stop(tenant, 'a');
    await start('b');
  });

  test('is kept by a machine being deleted until its VMM is gone', async () => {
    fake = await startFake({ memoryMib: 200 });
    await create('a');
    await create('b');
    await start('a');
    const destroying = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const destroy = fake.driver.destroy.bind(fake.driver);
    vi.spyOn(fake.driver, 'destroy').mockImplementation(async (...args) => {
      destroying.resolve();
      await goOn.promise;
      return destroy(...args);
    });
    const deleting = fake.machines.delete(tenant, 'a', { force: true });
    await destroying.promise;
    await expect(start('b')).rejects.toMatchObject(short);
    goOn.resolve();
    await deleting;
    await start('b');
  });

  test('that suffices for one of two starts goes to one', async () => {
    fake = await startFake({ memoryMib: 200 });
    await create('a');
    await create('b');
    const results = await Promise.allSettled([start('a'), start('b')]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(fake.driver.host.machines.size).toBe(1);
  });
});

describe('reconciliation', () => {
  test('notifies listeners of its changes', async () => {
    const { machines, driver, disks, reconciler, bus } = await begin();
    const { machine } = await machines.start(tenant, 'web');
    const told = Promise.withResolvers<void>();
    // Events of the start may still arrive.
    bus.subscribe(machine.id, (event) => {
      if (event?.type === 'machine.changed' && event.data.failure === 'disk_full') told.resolve();
    });
    driver.machine(machine.incarnation ?? '').pause('disk_full');
    disks.free = 1;
    await reconciler.run();
    await told.promise;
  });

  test('an orphan VMM is destroyed, an orphan disk removed', async () => {
    const { machines, driver, disks, reconciler } = await begin();
    await machines.start(tenant, 'web');
    const [spec] = [...driver.host.machines.values()].map((machine) => machine.spec);
    if (!spec) throw new Error('nothing was launched');
    await driver.launch({ ...spec, incarnation: 'ghost' }, new AbortController().signal);
    disks.made.add('ghost');
    const kinds = (await reconciler.run()).map(({ kind }) => kind);
    expect(kinds.sort()).toEqual(['adopt', 'destroy_orphan', 'quarantine_disk']);
    expect(driver.host.machines.has('ghost')).toBe(false);
    expect(disks.made.has('ghost')).toBe(false);
    expect(await machines.get(tenant, 'web')).toMatchObject({ state: 'running' });
  });
});
