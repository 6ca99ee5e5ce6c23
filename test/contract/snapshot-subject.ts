/** Provides the snapshot for requests to `/api/v1/snapshots`. */
import type { FakeFlotilla } from '../support/fake.ts';

export const snapshotsPath = '/api/v1/snapshots';
export const subjectSnapshotName = 'fuzzed-moment';
const machineName = 'of-the-fuzzed-moment';

/** Removes all snapshots, and takes one of a machine of its own unless it should be absent. */
export async function arrangeSnapshot(
  { snapshots, machines }: FakeFlotilla,
  isAbsent: boolean,
): Promise<void> {
  const page = await snapshots.list('default', { limit: 1000, offset: 0 });
  for (const { id } of page.snapshots) await snapshots.delete('default', id);
  if (isAbsent) return;
  const made = await machines.list({ tenant: 'default', limit: 1000, offset: 0 });
  if (!made.machines.some(({ spec }) => spec.name === machineName))
    await machines.create('default', { name: machineName, image: 'busybox', vcpuCount: 1, memoryMib: 128 });
  await snapshots.create('default', machineName, { name: subjectSnapshotName });
}
