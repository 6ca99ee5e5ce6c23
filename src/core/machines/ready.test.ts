/** What a guest is told before its machine counts as running; on the fake engine with the real store. */
import { afterEach, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { AppError } from '../errors.ts';

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
