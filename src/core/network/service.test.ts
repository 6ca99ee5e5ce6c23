/** Published ports, addresses and policies: who gets what, and what happens when the host refuses. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { AppError } from '../errors.ts';
import type { CreateRequest } from '../machines/spec.ts';

const tenant = 'default';
let fake: FakeFlotilla;
beforeEach(async () => {
  fake = await startFake();
});
afterEach(() => fake.close());

const create = (name: string, network: CreateRequest['network'] = {}) =>
  fake.machines.create(tenant, { name, vcpuCount: 1, memoryMib: 128, image: 'busybox', network });
const attached = (id: string) => {
  const attachment = fake.hostNetwork.attached.get(id);
  return attachment?.kind === 'nat' ? attachment : undefined;
};

test.each([
  ['address', { address: '10.77.0.9' }],
  ['port', { ports: [{ protocol: 'tcp' as const, hostPort: 8080, guestPort: 80 }] }],
])('of ten machines that ask for one %s, one gets it', async (_, network) => {
  const made = await Promise.allSettled(Array.from({ length: 10 }, (_, n) => create(`web-${n}`, network)));
  expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const each of made)
    if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'conflict' });
});

test('an address outside the network is refused', async () => {
  await expect(create('far', { address: '10.78.0.9' })).rejects.toMatchObject({ code: 'invalid' });
});

test('an address and a port are free again when their machine is deleted', async () => {
  const network = {
    address: '10.77.0.9',
    ports: [{ protocol: 'tcp' as const, hostPort: 8080, guestPort: 80 }],
  };
  await create('one', network);
  await fake.machines.delete(tenant, 'one', { force: true });
  expect((await create('two', network)).spec.network).toMatchObject({ address: '10.77.0.9' });
});

test('a change that the host refuses is recorded, said to be not in force, and repeated by the reconciler', async () => {
  const { id } = await create('web');
  await fake.machines.start(tenant, 'web');
  fake.hostNetwork.failures.set('update', [new AppError('unavailable', 'nft said no')]);
  const machine = await fake.machines.update(tenant, id, { network: { egress: { kind: 'deny' } } });
  expect(machine.spec.network.egress).toEqual({ kind: 'deny' });
  expect(attached(id)?.egress).toEqual({ kind: 'allow' });
  expect(fake.machines.networkOf(machine).note).toMatch(/not in force yet/);
  await fake.reconciler.run();
  expect(attached(id)?.egress).toEqual({ kind: 'deny' });
  expect(fake.machines.networkOf(machine).note).toBeNull();
});

test('a machine’s guest runs nothing before its rules are in force', async () => {
  const gate = Promise.withResolvers<void>();
  fake.hostNetwork.onCall = async (call, when) => {
    if (call === 'attach' && when === 'after') await gate.promise;
  };
  const { id } = await create('web');
  const started = fake.machines.start(tenant, 'web');
  await expect.poll(() => fake.driver.calls.get('launch')).toBe(1);
  expect([attached(id) === undefined, fake.driver.host.machines.size]).toEqual([false, 0]);
  gate.resolve();
  expect((await started).machine.state).toBe('running');
  expect(fake.driver.host.machines.size).toBe(1);
});

test('a start whose rules the host refuses fails with the reason, and leaves nothing', async () => {
  const { id } = await create('web');
  fake.hostNetwork.failures.set('attach', [new AppError('unavailable', 'nft said no')]);
  await expect(fake.machines.start(tenant, 'web')).rejects.toMatchObject({
    code: 'unavailable',
    message: 'nft said no',
  });
  expect([attached(id), fake.driver.host.machines.size]).toEqual([undefined, 0]);
  expect((await fake.machines.start(tenant, 'web')).machine.state).toBe('running');
});

test('a port is published and withdrawn while the machine runs', async () => {
  const { id } = await create('web');
  await fake.machines.start(tenant, 'web');
  const { port, isInForce } = await fake.network.publish(tenant, id, { protocol: 'udp', guestPort: 53 });
  expect([port.bind, port.hostPort, isInForce]).toEqual(['127.0.0.1', 20_000, true]);
  expect(attached(id)?.ports).toEqual([port]);
  await fake.network.unpublish(tenant, id, port);
  expect(attached(id)?.ports).toEqual([]);
  // The host's port is free again, for another machine.
  const other = await create('other', { ports: [{ ...port, guestPort: 54 }] });
  expect(other.spec.network.ports).toMatchObject([{ protocol: 'udp', hostPort: 20_000 }]);
  await expect(fake.network.unpublish(tenant, id, port)).rejects.toMatchObject({ code: 'not_found' });
});

test('a daemon that starts restores exactly the machines that have a VMM, and removes what nobody has', async () => {
  const { id } = await create('web');
  await fake.machines.start(tenant, 'web');
  const still = await create('still');
  const one = attached(id);
  if (!one) throw new Error('not attached');
  fake.hostNetwork.attached.set(still.id, { ...one, machineId: still.id, ipv4: '10.77.0.200' });
  fake.hostNetwork.attached.set('ghost', { ...one, machineId: 'ghost', ipv4: '10.77.0.201' });
  const next = await fake.recovered();
  expect([...fake.hostNetwork.attached.keys()]).toEqual([id]);
  fake.hostNetwork.attached.delete(id);
  fake.hostNetwork.attached.set('ghost', { ...one, machineId: 'ghost' });
  await next.reconciler.run();
  expect([...fake.hostNetwork.attached.keys()]).toEqual([id]);
});

test('a daemon has all rules in force before it does anything else', async () => {
  const { id } = await create('web');
  await fake.machines.start(tenant, 'web');
  const before = attached(id);
  // What the host had is gone, as after a restart of its network.
  fake.hostNetwork.attached.clear();
  const next = await fake.restarted();
  await next.network.restore();
  expect(attached(id)).toEqual(before);
});

test('rules that could not be restored at the start of the daemon are said to be not in force, and repeated', async () => {
  const { id } = await create('web', { egress: { kind: 'deny' } });
  await fake.machines.start(tenant, 'web');
  const machine = await fake.machines.get(tenant, id);
  const one = attached(id);
  if (!one) throw new Error('not attached');
  // An earlier daemon has recorded the policy, and ended before the host had it.
  fake.hostNetwork.attached.set(id, { ...one, egress: { kind: 'allow' } });
  fake.hostNetwork.failures.set('restore', [new AppError('unavailable', 'nft said no')]);
  await expect(fake.network.restore()).rejects.toMatchObject({ code: 'unavailable' });
  expect(fake.machines.networkOf(machine).note).toMatch(/not in force yet/);
  await fake.reconciler.run();
  expect(attached(id)?.egress).toEqual({ kind: 'deny' });
  expect(fake.machines.networkOf(machine).note).toBeNull();
});

test('a machine without a network has nothing on the host, and cannot publish', async () => {
  const { id, spec } = await create('web', { mode: 'none' });
  await fake.machines.start(tenant, 'web');
  expect([spec.network.address, attached(id)]).toEqual([null, undefined]);
  await expect(fake.network.publish(tenant, id, { protocol: 'tcp', guestPort: 80 })).rejects.toMatchObject({
    code: 'conflict',
  });
});

test('a port on which a program of the host listens is published to nobody', async () => {
  fake.hostNetwork.busy.tcp.add(22).add(20_000);
  const ports = [{ protocol: 'tcp' as const, hostPort: 22, guestPort: 22 }];
  await expect(create('thief', { ports })).rejects.toMatchObject({
    code: 'conflict',
    message: 'a program of the host listens on tcp port 22',
  });
  const { id } = await create('web', { ports: [{ protocol: 'tcp', guestPort: 80 }] });
  const { spec } = await fake.machines.get(tenant, id);
  expect(spec.network.ports).toMatchObject([{ hostPort: 20_001 }]);
  await expect(
    fake.network.publish(tenant, id, { protocol: 'tcp', hostPort: 22, guestPort: 80 }),
  ).rejects.toMatchObject({ code: 'conflict' });
  expect(
    (await fake.network.publish(tenant, id, { protocol: 'udp', hostPort: 22, guestPort: 80 })).port.hostPort,
  ).toBe(22);
});

describe('on a host without a bridge, whose daemon carries connections', () => {
  beforeEach(async () => {
    await fake.close();
    fake = await startFake({ network: { kind: 'user', reason: 'not root', ipv6: null } });
  });

  test('TCP ports are published, and UDP ports are refused with the reason', async () => {
    const { id } = await create('web', { ports: [{ protocol: 'tcp', guestPort: 80 }] });
    const udp = { protocol: 'udp' as const, guestPort: 53 };
    const refused = { code: 'unsupported', message: 'this host publishes no UDP ports: not root' };
    await expect(fake.network.publish(tenant, id, udp)).rejects.toMatchObject(refused);
    await expect(create('dns', { ports: [udp] })).rejects.toMatchObject(refused);
    await fake.network.publish(tenant, id, { protocol: 'tcp', guestPort: 81 });
    await fake.machines.start(tenant, id);
    expect(attached(id)?.ports).toMatchObject([{ guestPort: 80 }, { guestPort: 81 }]);
  });

  test('a port that the host refuses is an error before anything is recorded', async () => {
    const { id, revision } = await create('web');
    fake.hostNetwork.portError = new AppError('conflict', 'a program of the host listens on tcp port 80');
    const port = { protocol: 'tcp' as const, hostPort: 80, guestPort: 80 };
    await expect(fake.network.publish(tenant, id, port)).rejects.toMatchObject({ code: 'conflict' });
    await expect(create('other', { ports: [port] })).rejects.toMatchObject({ code: 'conflict' });
    expect((await fake.machines.get(tenant, id)).revision).toBe(revision);
    await expect(fake.machines.get(tenant, 'other')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('at most 128 connections to the published ports of a machine are open', async () => {
    const { id } = await create('web');
    await fake.machines.start(tenant, id);
    fake.guest.connections.programs.set(80, () => undefined);
    const dial = () => fake.hostNetwork.dial?.(id, 80, new AbortController().signal);
    const open = await Promise.all(Array.from({ length: 128 }, dial));
    await expect(dial()).rejects.toMatchObject({ code: 'exhausted' });
    open[0]?.destroy();
    await expect.poll(() => dial()?.then((each) => each.readable)).toBe(true);
    for (const each of open) each?.destroy();
    await fake.machines.stop(tenant, id);
    await expect(dial()).rejects.toMatchObject({ code: 'conflict' });
  });
});
