/** What a machine uses, and what it may ask for, on the fake engine. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';

const request = { name: 'web', vcpuCount: 1, memoryMib: 128, image: 'busybox' };
const never = new AbortController().signal;

let fake: FakeFlotilla;
beforeEach(async () => {
  fake = await startFake();
});
afterEach(() => fake.close());

test('a machine that does not run has used nothing, and nobody measures it', async () => {
  const machine = await fake.machines.create('default', request);
  expect(await fake.machines.measure(machine, never)).toEqual({
    uptimeMs: 0,
    processorTimeMs: null,
    memoryBytes: null,
    diskReadBytes: null,
    diskWriteBytes: null,
    diskReads: null,
    diskWrites: null,
    guestMemory: null,
  });
});

test('a running machine shows what its engine measures, and how long it has run', async () => {
  await fake.machines.create('default', request);
  const { machine } = await fake.machines.start('default', 'web');
  const usage = await fake.machines.measure(machine, never);
  expect(usage).toMatchObject({ ...fake.driver.usage });
  expect(usage.uptimeMs).toBeGreaterThanOrEqual(0);
});

test('a machine that ends while it is measured shows nothing instead of an error', async () => {
  await fake.machines.create('default', request);
  const { machine } = await fake.machines.start('default', 'web');
  fake.driver.machine(machine.incarnation ?? '').die();
  expect(await fake.machines.measure(machine, never)).toMatchObject({ uptimeMs: 0, memoryBytes: null });
});

test('an option that the host lacks is refused before anything is made, with what is missing', async () => {
  await expect(
    fake.machines.create('default', { ...request, options: ['gpu_passthrough'] }),
  ).rejects.toMatchObject({
    code: 'unsupported',
    message: 'this host has no gpu passthrough for machines: there is no IOMMU',
    details: { option: 'gpu_passthrough' },
  });
  expect(await fake.machines.list({ tenant: 'default', limit: 10, offset: 0 })).toMatchObject({ total: 0 });
  const has = await fake.machines.create('default', { ...request, options: ['secure_boot'] });
  expect(has.state).toBe('created');
});
