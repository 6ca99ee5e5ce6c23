/** Machines on bridges of the operator: which they may ask for, what they get, and what they keep. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { AppError } from '../errors.ts';
import type { CreateRequest } from '../machines/spec.ts';
import type { LanFacts } from '../ports/network.ts';
import { lanMacOf, lanNumberOf } from './addresses.ts';

const tenant = 'default';
const lan: LanFacts = {
  bridges: [
    { name: 'br0', fixedRange: '192.168.7.128/25' },
    { name: 'br1', fixedRange: null },
  ],
  reason: null,
};
let fake: FakeFlotilla;
beforeEach(async () => {
  fake = await startFake({ network: { lan } });
});
afterEach(() => fake.close());

const create = (name: string, network: NonNullable<CreateRequest['network']>) =>
  fake.machines.create(tenant, {
    ...{ name, vcpuCount: 1, memoryMib: 128, image: 'busybox' },
    network: { mode: 'bridge', ...network },
  });
const fixed = {
  address: '192.168.7.150/24',
  gateway: '192.168.7.1',
  resolvers: ['192.168.7.1', '192.168.7.2'],
};
const place = {
  address: '192.168.7.150',
  prefix: 24,
  gateway: '192.168.7.1',
  resolvers: ['192.168.7.1', '192.168.7.2'],
};

test('a machine gets the first bridge and its own hardware address, which it keeps', async () => {
  const { id, spec } = await create('web', {});
  const { mac } = spec.network.lan ?? { mac: '' };
  expect(spec.network).toMatchObject({ address: null, lan: { bridge: 'br0', fixed: null }, ports: [] });
  expect(mac).toMatch(/^06(:[0-9a-f]{2}){5}$/);
  await fake.machines.start(tenant, 'web');
  expect(fake.hostNetwork.attached.get(id)).toMatchObject({ kind: 'lan', bridge: 'br0', mac });
  await fake.machines.stop(tenant, 'web', {});
  const moved = await fake.machines.update(tenant, id, { network: { ...fixed } });
  expect(moved.spec.network.lan).toEqual({ bridge: 'br0', mac, fixed: place });
  const again = await fake.machines.update(tenant, id, { network: { bridge: 'br1' } });
  expect(again.spec.network.lan).toEqual({ bridge: 'br1', mac, fixed: null });
  expect(fake.machines.networkOf(again)).toMatchObject({ mac, ipv4: null });
});

test('hardware addresses of two machines, and of machines of two hosts, differ', async () => {
  const [one, two] = [await create('one', {}), await create('two', {})];
  expect(one.spec.network.lan?.mac).not.toBe(two.spec.network.lan?.mac);
  expect(lanMacOf('host-a', 300)).not.toBe(lanMacOf('host-b', 300));
  expect(lanNumberOf(lanMacOf('host-a', 300))).toBe(300);
});

test('of ten machines that ask for one fixed address, one gets it; it is free again after its machine', async () => {
  const made = await Promise.allSettled(Array.from({ length: 10 }, (_, n) => create(`web-${n}`, fixed)));
  const [first, ...more] = made.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  expect(more).toEqual([]);
  for (const each of made)
    if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'conflict' });
  expect(fake.machines.networkOf(first as NonNullable<typeof first>)).toMatchObject({
    ipv4: '192.168.7.150',
    gateway: '192.168.7.1',
  });
  await fake.machines.delete(tenant, first?.id ?? '', { force: true });
  await expect(create('next', fixed)).resolves.toMatchObject({
    spec: { network: { lan: { fixed: place } } },
  });
});

test.each<[string, NonNullable<CreateRequest['network']>, string]>([
  ['a bridge that the operator has not named', { bridge: 'br9' }, 'unsupported'],
  ['a fixed address where there are none', { bridge: 'br1', ...fixed }, 'unsupported'],
  ['an address outside the range', { address: '192.168.7.1/24' }, 'invalid'],
  ['an address without its prefix', { address: '192.168.7.150' }, 'invalid'],
  ['the address of the network', { address: '192.168.7.128/25' }, 'invalid'],
  ['a gateway elsewhere', { ...fixed, gateway: '10.0.0.1' }, 'invalid'],
  ['itself as the gateway', { ...fixed, gateway: '192.168.7.150' }, 'invalid'],
  ['a resolver without an address', { ...fixed, resolvers: ['dns.example'] }, 'invalid'],
  ['a gateway without an address', { gateway: '192.168.7.1' }, 'invalid'],
  ['a port of the host', { ports: [{ protocol: 'tcp', guestPort: 80 }] }, 'unsupported'],
  [
    'an allowlist with a domain',
    { egress: { kind: 'allowlist', rules: [{ to: 'example.com', protocol: 'any', ports: null }] } },
    'unsupported',
  ],
])('refuses %s', async (_, network, code) => {
  await expect(create('web', network)).rejects.toMatchObject({ code, hint: expect.any(String) });
});

test('fields of a bridge need the mode, and a port is not published later either', async () => {
  await expect(create('web', { mode: 'nat', bridge: 'br0' })).rejects.toMatchObject({ code: 'invalid' });
  const { id } = await create('web', {});
  await expect(fake.network.publish(tenant, id, { protocol: 'tcp', guestPort: 80 })).rejects.toMatchObject({
    code: 'unsupported',
  });
});

test('a machine changes from one mode to another and back while it is stopped, and only then', async () => {
  const { id } = await create('web', { ...fixed, group: 'shop', egress: { kind: 'deny' } });
  await fake.machines.start(tenant, 'web');
  for (const network of [{ mode: 'nat' as const }, { address: '192.168.7.151/24' }, { address: null }])
    await expect(fake.machines.update(tenant, id, { network })).rejects.toMatchObject({ code: 'conflict' });
  await fake.machines.update(tenant, id, { network: { egress: { kind: 'allow' } } });
  expect(fake.hostNetwork.attached.get(id)).toMatchObject({ egress: { kind: 'allow' } });
  await fake.machines.stop(tenant, 'web', {});
  const nat = await fake.machines.update(tenant, id, { network: { mode: 'nat' } });
  expect(nat.spec.network).toMatchObject({ mode: 'nat', lan: null, address: '10.77.0.2', group: 'shop' });
  await expect(create('next', fixed)).resolves.toBeDefined();
  const back = await fake.machines.update(tenant, id, { network: { mode: 'bridge' } });
  expect(back.spec.network).toMatchObject({ mode: 'bridge', address: null, lan: { fixed: null } });
  await expect(
    fake.machines.update(tenant, id, { network: { address: '192.168.7.150/24' } }),
  ).rejects.toMatchObject({ code: 'conflict' });
  const none = await fake.machines.update(tenant, id, { network: { mode: 'none' } });
  expect(none.spec.network).toMatchObject({ mode: 'none', lan: null });
});

test('an allowlist with names does not survive the change to a bridge', async () => {
  const egress = {
    kind: 'allowlist',
    rules: [{ to: 'example.com', protocol: 'any', ports: null }],
  } as const;
  const { id } = await create('web', { mode: 'nat', egress });
  await expect(fake.machines.update(tenant, id, { network: { mode: 'bridge' } })).rejects.toMatchObject({
    code: 'unsupported',
  });
});

test('a start fails in words when the bridge is not there', async () => {
  const { id } = await create('web', {});
  const missing = new AppError('unavailable', 'the bridge br0 of this host is not there');
  fake.hostNetwork.failures.set('attach', [missing]);
  await expect(fake.machines.start(tenant, id)).rejects.toMatchObject({ code: 'unavailable' });
  expect(fake.hostNetwork.attached.size).toBe(0);
});

test('what the host finds wrong with the interface is shown', async () => {
  const { id } = await create('web', {});
  await fake.machines.start(tenant, id);
  const machine = await fake.machines.get(tenant, id);
  fake.hostNetwork.trouble = 'the bridge br0 of this host is not there';
  expect(fake.machines.networkOf(machine).note).toBe('the bridge br0 of this host is not there');
});

const given = {
  address: '192.168.7.20',
  prefix: 24,
  gateway: '192.168.7.1',
  resolvers: ['192.168.7.1'],
  leftMs: 120_000,
};

test('the address that the guest reports is shown as such, follows it, and is forgotten when it stops', async () => {
  const { id } = await create('web', {});
  const seen = async () => fake.machines.networkOf(await fake.machines.get(tenant, id));
  await fake.machines.start(tenant, id);
  await expect.poll(async () => (await seen()).note).toMatch(/no DHCP server/);
  fake.guest.lease = given;
  await expect.poll(async () => (await seen()).ipv4, { timeout: 10_000 }).toBe('192.168.7.20');
  expect(await seen()).toMatchObject({
    note: null,
    gateway: '192.168.7.1',
    reported: { address: '192.168.7.20', prefix: 24 },
    network: { lan: { fixed: null } },
  });
  fake.guest.lease = { ...given, address: '192.168.7.21' };
  await expect.poll(async () => (await seen()).ipv4, { timeout: 10_000 }).toBe('192.168.7.21');
  await fake.machines.stop(tenant, id, {});
  expect(await seen()).toMatchObject({ ipv4: null, reported: null, note: null });
});

test.each([
  { address: '127.0.0.1' },
  { address: '224.0.0.1' },
  { address: '0.0.0.7' },
  { gateway: '169.254.169.254' },
  { resolvers: ['255.255.255.255'] },
])('nonsense that the guest reports is not shown: %j', async (nonsense) => {
  const { id } = await create('web', {});
  fake.guest.lease = { ...given, ...nonsense };
  await fake.machines.start(tenant, id);
  const seen = async () => fake.machines.networkOf(await fake.machines.get(tenant, id));
  await expect.poll(async () => (await seen()).note).toMatch(/an address that no host can have/);
  expect(await seen()).toMatchObject({ ipv4: null, reported: null });
});

test('a guest with a fixed address is not asked for one', async () => {
  const { id } = await create('web', fixed);
  await fake.machines.start(tenant, id);
  expect(fake.guest.calls.filter((call) => call.startsWith('lease'))).toEqual([]);
});

describe('a host without such bridges', () => {
  test.each<[LanFacts, RegExp]>([
    [{ bridges: [], reason: null }, /no bridge of this host is configured/],
    [{ ...lan, reason: 'only root can make a bridge and taps' }, /only root can/],
  ])('refuses the mode: %j', async (facts, message) => {
    await using other = await startFake({ network: { lan: facts } }).then((started) => ({
      ...started,
      [Symbol.asyncDispose]: () => started.close(),
    }));
    await expect(
      other.machines.create(tenant, { name: 'web', image: 'busybox', network: { mode: 'bridge' } }),
    ).rejects.toMatchObject({ code: 'unsupported', message: expect.stringMatching(message) });
  });
});
