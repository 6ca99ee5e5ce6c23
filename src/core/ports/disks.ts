/** A machine's own writable disk. Raises `exhausted` when there is no space, `not_found` when the base is gone. */
export interface Disks {
  /**
   * Makes the machine's root disk of `diskMib` on top of the image's base, owned by the VMM of `slot`. Called again it
   * keeps the disk that is there. Either the whole disk exists afterwards or nothing does.
   */
  prepare(request: DiskRequest): Promise<DiskRecord>;
  /** Where the machine's disk is or would be; looks at nothing. */
  locate(machineId: string): DiskRecord;
  /** Removing nothing succeeds. */
  remove(machineId: string): Promise<void>;
  /** What is free where the disks are, in MiB. */
  freeMib(): Promise<number>;
  /** Machine ids that have a disk here. */
  list(): Promise<readonly string[]>;
}

export interface DiskRequest {
  readonly machineId: string;
  readonly slot: number;
  readonly imageDigest: string;
  readonly diskMib: number;
}

export interface DiskRecord {
  readonly path: string;
  readonly format: 'qcow2' | 'raw';
}
