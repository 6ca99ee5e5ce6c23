/** Finds a snapshot for a use case. */
import { AppError } from '../errors.ts';
import type { Repositories } from '../ports/store.ts';
import type { Snapshot } from './snapshot.ts';

/** By id, else by name. Raises `not_found`. */
export async function findSnapshot(
  { snapshots }: Pick<Repositories, 'snapshots'>,
  tenant: string,
  idOrName: string,
): Promise<Snapshot> {
  const snapshot = await snapshots.find(tenant, idOrName);
  if (snapshot) return snapshot;
  throw new AppError('not_found', `Snapshot with id '${idOrName}' not found`, {
    hint: 'flotilla snapshot ls shows your snapshots.',
    details: { snapshot: idOrName },
  });
}

/** Raises `conflict` for a snapshot that is being made or deleted. */
export function requireReady({ name, state }: Snapshot): void {
  if (state === 'ready') return;
  const doing = state === 'creating' ? 'made' : 'deleted';
  throw new AppError('conflict', `snapshot '${name}' is being ${doing}`, {
    hint: state === 'creating' ? 'Try again in a moment.' : 'Use another snapshot.',
    isPassing: state === 'creating',
  });
}

/** Raises `unavailable` for a snapshot whose files another host has. */
export function requireOnHost({ name, hostId }: Snapshot, host: string): void {
  if (hostId === host) return;
  throw new AppError('unavailable', `snapshot '${name}' is on another host`, {
    hint: 'Ask the daemon of that host.',
    details: { host: hostId },
  });
}

/**
 * What keeps the files of a snapshot while a machine is made from it: take it shared in the transaction that records the
 * machine, and exclusively in the one that begins to delete the snapshot.
 */
export function lockOfSnapshot(id: string): string {
  return `snapshot ${id}`;
}
