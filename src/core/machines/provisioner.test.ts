/** How user data is given to guests and its outcome recorded; on the fake engine with the real store. */
import { afterEach, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { AppError } from '../errors.ts';
import type { ProvisioningOutcome } from '../ports/guest-provisioning.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { parseUserData } from '../user-data/parse.ts';
import type { Machine } from './machine.ts';

const tenant = 'default';
const sshKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt';
const userData = parseUserData('#cloud-config\nhostname: given.example\nruncmd: [a]\n');

let fake: FakeFlotilla;
afterEach(() => fake.close());

async function create(clock?: FakeClock): Promise<Machine> {
  fake = await startFake(clock ? { clock } : {});
  fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
  return fake.machines.create(tenant, {
    name: 'web',
    vcpuCount: 1,
    memoryMib: 128,
    image: 'busybox',
    userData,
  });
}

/** Resolves when the machine is as wanted; looks after every event. */
async function reached(isWanted: (machine: Machine) => boolean): Promise<Machine> {
  const { promise, resolve, reject } = Promise.withResolvers<Machine>();
  const look = () =>
    fake.machines.get(tenant, 'web').then((machine) => {
      if (isWanted(machine)) resolve(machine);
    }, reject);
  const stop = fake.store.onEvents(look);
  look();
  return promise.finally(stop);
}
const provisioned = (state: string) => reached(({ provisioning }) => provisioning?.state === state);
const asked = () => fake.guest.calls.filter((call) => call.startsWith('provision')).length;

test('a machine runs before its guest has carried out its user data, and shows how far it is', async () => {
  const created = await create();
  expect(created.provisioning).toMatchObject({ state: 'pending', message: null });
  const outcome = Promise.withResolvers<ProvisioningOutcome>();
  fake.guest.onProvision = (given) => {
    expect(given).toEqual(userData);
    return outcome.promise;
  };
  const { machine } = await fake.machines.start(tenant, 'web');
  expect(machine.state).toBe('running');
  expect(await provisioned('running')).toMatchObject({ state: 'running' });
  outcome.resolve({ outcome: 'failed', message: 'runcmd 1 of 1: exit code 3' });
  expect(await provisioned('failed')).toMatchObject({
    state: 'running',
    failure: null,
    provisioning: { state: 'failed', message: 'runcmd 1 of 1: exit code 3' },
  });
});

test('the guest’s host name is the one of the user data', async () => {
  await create();
  const told: string[] = [];
  fake.edges.guest.identify = async (_, { hostname }) => void told.push(hostname);
  await fake.machines.start(tenant, 'web');
  expect(told).toEqual(['given.example']);
});

test('a guest is not asked again after a restart once the outcome is known', async () => {
  await create();
  await fake.machines.start(tenant, 'web');
  await provisioned('succeeded');
  await fake.machines.restart(tenant, 'web');
  expect(asked()).toBe(1);
});

test('a guest whose agent cannot keep SSH keys gets those that its machine has at its first start', async () => {
  fake = await startFake();
  fake.guest.areKeysPlaced = false;
  const request = { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox', sshKeys: [sshKey] };
  expect(await fake.machines.create(tenant, request)).toMatchObject({ provisioning: { state: 'pending' } });
  const given = Promise.withResolvers<readonly string[]>();
  fake.guest.onProvision = async ({ sshAuthorizedKeys }) => {
    given.resolve(sshAuthorizedKeys);
    return { outcome: 'succeeded' };
  };
  const other = `${sshKey} other`;
  await fake.machines.update(tenant, 'web', { sshKeys: [other] });
  await fake.machines.start(tenant, 'web');
  expect(await given.promise).toEqual([other]);
  await provisioned('succeeded');
});

test('a machine without user data is never asked', async () => {
  fake = await startFake();
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' });
  const { machine } = await fake.machines.start(tenant, 'web');
  expect(machine.provisioning).toBeNull();
  expect(asked()).toBe(0);
});

test('a lost link is asked again until the outcome is known', async () => {
  const clock = new FakeClock();
  await create(clock);
  let isUp = false;
  const refused = Promise.withResolvers<void>();
  fake.guest.onProvision = async () => {
    if (isUp) return { outcome: 'succeeded' };
    isUp = true;
    refused.resolve();
    throw new AppError('guest', 'the link was lost');
  };
  await fake.machines.start(tenant, 'web');
  await refused.promise;
  const done = provisioned('succeeded');
  // The sleep begins some turns after the refusal.
  let isDone = false;
  done.then(() => {
    isDone = true;
  });
  while (!isDone) {
    clock.advance(1_000);
    await new Promise(setImmediate);
  }
  expect(asked()).toBe(2);
});

test('an agent that is too old is an outcome', async () => {
  await create();
  fake.guest.onProvision = async () => {
    throw new AppError('unsupported', 'the agent is old', { hint: 'Import the image again' });
  };
  await fake.machines.start(tenant, 'web');
  expect((await provisioned('failed')).provisioning?.message).toBe(
    'the agent is old. Import the image again',
  );
});

test('a later daemon waits for what an earlier one has begun', async () => {
  await create();
  const outcome = Promise.withResolvers<ProvisioningOutcome>();
  fake.guest.onProvision = (_, signal) => {
    const { promise, reject } = Promise.withResolvers<never>();
    signal.addEventListener('abort', () => reject(signal.reason));
    return Promise.race([promise, outcome.promise]);
  };
  await fake.machines.start(tenant, 'web');
  await provisioned('running');
  await fake.interrupt();
  await fake.recovered();
  await reached(() => asked() === 2);
  outcome.resolve({ outcome: 'succeeded' });
  await provisioned('succeeded');
});

test('an outcome of an ended incarnation is not recorded', async () => {
  await create();
  const outcome = Promise.withResolvers<ProvisioningOutcome>();
  fake.guest.onProvision = () => outcome.promise;
  await fake.machines.start(tenant, 'web');
  await provisioned('running');
  await fake.machines.stop(tenant, 'web');
  fake.guest.onProvision = async () => ({ outcome: 'failed', message: 'interrupted' });
  await fake.machines.start(tenant, 'web');
  await provisioned('failed');
  outcome.resolve({ outcome: 'succeeded' });
  await fake.interrupt();
  expect((await fake.store.machines.find(tenant, 'web'))?.provisioning).toMatchObject({ state: 'failed' });
});
