import type { Machine } from '../machines/machine.ts';

/**
 * What is recorded of each machine, kept a second time beside its disk, so that a lost database loses no machine. Not
 * read but to adopt a state directory's machines into an empty database, and to tell a machine of another database.
 */
export interface MachineRecords {
  /** Durable when it resolves; false, and nothing written, when the machine has no disk here. */
  write(machine: Machine): Promise<boolean>;
  /** What is here. */
  list(): Promise<readonly FoundRecord[]>;
  /** Null when the machine has no disk here. */
  read(machineId: string): Promise<FoundRecord | null>;
}

/** A disk, and what is recorded beside it. */
export interface FoundRecord {
  readonly machineId: string;
  /** There is a record, whether or not it can be read. */
  readonly hasRecord: boolean;
  /** A machine if all is well; of any shape, as nobody has checked it. Null when there is none that can be read. */
  readonly machine: unknown;
}
