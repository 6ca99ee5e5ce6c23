/** What a guest is told before its machine counts as running; on the fake engine with the real store. */
import { afterEach, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { AppError } from '../errors.ts';
import { MachineNetworks } from '../network/networks.ts';
import { readyStep } from './steps/ready.ts';

const tenant = 'default';

let fake: FakeFlotilla;
afterEach(() => fake.close());

async function create(): Promise<void> {
  fake = await startFake();
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
}

test('a booted guest gets its identity before its machine counts as running', async () => {
  await create();
  const { machine } = await fake.machines.start(tenant, 'web');
  const { incarnation } = machine;
  expect(machine.state).toBe('running');
  expect(fake.guest.calls).toEqual([
    `waitReady ${incarnation}`,
    `identify ${incarnation}`,
    `network ${incarnation} ${machine.spec.network.address}`,
  ]);
});

test('a start fails if the guest does not accept its identity', async () => {
  await create();
  fake.guest.identify = async () => {
    throw new AppError('guest', 'identity failed in the guest');
  };
  await expect(fake.machines.start(tenant, 'web')).rejects.toMatchObject({ code: 'guest' });
  expect(await fake.machines.get(tenant, 'web')).toMatchObject({ state: 'failed' });
});

test('a fork becomes its own machine before it is told its addresses, and a restored guest keeps its names', async () => {
  await create();
  const { machine } = await fake.machines.start(tenant, 'web');
  const { incarnation, handle, id } = machine;
  if (handle === null) throw new Error('it has no VMM');
  const { edges, store, guest, hostNetwork: network } = fake;
  const networks = new MachineNetworks({ network, guest, clock: edges.clock, store, log: edges.log });
  const step = readyStep(edges, networks, 30_000);
  const tellAs = async (isFork: boolean) => {
    guest.calls.length = 0;
    const context = {
      subject: { ...machine, handle: { ...handle, restoredFrom: 'i0' } },
      operation: { params: { isFork } },
      signal: new AbortController().signal,
    };
    await step.do(context as unknown as Parameters<typeof step.do>[0]);
    return guest.calls.map((call) =>
      call
        .replace(incarnation ?? '?', 'I')
        .split(' ')
        .slice(0, 2)
        .join(' '),
    );
  };
  guest.onAdopt = async () => ['write /etc/hostname: read-only file system'];
  expect(await tellAs(true)).toEqual(['rekey i0', 'waitReady I', 'adopt I', 'network I']);
  expect(guest.identities.get(incarnation ?? '')).toEqual({
    hostname: 'web',
    machineId: Buffer.from(id.padEnd(16, '0')).toString('hex'),
    mac: network.attached.get(id)?.mac,
  });
  expect(await tellAs(false)).toEqual(['rekey i0', 'waitReady I', 'resync I', 'network I']);
  await networks.close();
});
