/** The port of disks: what core requires of the storage of machines' disks. */
import type { DiskFormat } from './engine.ts';

/**
 * The writable disks of machines. All calls raise `exhausted` when there is no space, `not_found` when the
 * base is gone, and the signal's reason as soon as it aborts; work that had begun may still complete
 * afterwards.
 */
export interface Disks {
  /**
   * Makes the machine's root disk of `diskMib` on the image's base, owned by the VMM of `slot`. Idempotent:
   * keeps an existing disk. Atomic: afterwards the whole disk exists, or nothing.
   */
  prepare(request: DiskRequest, signal: AbortSignal): Promise<DiskRecord>;
  /**
   * Writes an empty disk of the size and on the base of the machine's to a new file, which only the daemon can read. Raises
   * `engine` when its VMM has left the machine's disk unreadable.
   */
  makeEmpty(request: Omit<DiskRequest, 'diskMib'>, path: string, signal: AbortSignal): Promise<void>;
  /** Copies the machine's whole disk to a new file, which only the daemon can read. Only while no VMM uses it. */
  copyOut(machineId: string, path: string, signal: AbortSignal): Promise<void>;
  /** Gives an existing machine another disk, at once: see `DiskRequest.content`. Only while no VMM uses the disk. */
  replace(request: DiskRequest & { readonly content: string }, signal: AbortSignal): Promise<void>;
  /**
   * Enlarges an existing disk to `diskMib`; does nothing if it is large enough. Only while no VMM uses it.
   * Raises `engine` when its VMM has left it unreadable.
   */
  grow(request: DiskRequest, signal: AbortSignal): Promise<void>;
  /** The path of the machine's disk on that image; does not check whether it exists. */
  locate(machineId: string, imageDigest: string): DiskRecord;
  /** Removing a missing disk succeeds. */
  remove(machineId: string, signal: AbortSignal): Promise<void>;
  /** Quarantines the disk of an unknown machine: keeps it for a while. A missing disk is not an error. */
  quarantine(machineId: string, signal: AbortSignal): Promise<void>;
  /**
   * Ages all quarantined disks by `byMs` and removes those older than `ageMsMax`; returns the removed names
   * for the log.
   */
  ageQuarantine(byMs: number, ageMsMax: number, signal: AbortSignal): Promise<readonly string[]>;
  /** Free space where the disks are, in MiB. */
  freeMib(signal: AbortSignal): Promise<number>;
  /** Ids of machines that have a disk here. */
  list(signal: AbortSignal): Promise<readonly string[]>;
}

export interface DiskRequest {
  readonly machineId: string;
  readonly slot: number;
  readonly imageDigest: string;
  readonly diskMib: number;
  /**
   * A file that `makeEmpty` or `copyOut` has made, of which the disk becomes a copy, whatever its size; absent or null: the
   * disk is empty. Raises `conflict` when it is on another base or unreadable.
   */
  readonly content?: string | null;
}

export interface DiskRecord {
  readonly path: string;
  readonly format: DiskFormat;
  /** The files that an overlay refers to; empty for a stand-alone disk. */
  readonly bases: readonly string[];
}
