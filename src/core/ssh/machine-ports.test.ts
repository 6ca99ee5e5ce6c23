/** Ports of single machines: given once, opened and closed as recorded, freed with the machine. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { AppError } from '../errors.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import type { PortListeners } from './machine-ports.ts';

const tenant = 'default';
const spec = { vcpuCount: 1, memoryMib: 128 };

class Listeners implements PortListeners {
  readonly open = new Map<string, number>();
  readonly busy = new Set<number>();

  async listen(machineId: string, port: number): Promise<void> {
    const isTaken = this.busy.has(port) || [...this.open.values()].includes(port);
    if (isTaken) throw new AppError('unavailable', `port ${port} is taken`);
    this.open.set(machineId, port);
  }

  stop(machineId: string): void {
    this.open.delete(machineId);
  }

  get ports(): readonly number[] {
    return [...this.open.values()].sort();
  }
}

let fake: FakeFlotilla;
let listeners: Listeners;
let clock: FakeClock;
beforeEach(async () => {
  clock = new FakeClock();
  fake = await startFake({ clock });
  listeners = new Listeners();
});
afterEach(() => fake.close());

const create = (name: string, sshPort: number | 'any' | null = 'any') =>
  fake.machines.create(tenant, { ...spec, name, sshPort });
const open = () => fake.sshPorts.open(listeners, fake.bus);

test('a port is open when the answer comes, changes with the machine and is freed with it', async () => {
  await open();
  const web = await create('web');
  expect(web.spec.sshPort).toBe(16_000);
  expect(listeners.ports).toEqual([16_000]);
  const other = await create('other', 16_007);
  expect(listeners.ports).toEqual([16_000, 16_007]);
  await expect(create('third', 16_007)).rejects.toMatchObject({ code: 'conflict' });
  expect(await fake.machines.update(tenant, 'web', { sshPort: 'any' })).toMatchObject({
    spec: { sshPort: 16_000 },
  });
  await fake.machines.update(tenant, 'web', { sshPort: 16_001 });
  expect(listeners.open.get(web.id)).toBe(16_001);
  await fake.machines.update(tenant, 'other', { sshPort: null });
  expect(listeners.ports).toEqual([16_001]);
  expect(await fake.machines.update(tenant, 'other', { sshPort: 16_000 })).toMatchObject({ id: other.id });
  await fake.machines.delete(tenant, 'web', { force: true });
  await vi.waitUntil(() => !listeners.open.has(web.id));
  expect(await create('heir', 16_001)).toMatchObject({ spec: { sshPort: 16_001 } });
  expect(listeners.ports).toEqual([16_000, 16_001]);
});

test('after a restart of the daemon the recorded ports are open again', async () => {
  await create('web');
  await create('none', null);
  const { sshPorts, bus } = await fake.recovered();
  await sshPorts.open(listeners, bus);
  expect(listeners.ports).toEqual([16_000]);
});

test('a port that another program has is tried again, until it is free', async () => {
  listeners.busy.add(16_000);
  await open();
  const web = await create('web');
  expect(listeners.ports).toEqual([]);
  expect(fake.machines.sshPortOf(web)).toEqual({
    port: 16_000,
    isOpen: false,
    reason: 'port 16000 is taken',
  });
  await fake.machines.update(tenant, 'web', { labels: { a: 'b' } });
  listeners.busy.clear();
  clock.advance(30_000);
  await vi.waitUntil(() => listeners.ports.length === 1);
  expect(fake.machines.sshPortOf(web)).toEqual({ port: 16_000, isOpen: true, reason: null });
  expect(fake.machines.sshPortOf(await create('none', null))).toBeNull();
});

test('a daemon that ends opens no port any more', async () => {
  await open();
  const inTime = Promise.withResolvers<void>();
  const listen = listeners.listen.bind(listeners);
  listeners.listen = async (...given) => {
    await inTime.promise;
    await listen(...given);
  };
  const created = create('web');
  await vi.waitUntil(async () => (await fake.machines.list({ tenant, limit: 1, offset: 0 })).total === 1);
  const closed = fake.sshPorts.close();
  inTime.resolve();
  await closed;
  const before = listeners.ports;
  await created;
  await create('late');
  expect(listeners.ports).toEqual(before);
});

test('ports on which programs of the host listen are passed over, and refused', async () => {
  fake.hostNetwork.busy.tcp.add(16_000);
  expect(await create('web')).toMatchObject({ spec: { sshPort: 16_001 } });
  await expect(create('other', 16_000)).rejects.toMatchObject({
    code: 'conflict',
    message: 'a program of the host listens on tcp port 16000',
  });
  await expect(create('other', 80)).rejects.toMatchObject({
    code: 'invalid',
    message: 'ssh_port must be between 16000 and 26000',
  });
});

test('a machine that gives up its network keeps its SSH port', async () => {
  await create('web');
  await fake.machines.update(tenant, 'web', { network: { mode: 'none' } });
  await expect(create('other', 16_000)).rejects.toMatchObject({ code: 'conflict' });
});
