/** Machines decoded lately. Most reads find a row as it was, and telling that takes a tenth of checking it anew. */
import type { Machine } from '../core/machines/machine.ts';
import { Lru } from '../lib/lru.ts';
import { decodeMachine } from './machine-row.ts';
import type { MachineTable } from './schema.ts';

/** A few MiB at most. */
const rememberedMax = 2048;

const columns = [
  'host_id',
  'tenant',
  'name',
  'slot',
  'memory_mib',
  'state',
  'desired',
  'operation_id',
  'incarnation',
  'boot_id',
  'image_digest',
  'spec',
  'handle',
  'failure',
  'created_at',
  'updated_at',
  'started_at',
] as const satisfies readonly Exclude<keyof MachineTable, 'id'>[];

interface Remembered {
  readonly row: MachineTable;
  readonly machine: Machine;
}

export class DecodedMachines {
  readonly #remembered = new Lru<string, Remembered>(rememberedMax);

  /** As `decodeMachine`; the same machine object for an equal row, shared by all who read it. */
  decode(row: MachineTable): Machine {
    const before = this.#remembered.get(row.id);
    if (before !== undefined && columns.every((column) => before.row[column] === row[column])) {
      return before.machine;
    }
    const machine = decodeMachine(row);
    this.#remembered.set(row.id, { row, machine });
    return machine;
  }
}
