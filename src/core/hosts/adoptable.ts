/**
 * Chooses the records of a state directory that a database can accept. A record that it cannot accept does
 * not prevent the others.
 */
import { InvariantError } from '../../lib/invariant.ts';
import { timeOf } from '../../lib/times.ts';
import { DamagedRecordError } from '../errors.ts';
import { resumeLifetime } from '../machines/lifetime.ts';
import type { Machine } from '../machines/machine.ts';
import { type FoundRecord, type MachineRecords, revisionOf } from '../ports/records.ts';
import type { HostClaim, Store } from '../ports/store.ts';

export interface ChooseDeps {
  readonly store: Store;
  readonly records: MachineRecords;
  /**
   * Returns the machine as the store would read it back. Raises InvariantError when the store could not keep
   * it.
   */
  readonly parse: (machine: unknown) => Machine;
  readonly claim: HostClaim;
}

export interface Left {
  readonly machineId: string;
  readonly reason: string;
}

export interface Choice {
  /** Stopped or running, and in no operation: operations ended with the lost database. */
  readonly usable: readonly Machine[];
  readonly left: readonly Left[];
}

/** If several records claim the same name or slot, the first is usable. Raises errors of the store. */
export async function chooseRecords(deps: ChooseDeps): Promise<Choice> {
  const usable: Machine[] = [];
  const left: Left[] = [];
  for (const found of await deps.records.list()) {
    const machine = parse(deps, found);
    const reason = typeof machine === 'string' ? machine : await conflictOf(deps.store, machine, usable);
    if (typeof machine !== 'string' && reason === null) usable.push(machine);
    else left.push({ machineId: found.machineId, reason: String(reason) });
  }
  return { usable, left };
}

/** The machine, or why its record is unusable. */
function parse({ parse, claim }: ChooseDeps, found: FoundRecord): Machine | string {
  const { machineId, hasRecord, machine: recorded } = found;
  if (!hasRecord) return 'its disk has no record file';
  if (typeof recorded !== 'object' || recorded === null) return 'its record cannot be read';
  try {
    const { incarnation, expiresAt = null, remainingMs = null } = recorded as Partial<Machine>;
    const machine = parse({
      ...recorded,
      // Incremented, so that the next record written replaces the one just read.
      revision: (revisionOf(recorded) ?? 0) + 1,
      ...{ hostId: claim.hostId, state: incarnation === null ? 'created' : 'stopped', desired: 'stopped' },
      // Environments were only in the lost database.
      environmentId: null,
      savedMemory: null,
      // It stands still again if the machine is found paused or suspended.
      ...resumeLifetime({ expiresAt, remainingMs }, timeOf(claim.at)),
      ...{
        operationId: null,
        handle: null,
        failure: null,
        updatedAt: claim.at,
        restartAt: null,
        idleAt: null,
      },
    });
    return machine.id === machineId ? machine : `its record belongs to machine ${machine.id}`;
  } catch (error) {
    // A number that is no time makes a RangeError.
    if (error instanceof InvariantError || error instanceof RangeError) return error.message;
    throw error;
  }
}

async function conflictOf(
  store: Store,
  { id, tenant, spec, slot }: Machine,
  chosen: readonly Machine[],
): Promise<string | null> {
  const isNamed = `its tenant has another machine named '${spec.name}'`;
  if (chosen.some((other) => other.slot === slot))
    return `its slot ${slot} belongs to another machine ${slot}`;
  if (chosen.some((other) => other.tenant === tenant && other.spec.name === spec.name)) return isNamed;
  try {
    if ((await store.machines.get(id)) !== null) return 'the database has a machine with its id';
    return (await store.machines.find(tenant, spec.name)) === null ? null : isNamed;
  } catch (error) {
    if (error instanceof DamagedRecordError) return `the database has a damaged record: ${error.message}`;
    throw error;
  }
}
