/** What the store remembers of snapshots; one of the repositories of `store.ts`, whose rules apply. */
import type { Snapshot } from '../snapshots/snapshot.ts';

export interface SnapshotFilter {
  readonly tenant: string;
  readonly machineId?: string;
  readonly limit: number;
  readonly offset: number;
}

export interface SnapshotPage {
  readonly snapshots: readonly Snapshot[];
  /** Number of matches on all pages. */
  readonly total: number;
}

export type SnapshotPatch = Partial<Pick<Snapshot, 'state' | 'hasMemory' | 'sizeBytes'>>;

export interface SnapshotRepository {
  /** Raises `conflict` when the tenant has a snapshot with this name. */
  insert(snapshot: Snapshot): Promise<void>;
  get(id: string): Promise<Snapshot | null>;
  /** By id or by name, within the tenant. */
  find(tenant: string, idOrName: string): Promise<Snapshot | null>;
  /** Newest first, with the total number of matches. */
  list(filter: SnapshotFilter): Promise<SnapshotPage>;
  /** Number of the tenant's snapshots, or of one machine's. In a transaction, none is added to the tenant until it ends. */
  count(tenant: string, machineId?: string): Promise<number>;
  /** The ids of the host's snapshots, also of those with a damaged record. */
  ids(hostId: string): Promise<readonly string[]>;
  /** Number of the host's snapshots whose disks are on the image, including those with a damaged record. */
  countOnImage(hostId: string, imageDigest: string): Promise<number>;
  /** The images, each once, that the host's snapshots need, including those with a damaged record. */
  imageDigests(hostId: string): Promise<readonly string[]>;
  /** Returns the changed snapshot; null when it is gone. */
  patch(id: string, patch: SnapshotPatch, at: string): Promise<Snapshot | null>;
  /** Does nothing for a missing snapshot. */
  remove(id: string, at: string): Promise<void>;
}
