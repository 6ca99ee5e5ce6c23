/**
 * A snapshot: a machine's disk and, if it was up, its memory at one moment, from which that machine can be set back and other
 * machines can be made. It belongs to a tenant and stays when its machine is deleted.
 */
import type { MachineSpec } from '../machines/machine.ts';

/** `creating` and `deleting` while an operation is open. A snapshot that could not be made is removed. */
export const snapshotStates = ['creating', 'ready', 'deleting'] as const;
export type SnapshotState = (typeof snapshotStates)[number];

export interface Snapshot {
  readonly id: string;
  /** The host that has its files. */
  readonly hostId: string;
  readonly tenant: string;
  /** Unique in its tenant. */
  readonly name: string;
  readonly state: SnapshotState;
  /** The machine that it was taken of, which may be gone. */
  readonly machineId: string;
  /** The snapshot from which that machine was made, or to which it was last set back; may be gone. Null: none. */
  readonly parentId: string | null;
  /** Whether it has memory. Without, machines made from it boot from its disk. */
  readonly hasMemory: boolean;
  /** The machine's at that moment. */
  readonly spec: MachineSpec;
  readonly imageDigest: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of all its files on this host; null while it is made. */
  readonly sizeBytes: number | null;
  /** RFC 3339, UTC, with `Z`. */
  readonly createdAt: string;
  readonly updatedAt: string;
}
