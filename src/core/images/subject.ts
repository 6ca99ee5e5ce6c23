/**
 * Images as subjects of operations, and the rule that keeps an image while it is needed: creating a machine
 * on it and deleting it each check for the other under one lock, in the transaction that records the intent.
 */
import { AppError } from '../errors.ts';
import type { Subject } from '../operations/operation.ts';
import type { Image } from '../ports/images.ts';
import type { Repositories } from '../ports/store.ts';

/**
 * Each host has its own images. Example: `acme/tiny@h1` is an image of tenant acme on host h1, `/tiny@h1` a
 * shared one.
 */
export function imageSubject(hostId: string, { tenant, name }: Pick<Image, 'tenant' | 'name'>): Subject {
  return { kind: 'image', id: `${tenant ?? ''}/${name}@${hostId}` };
}

/**
 * Call in the transaction that records a new machine on the image. Raises `conflict` when the image is being
 * deleted.
 */
export async function requireKept(tx: Repositories, hostId: string, image: Image): Promise<void> {
  await tx.locks.share(lockOf(hostId, image));
  const open = await tx.operations.openOn(imageSubject(hostId, image));
  if (open?.kind !== 'image.delete') return;
  throw new AppError('conflict', `image '${image.name}' is being deleted`, {
    hint: 'Choose another image: flotilla images ls.',
  });
}

/** Call in the transaction that begins to delete the image. Raises `conflict` when machines or snapshots use it. */
export async function requireUnused(tx: Repositories, hostId: string, image: Image): Promise<void> {
  await tx.locks.hold(lockOf(hostId, image));
  checkUnused(image, {
    machineCount: await tx.machines.countOnImage(hostId, image.digest),
    snapshotCount: await tx.snapshots.countOnImage(hostId, image.digest),
  });
}

export interface ImageUse {
  readonly machineCount: number;
  readonly snapshotCount: number;
}

/** Raises `conflict`, which says how many use the image, unless nothing does. */
export function checkUnused({ name }: Image, { machineCount, snapshotCount }: ImageUse): void {
  const users = Object.entries({ machine: machineCount, snapshot: snapshotCount }).filter(
    ([, count]) => count > 0,
  );
  if (users.length === 0) return;
  const counts = users.map(([noun, count]) => `${count} ${noun}${count === 1 ? '' : 's'}`);
  const nouns = users.map(([noun]) => `${noun}s`);
  throw new AppError('conflict', `image '${name}' is used by ${counts.join(' and ')}`, {
    hint: `Delete the ${nouns.join(' and ')} first.`,
    details: { machineCount, snapshotCount },
  });
}

function lockOf(hostId: string, { digest }: Image): string {
  return `image ${digest} on ${hostId}`;
}
