/** Finds the machines whose disks depend on this host's images. Without its image a disk is lost. */
import type { MachineRecords } from '../ports/records.ts';
import type { Store } from '../ports/store.ts';

export interface ImageUsers {
  /** The image of each machine that names one. */
  readonly digests: readonly string[];
  /** Machines that may use any image: only the record beside their disk knows them, and it cannot be read. */
  readonly unreadable: readonly string[];
}

/** Includes machines with a damaged row, and those known only from the record beside their disk. */
export async function findImageUsers(
  store: Pick<Store, 'machines'>,
  records: Pick<MachineRecords, 'list'>,
  hostId: string,
): Promise<ImageUsers> {
  const machines = [...(await store.machines.all(hostId)), ...(await store.machines.damaged(hostId))];
  const known = new Set(machines.map(({ id }) => id));
  const digests = machines.map(({ imageDigest }) => imageDigest);
  const unreadable: string[] = [];
  for (const { machineId, hasRecord, machine } of await records.list()) {
    if (!hasRecord || known.has(machineId)) continue;
    const { imageDigest } = Object(machine) as { readonly imageDigest?: unknown };
    if (typeof imageDigest === 'string') digests.push(imageDigest);
    else unreadable.push(machineId);
  }
  return { digests, unreadable };
}
