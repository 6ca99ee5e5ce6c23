/** An image is kept while any disk may depend on it, including disks of damaged or foreign machines and of snapshots. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { sampleSnapshot } from '../../store/testing/samples.ts';
import type { Caller } from '../keys/caller.ts';
import type { DamagedMachine } from '../ports/store.ts';

const operator: Caller = {
  ...{ tenant: 'default', keyName: 'admin', keyId: null, expiresAt: null },
  ...{ scopes: [], tier: null, isOperator: true },
};
const digest = `sha256:${'a'.repeat(64)}`;
const record = (machine: unknown) => ({ machineId: 'ghost', hasRecord: true, machine });

let fake: FakeFlotilla;
beforeEach(async () => {
  fake = await startFake();
  const [sample] = await fake.images.list('default');
  if (sample) fake.images.put({ ...sample, name: 'mine', tenant: 'default', digest, isBuiltIn: false });
});
afterEach(() => fake.close());

const remove = () => fake.imageService.delete(operator, 'mine');

test('of a foreign machine', async () => {
  fake.records.found.set('ghost', record({ imageDigest: digest }));
  await fake.imageService.collect();
  expect(fake.images.used).toContain(digest);
  await expect(remove()).rejects.toMatchObject({ code: 'conflict', details: { machineCount: 1 } });
  fake.records.found.clear();
  await remove();
});

test('of a machine whose record cannot be read, because it may use any image', async () => {
  fake.records.found.set('ghost', record(null));
  await fake.imageService.collect();
  expect(fake.images.used).toBeNull();
  await expect(remove()).rejects.toMatchObject({ code: 'conflict' });
});

test('of a machine whose row is damaged', async () => {
  const damaged = { id: 'ghost', imageDigest: digest } as DamagedMachine;
  vi.spyOn(fake.store.machines, 'damaged').mockResolvedValue([damaged]);
  await fake.imageService.collect();
  expect(fake.images.used).toContain(digest);
});

test('of a snapshot, which is counted beside the machines', async () => {
  await fake.store.snapshots.insert(sampleSnapshot({ hostId: 'host', imageDigest: digest }));
  await fake.imageService.collect();
  expect(fake.images.used).toContain(digest);
  await expect(remove()).rejects.toMatchObject({
    code: 'conflict',
    message: "image 'mine' is used by 1 snapshot",
    hint: 'Delete the snapshots first.',
  });
  fake.records.found.set('ghost', record({ imageDigest: digest }));
  await expect(remove()).rejects.toMatchObject({
    message: "image 'mine' is used by 1 machine and 1 snapshot",
    hint: 'Delete the machines and snapshots first.',
    details: { machineCount: 1, snapshotCount: 1 },
  });
});
