/** The expected files of the state directory according to the records. Pure. */
import { join } from 'node:path';
import type { StateLayout } from '../../storage/layout.ts';
import type { Expectation } from './permissions.ts';

/** The part of a machine that file checks need. */
export interface RecordedMachine {
  readonly id: string;
  readonly name: string;
  readonly slot: number;
  readonly imageDigest: string;
  readonly incarnation: string | null;
  /** Whether an operation is making or removing its files. */
  readonly isInTransit: boolean;
}

export interface Users {
  /** The owner of the state directory: the daemon's user. */
  readonly daemon: { readonly uid: number; readonly gid: number };
  /** The VMM of slot n runs as user and group uidBase + n. Null: as the daemon's user. */
  readonly uidBase: number | null;
}

/** Secrets, and directories through which VMMs pass. */
export function stateExpectations(layout: StateLayout, { daemon, uidBase }: Users): readonly Expectation[] {
  // Only VMMs with their own users need to pass through; otherwise a closed directory is fine.
  const passMode = uidBase === null ? 0o700 : 0o711;
  const passages = [layout.root, layout.disks, layout.run].map((path): Expectation => {
    return { path, kind: 'directory', mode: passMode, owner: daemon, isSecret: false };
  });
  const secrets = [
    layout.adminKeyFile,
    layout.linkKeyFile,
    layout.database,
    `${layout.database}-wal`,
    `${layout.database}-shm`,
    layout.logFile,
  ].map((path): Expectation => ({ path, kind: 'file', mode: 0o600, owner: daemon, isSecret: true }));
  const operator: Expectation = {
    ...{ path: layout.operatorDir, kind: 'directory', mode: 0o700, owner: daemon, isSecret: true },
  };
  return [...(uidBase === null ? [] : passages), operator, ...secrets];
}

/** A machine's disk, and its run directory while it has one. */
export function machineExpectations(
  layout: StateLayout,
  { daemon, uidBase }: Users,
  machine: RecordedMachine,
): readonly Expectation[] {
  if (machine.isInTransit) return [];
  const id = uidBase === null ? null : uidBase + machine.slot;
  const user = id === null ? daemon : { uid: id, gid: id };
  const disk: Expectation = {
    path: layout.disk(machine.id),
    kind: 'file',
    mode: 0o600,
    owner: user,
    isSecret: true,
  };
  const diskDir: Expectation = {
    path: layout.diskDir(machine.id),
    kind: 'directory',
    mode: 0o711,
    owner: daemon,
    isSecret: false,
  };
  if (machine.incarnation === null) return [diskDir, disk];
  const path = layout.runDir(machine.incarnation);
  const runDir: Expectation = {
    path,
    kind: 'directory',
    // Sticky: the VMM makes its sockets there but cannot replace the daemon's records.
    mode: id === null ? 0o700 : 0o1770,
    owner: id === null ? daemon : { uid: daemon.uid, gid: id },
    isSecret: true,
  };
  const record: Expectation = {
    path: join(path, 'vmm.json'),
    kind: 'file',
    mode: 0o600,
    owner: daemon,
    isSecret: true,
  };
  return [diskDir, disk, runDir, record];
}
