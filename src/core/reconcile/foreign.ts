/**
 * Finds foreign machines: those with a disk and record on this host that this database does not know. The
 * database may be an older copy, or another database may own them. Nothing that belongs to them is ended or
 * moved.
 */
import { abortable } from '../../lib/abort.ts';
import type { FoundRecord, MachineRecords } from '../ports/records.ts';

export interface Foreign {
  readonly machineId: string;
  /** The incarnation in its record; null before its first start. `unknown`: the record cannot be read. */
  readonly incarnation: string | null | 'unknown';
}

/** Checks only disks that `known` does not explain. Changes nothing. */
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
