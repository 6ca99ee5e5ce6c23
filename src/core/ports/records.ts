import type { Machine } from '../machines/machine.ts';

/**
 * What is recorded of each machine, kept a second time beside its disk, so that a lost database loses no machine. Not
 * read but to adopt a state directory's machines into an empty database.
 */
export interface MachineRecords {
  /** Durable when it resolves; false, and nothing written, when the machine has no disk here. */
  write(machine: Machine): Promise<boolean>;
  /** What is here. What is inside may be of any shape: `machine` is checked by the store when it is written there. */
  list(): Promise<readonly FoundRecord[]>;
}

export interface FoundRecord {
  readonly machineId: string;
  /** Null when there is a disk without a record, or with one that cannot be read. */
  readonly machine: Machine | null;
}
