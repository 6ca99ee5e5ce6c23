/** The port of the records beside the disks, from which a lost database can be rebuilt. */
import type { Machine } from '../machines/machine.ts';

/**
 * A copy of each machine's record, kept beside its disk, so that losing the database loses no machine. Read
 * only to adopt a state directory's machines into an empty database, and to recognise an older or foreign
 * database.
 *
 * A newer record is never replaced by an older one (`Machine.revision`); writing an older one changes nothing
 * and succeeds.
 */
export interface MachineRecords {
  /** Call before the machine's disk is made, so that every disk has a record. Durable when it resolves. */
  begin(machine: Machine): Promise<void>;
  /** Durable when it resolves. False, and nothing written, when the machine has no disk here. */
  write(machine: Machine): Promise<boolean>;
  /** All records of this host. */
  list(): Promise<readonly FoundRecord[]>;
  /** Null when the machine has no disk here. */
  read(machineId: string): Promise<FoundRecord | null>;
}

/** A disk and the record beside it. */
export interface FoundRecord {
  readonly machineId: string;
  /** Whether there is a record, readable or not. */
  readonly hasRecord: boolean;
  /** Not validated: normally a machine, but of any shape. Null when there is no readable record. */
  readonly machine: unknown;
}

/** The revision of an unvalidated machine; null when it has none, as in records of earlier versions. */
export function revisionOf(machine: unknown): number | null {
  const { revision } = Object(machine) as { readonly revision?: unknown };
  return typeof revision === 'number' && Number.isSafeInteger(revision) ? revision : null;
}
