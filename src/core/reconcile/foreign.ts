/**
 * Machines of another database: their disk is here with a record beside it, and this database does not know them. It may
 * be an older copy, or one whose operator took most machines over. Nothing of theirs is ended or moved.
 */
import { abortable } from '../../lib/abort.ts';
import type { FoundRecord, MachineRecords } from '../ports/records.ts';

export interface Foreign {
  readonly machineId: string;
  /** The boot that its record names; null before its first. `unknown`: the record cannot be read. */
  readonly incarnation: string | null | 'unknown';
}

/** Looks only at disks that `known` does not explain. Changes nothing. */
export async function findForeign(
  records: Pick<MachineRecords, 'read'>,
  disks: readonly string[],
  known: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<readonly Foreign[]> {
  const found: Foreign[] = [];
  for (const machineId of disks) {
    if (known.has(machineId)) continue;
    const record = await abortable(records.read(machineId), signal);
    if (record?.hasRecord) found.push({ machineId, incarnation: incarnationOf(record) });
  }
  return found;
}

function incarnationOf({ machine }: FoundRecord): Foreign['incarnation'] {
  const { incarnation } = Object(machine) as { readonly incarnation?: unknown };
  return typeof incarnation === 'string' || incarnation === null ? incarnation : 'unknown';
}
