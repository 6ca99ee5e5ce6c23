import type { DiskFormat } from './engine.ts';

/**
 * A machine's own writable disk. Raises `exhausted` when there is no space, `not_found` when the base is gone, and the
 * signal's reason as soon as it aborts; what had begun may still be done afterwards.
 */
export interface Disks {
  /**
   * Makes the machine's root disk of `diskMib` on top of the image's base, owned by the VMM of `slot`. Called again it
   * keeps the disk that is there. Either the whole disk exists afterwards or nothing does.
   */
  prepare(request: DiskRequest, signal: AbortSignal): Promise<DiskRecord>;
  /**
   * Makes the disk that is there at least `diskMib` large; does nothing to one that is. Only while no VMM has it. Raises
   * `engine` when its VMM has left it unreadable.
   */
  grow(request: DiskRequest, signal: AbortSignal): Promise<void>;
  /** Where the machine's disk on that image is or would be; looks at nothing. */
  locate(machineId: string, imageDigest: string): DiskRecord;
  /** Removing nothing succeeds. */
  remove(machineId: string, signal: AbortSignal): Promise<void>;
  /** Puts the disk of a machine that nobody knows aside, where it is kept for a while; for nothing it succeeds. */
  quarantine(machineId: string, signal: AbortSignal): Promise<void>;
  /** Makes all that was put aside older by so much and removes what has reached the age; names of what went, for people. */
  ageQuarantine(byMs: number, ageMsMax: number, signal: AbortSignal): Promise<readonly string[]>;
  /** What is free where the disks are, in MiB. */
  freeMib(signal: AbortSignal): Promise<number>;
  /** Machine ids that have a disk here. */
  list(signal: AbortSignal): Promise<readonly string[]>;
}

export interface DiskRequest {
  readonly machineId: string;
  readonly slot: number;
  readonly imageDigest: string;
  readonly diskMib: number;
}

export interface DiskRecord {
  readonly path: string;
  readonly format: DiskFormat;
  /** What it is an overlay on; empty when it stands alone. */
  readonly bases: readonly string[];
}
