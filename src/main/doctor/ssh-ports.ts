/**
 * What `doctor` says about SSH ports of single machines that are not open, because another program has them or because
 * there is no gateway. Reads the tables of /proc; connects to nothing.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Machine } from '../../core/machines/machine.ts';
import { type Finding, warn } from '../../setup/doctor/finding.ts';

/** Who listens on TCP ports of this host. */
export interface Listeners {
  /** Ports on which any program listens. */
  readonly all: ReadonlySet<number>;
  /** Those of the daemon; null: no daemon runs, or its sockets cannot be read. */
  readonly daemon: ReadonlySet<number> | null;
}

/** State `TCP_LISTEN`. */
const listening = '0A';

/** `daemonPid`: null when none runs. */
export async function readListeners(daemonPid: number | null): Promise<Listeners> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((name) => readFile(`/proc/self/net/${name}`, 'utf8').catch(absent(''))),
  );
  const sockets = socketsOf(tables.join('\n'));
  const all = new Set(sockets.map(({ port }) => port));
  const inodes = daemonPid === null ? null : await socketsOfProcess(daemonPid);
  if (inodes === null) return { all, daemon: null };
  return {
    all,
    daemon: new Set(sockets.filter(({ inode }) => inodes.has(inode)).map(({ port }) => port)),
  };
}

/** Sockets that listen, from lines such as `0: 0100007F:0BB8 00000000:0000 0A …`. Pure. */
export function socketsOf(table: string): readonly { readonly port: number; readonly inode: string }[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    const port = Number.parseInt(local.split(':')[1] ?? '', 16);
    return state === listening && Number.isInteger(port) ? [{ port, inode }] : [];
  });
}

/** Inodes of the sockets that a process has open; null when they cannot be read. */
async function socketsOfProcess(pid: number): Promise<ReadonlySet<string> | null> {
  const directory = `/proc/${pid}/fd`;
  const names = await readdir(directory).catch(() => null);
  if (names === null) return null;
  const targets = await Promise.all(names.map((name) => readlink(join(directory, name)).catch(() => '')));
  return new Set(targets.flatMap((target) => /^socket:\[(\d+)\]$/.exec(target)?.[1] ?? []));
}

function absent<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT') return value;
    throw error;
  };
}

/** Pure. `hasGateway`: whether the daemon's settings let it listen for SSH. */
export function checkSshPorts(
  machines: readonly Machine[],
  { all, daemon }: Listeners,
  hasGateway: boolean,
): readonly Finding[] {
  return machines.flatMap(({ spec: { name, sshPort: port } }) => {
    if (port === null) return [];
    const subject = `machine ${name}`;
    if (!hasGateway) {
      const message = `its SSH port ${port} is closed: FLOTILLA_SSH_PORT is 0`;
      return [warn(subject, message, 'Set FLOTILLA_SSH_PORT and restart the daemon.')];
    }
    const isOurs = daemon?.has(port) === true;
    if (isOurs) return [];
    if (all.has(port)) {
      // Without the daemon's sockets, they may be its own.
      if (daemon === null) return [];
      const message = `its SSH port ${port} is closed: another program of the host listens there`;
      return [warn(subject, message, otherPort(name, port))];
    }
    if (daemon === null) return [];
    return [
      warn(
        subject,
        `its SSH port ${port} is closed`,
        'The daemon opens it within half a minute, or logs why not.',
      ),
    ];
  });
}

function otherPort(name: string, port: number): string {
  return `Free the port (ss -ltnp sport = :${port}), or give it another: ./flotilla update ${name} --ssh-port none, then --ssh-port any`;
}
