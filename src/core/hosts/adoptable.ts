/** Which records of a state directory a database can take. One that it cannot take keeps no other from being taken. */
import { InvariantError } from '../../lib/invariant.ts';
import { DamagedRecordError } from '../errors.ts';
import type { Machine } from '../machines/machine.ts';
import { type FoundRecord, type MachineRecords, revisionOf } from '../ports/records.ts';
import type { HostClaim, Store } from '../ports/store.ts';

export interface ChooseDeps {
  readonly store: Store;
  readonly records: MachineRecords;
  /** The machine as the store would give it back. InvariantError when the store could not keep it. */
  readonly parse: (machine: unknown) => Machine;
  readonly claim: HostClaim;
}

export interface Left {
  readonly machineId: string;
  readonly reason: string;
}

export interface Choice {
  /** At rest, and in no operation: what was under way ended with the database. */
  readonly usable: readonly Machine[];
  readonly left: readonly Left[];
}

/** Of records that want the same name or slot the first is usable. Raises what the store raises. */
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

/** The machine, or why there is none. */
function parse({ parse, claim }: ChooseDeps, found: FoundRecord): Machine | string {
  const { machineId, hasRecord, machine: recorded } = found;
  if (!hasRecord) return 'there is no record beside its disk';
  if (typeof recorded !== 'object' || recorded === null) return 'its record cannot be read';
  try {
    const { incarnation } = recorded as Partial<Machine>;
    const machine = parse({
      ...recorded,
      // One more, so that the record which is written next replaces the one that was read.
      revision: (revisionOf(recorded) ?? 0) + 1,
      ...{ hostId: claim.hostId, state: incarnation === null ? 'created' : 'stopped', desired: 'stopped' },
      ...{ operationId: null, handle: null, failure: null, updatedAt: claim.at, restartAt: null },
    });
    return machine.id === machineId ? machine : `its record is that of machine ${machine.id}`;
  } catch (error) {
    if (error instanceof InvariantError) return error.message;
    throw error;
  }
}

async function conflictOf(
  store: Store,
  { id, tenant, spec, slot }: Machine,
  chosen: readonly Machine[],
): Promise<string | null> {
  const isNamed = `its tenant has another machine named '${spec.name}'`;
  if (chosen.some((other) => other.slot === slot)) return `another machine has its slot ${slot}`;
  if (chosen.some((other) => other.tenant === tenant && other.spec.name === spec.name)) return isNamed;
  try {
    if ((await store.machines.get(id)) !== null) return 'the database has a machine of its id';
    return (await store.machines.find(tenant, spec.name)) === null ? null : isNamed;
  } catch (error) {
    if (error instanceof DamagedRecordError) return `the database has a damaged record: ${error.message}`;
    throw error;
  }
}
