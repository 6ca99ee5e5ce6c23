/** What the steps of all operations use: the edges, and the machine's driver and guest. */
import type { Logger } from '../../../lib/log.ts';
import { AppError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Disks } from '../../ports/disks.ts';
import type { EngineDriver } from '../../ports/engine.ts';
import type { GuestLink, GuestTarget } from '../../ports/guest.ts';
import type { GuestCommands } from '../../ports/guest-commands.ts';
import type { GuestConnections } from '../../ports/guest-connections.ts';
import type { GuestFiles } from '../../ports/guest-files.ts';
import type { GuestLogged } from '../../ports/guest-logged.ts';
import type { GuestProvisioning } from '../../ports/guest-provisioning.ts';
import type { Images } from '../../ports/images.ts';
import type { KeptConsoles } from '../../ports/kept-consoles.ts';
import type { Network } from '../../ports/network.ts';
import type { MachineRecords } from '../../ports/records.ts';
import type { SavedMemories } from '../../ports/saved-memory.ts';
import type { SnapshotFiles } from '../../ports/snapshots.ts';
import type { Machine } from '../machine.ts';

/** Limit for an inspection of this host that has no operation's deadline. */
export const lookTimeoutMs = 15_000;

export interface Edges {
  readonly engines: ReadonlyMap<string, EngineDriver>;
  readonly guest: GuestLink &
    GuestProvisioning & {
      readonly files: GuestFiles;
      readonly connections: GuestConnections;
      readonly commands: GuestCommands;
      readonly logged: GuestLogged;
    };
  readonly disks: Disks;
  readonly images: Images;
  readonly records: MachineRecords;
  readonly consoles: KeptConsoles;
  readonly savedMemories: SavedMemories;
  readonly snapshots: SnapshotFiles;
  readonly network: Network;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The driver of a machine's engine. Raises `unsupported` when this host no longer has it. */
export function engineOf(edges: Edges, machine: Machine): EngineDriver {
  const driver = edges.engines.get(machine.spec.engine);
  if (driver) return driver;
  throw new AppError('unsupported', `this host has no engine '${machine.spec.engine}'`, {
    hint: `Use one of: ${[...edges.engines.keys()].join(', ')}.`,
  });
}

/** The guest address of a launched machine. */
export function guestOf(machine: Machine): GuestTarget {
  if (!machine.handle || !machine.incarnation) {
    throw new AppError('internal', `machine ${machine.id} has no guest in state ${machine.state}`);
  }
  return { machineId: machine.id, incarnation: machine.incarnation, address: machine.handle.guest };
}

/**
 * Free disk space required to start or resume a guest, in MiB; with less, its first writes would pause it
 * again.
 */
export const guestFreeMibMin = 64;

/** Raises `exhausted` when a guest would soon fill the host's disk; also keeps some space for records. */
export async function requireDiskSpace(edges: Edges, signal: AbortSignal): Promise<void> {
  const freeMib = await edges.disks.freeMib(signal);
  if (freeMib >= guestFreeMibMin) return;
  throw new AppError(
    'exhausted',
    `the host's disk is full: ${freeMib} MiB are free and a machine needs ${guestFreeMibMin}`,
    { hint: 'Free some space in the state directory, or delete machines.', details: { freeMib } },
  );
}
