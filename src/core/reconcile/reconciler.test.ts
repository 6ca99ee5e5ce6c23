/** The reconciler's timer: findings are confirmed by a second look, repaired and logged as defects. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { silentLog } from '../../lib/log.ts';
import type { Clock } from '../ports/clock.ts';
import { limitsOfSize } from '../ports/engine.ts';
import { Reconciler } from './reconciler.ts';

const tenant = 'default';

let fake: FakeFlotilla;
let tick: () => Promise<void>;
let elapsedMs: number;
let errors: string[];
let warnings: string[];
let betweenLooks: () => void;
let reconciler: Reconciler;

beforeEach(async () => {
  fake = await startFake();
  elapsedMs = 5_000;
  errors = [];
  warnings = [];
  betweenLooks = () => undefined;
  const clock: Clock = {
    now: () => new Date(),
    elapsedMs: () => elapsedMs,
    sleep: async () => betweenLooks(),
    every: (_, fn) => {
      tick = async () => fn();
      return () => undefined;
    },
  };
  const log = {
    ...silentLog,
    error: (_: object, message: string) => errors.push(message),
    warn: (_: object, message: string) => warnings.push(message),
  };
  const edges = { ...fake.edges, clock, log };
  reconciler = new Reconciler({
    store: fake.store,
    edges,
    supervisor: fake.supervisor,
    networks: fake.networks,
    owner: fake.owner,
  });
  reconciler.start();
});
afterEach(async () => {
  await reconciler.close();
  await fake.close();
});

test('logs nothing when there is nothing to repair', async () => {
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
  await fake.machines.start(tenant, 'web');
  await tick();
  expect(errors).toEqual([]);
});

test('a disk that two looks find unknown is quarantined, not removed, and logged as a defect', async () => {
  fake.disks.made.add('ghost');
  await tick();
  expect(fake.disks.made.has('ghost')).toBe(false);
  expect(fake.disks.quarantined).toEqual(new Set(['ghost']));
  expect(errors).toEqual(['only the timer found this: a defect, please report it']);
});

test('a quarantined disk ages by elapsed time, not by the clock', async () => {
  const day = 86_400_000;
  fake.disks.quarantined.add('ghost');
  vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 400 * day);
  // The timer ages the quarantine at its first and then every sixtieth look.
  const looks = async (count: number) => {
    for (let look = 0; look < count; look++) await tick();
  };
  await looks(1);
  elapsedMs += 6.9 * day;
  await looks(60);
  expect(fake.disks.quarantined.size).toBe(1);
  elapsedMs += 0.2 * day;
  await looks(60);
  expect(fake.disks.quarantined.size).toBe(0);
});

test('at start, too, a machine that the second look finds recorded is not treated as unknown', async () => {
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
  await fake.machines.start(tenant, 'web');
  fake.disks.made.add('ghost');
  const all = vi.spyOn(fake.store.machines, 'all');
  // The first look, which reads twice, finds an empty database.
  all.mockResolvedValueOnce([]).mockResolvedValueOnce([]);
  const repairs = await reconciler.run();
  expect(repairs).toEqual([{ kind: 'quarantine_disk', machineId: 'ghost' }]);
  expect(fake.driver.host.machines.size).toBe(1);
  expect(fake.disks.made.size).toBe(1);
});

test('a foreign machine is left alone, also with a damaged record, and logged once', async () => {
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
  const { machine } = await fake.machines.start(tenant, 'web');
  const { id: machineId, incarnation } = machine;
  vi.spyOn(fake.store.machines, 'all').mockResolvedValue([]);
  for (const recorded of [machine, { id: machineId, incarnation, nonsense: true }, null]) {
    fake.records.found.set(machineId, { machineId, hasRecord: true, machine: recorded });
    expect(await reconciler.run()).toEqual([]);
  }
  await tick();
  expect(fake.driver.machine(incarnation ?? '').status).toEqual({ state: 'running' });
  expect(fake.disks.made).toEqual(new Set([machineId]));
  expect(warnings).toEqual(['left alone: not in this database']);
  expect(errors).toEqual([]);
  // Once the operator removes the disk, its VMM is an orphan.
  fake.disks.made.clear();
  expect(await reconciler.run()).toEqual([
    { kind: 'destroy_orphan', engine: 'qemu', incarnation },
    { kind: 'detach_orphan', machineId },
  ]);
});

test('a VMM of another host is left alone and logged once', async () => {
  const limits = { disks: [], nics: [], limits: limitsOfSize };
  const size = { slot: 1, vcpuCount: 1, memoryMib: 64, diskMib: 64 };
  const source = { kind: 'kernel', kernelPath: '/k', initrdPath: '/i', kernelArgs: '' } as const;
  const spec = { machineId: 'm', hostId: 'elsewhere', incarnation: 'stranger', source, ...size, ...limits };
  await fake.driver.launch(spec, new AbortController().signal);
  for (let looks = 0; looks < 2; looks++) expect(await reconciler.run()).toEqual([]);
  await tick();
  expect(fake.driver.machine('stranger').status).toEqual({ state: 'running' });
  expect(warnings).toEqual(['left alone: not in this database']);
  expect(errors).toEqual([]);
});

test('a finding that is gone at the second look is not a defect', async () => {
  fake.disks.made.add('ghost');
  betweenLooks = () => fake.disks.made.delete('ghost');
  await tick();
  expect(errors).toEqual([]);
});

test('a guest that runs while paused, and one that is paused while running, are corrected', async () => {
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
  const { machine } = await fake.machines.start(tenant, 'web');
  const incarnation = machine.incarnation ?? '';
  const vmm = fake.driver.machine(incarnation);
  vmm.pause('on_request');
  await tick();
  expect(vmm.status).toEqual({ state: 'running' });
  expect(fake.guest.calls.filter((call) => call.startsWith('resync'))).toHaveLength(1);
  await fake.machines.pause(tenant, 'web');
  vmm.resume();
  await tick();
  expect(vmm.status).toEqual({ state: 'paused', reason: 'on_request' });
  expect(fake.guest.quiet).toEqual(new Set([incarnation]));
  expect(errors).toEqual([]);
});

test('a guest that waits for space is not resumed once a user has paused it', async () => {
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
  const { machine } = await fake.machines.start(tenant, 'web');
  const vmm = fake.driver.machine(machine.incarnation ?? '');
  vmm.pause('disk_full');
  const all = vi.spyOn(fake.store.machines, 'all');
  const seen = await fake.store.machines.all('host');
  // It is paused after the last read of the store and before the repair.
  all.mockResolvedValueOnce(seen).mockImplementationOnce(async () => {
    await fake.machines.pause(tenant, 'web');
    return seen;
  });
  expect((await fake.reconciler.run()).map(({ kind }) => kind)).toEqual(['adopt', 'resume']);
  expect(vmm.status).toEqual({ state: 'paused', reason: 'disk_full' });
  expect(await fake.machines.get(tenant, 'web')).toMatchObject({ state: 'paused', failure: null });
});

test('a guest that waits for space is marked and resumed without a defect being logged', async () => {
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
  const { machine } = await fake.machines.start(tenant, 'web');
  fake.driver.machine(machine.incarnation ?? '').pause('disk_full');
  fake.disks.free = 1;
  await tick();
  expect(await fake.machines.get(tenant, 'web')).toMatchObject({
    state: 'running',
    failure: { code: 'disk_full' },
  });
  fake.disks.free = 100_000;
  await tick();
  expect(await fake.machines.get(tenant, 'web')).toMatchObject({ state: 'running', failure: null });
  expect(errors).toEqual([]);
});
