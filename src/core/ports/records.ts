import type { Machine } from '../machines/machine.ts';

/**
 * What is recorded of each machine, kept a second time beside its disk, so that a lost database loses no machine. Read only
 * to adopt a state directory's machines into an empty database, and to tell an older or another database by them.
 *
 * A newer record is never replaced by an older one (`Machine.revision`); to write an older one changes nothing and succeeds.
 */
export interface MachineRecords {
  /** Before the machine's disk is made, so that no disk is without a record. Durable when it resolves. */
  begin(machine: Machine): Promise<void>;
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

/** The revision of a machine that nobody has checked; null when it has none, as records of earlier versions. */
export function revisionOf(machine: unknown): number | null {
  const { revision } = Object(machine) as { readonly revision?: unknown };
  return typeof revision === 'number' && Number.isSafeInteger(revision) ? revision : null;
}
