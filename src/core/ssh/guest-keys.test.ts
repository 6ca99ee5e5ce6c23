/** How the SSH keys of machines come into their guests; on the fake engine with the real store. */
import { afterEach, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { AppError } from '../errors.ts';
import { FakeClock } from '../testing/fake-clock.ts';
import { parseUserData } from '../user-data/parse.ts';

const tenant = 'default';
const key = (letter: string) => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${letter.repeat(43)}` as const;
const [one, two] = [key('G'), key('H')];

let fake: FakeFlotilla;
afterEach(() => fake.close());

async function start(sshKeys: readonly string[], clock?: FakeClock, userData?: string): Promise<void> {
  fake = await startFake(clock ? { clock } : {});
  fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
  await fake.machines.create(tenant, {
    ...{ name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox', sshKeys },
    ...(userData === undefined ? {} : { userData: parseUserData(userData) }),
  });
  await fake.machines.start(tenant, 'web');
}
const update = (sshKeys: readonly string[]) => fake.machines.update(tenant, 'web', { sshKeys });
const keys = () => fake.guest.keys;
const told = () => fake.guest.calls.filter((call) => call.startsWith('setSshKeys')).length;

test('a guest gets the keys of its machine when it starts, when they change, and at its next start', async () => {
  await start([one]);
  await expect.poll(keys).toEqual([one]);
  await update([one, two]);
  await expect.poll(keys).toEqual([one, two]);
  await fake.machines.stop(tenant, 'web');
  await update([two]);
  expect(keys()).toEqual([one, two]);
  await fake.machines.start(tenant, 'web');
  await expect.poll(keys).toEqual([two]);
  await update([]);
  await expect.poll(keys).toEqual([]);
});

test('its user data gets none of them, unless its agent is too old to keep them', async () => {
  const given: (readonly string[])[] = [];
  await start([one], undefined, '#cloud-config\nruncmd: [a]\n');
  const provisioned = async () => (await fake.machines.get(tenant, 'web')).provisioning?.state;
  await expect.poll(provisioned).toBe('succeeded');
  expect(keys()).toEqual([one]);
  await fake.close();
  fake = await startFake();
  fake.guest.areKeysPlaced = false;
  fake.guest.onProvision = async ({ sshAuthorizedKeys }) => {
    given.push(sshAuthorizedKeys);
    return { outcome: 'succeeded' };
  };
  await fake.machines.create(tenant, {
    name: 'web',
    vcpuCount: 1,
    memoryMib: 128,
    image: 'busybox',
    sshKeys: [one],
  });
  await fake.machines.start(tenant, 'web');
  await expect.poll(provisioned).toBe('succeeded');
  expect(given).toEqual([[one]]);
});

test('a guest that does not answer is told again, with the newest keys', async () => {
  const clock = new FakeClock();
  await start([one], clock);
  await expect.poll(keys).toEqual([one]);
  const before = told();
  fake.guest.onSshKeys = async () => {
    throw new AppError('guest', 'the link was lost');
  };
  await update([two]);
  await expect.poll(told).toBe(before + 1);
  fake.guest.onSshKeys = async () => undefined;
  await update([one, two]);
  await expect
    .poll(() => {
      clock.advance(5_000);
      return keys();
    })
    .toEqual([one, two]);
});

test('the next daemon tells the guests that it adopts', async () => {
  await start([one]);
  await expect.poll(keys).toEqual([one]);
  fake.guest.keys = [];
  await fake.recovered();
  await expect.poll(keys).toEqual([one]);
});
