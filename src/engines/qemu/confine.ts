/**
 * What a VMM may do on this host, as the command line that wraps it: resource limits, its own user, no capabilities,
 * no way to gain any. Pure. Both wrappers replace themselves, so the VMM keeps the pid that was spawned.
 */

export interface Confinement {
  /** Null when the daemon has no right to change users: the VMM runs as the daemon's user. */
  readonly uid: number | null;
  /** Supplementary groups; only the one that opens /dev/kvm. */
  readonly groups: readonly number[];
  /** No file the VMM writes may become larger. */
  readonly fileBytesMax: number;
  readonly prlimit: string;
  readonly setpriv: string;
}

/** Program and arguments that run `command` confined. */
export function confinedCommand(
  command: readonly string[],
  confinement: Confinement,
): readonly [string, ...string[]] {
  const { uid, groups } = confinement;
  const user =
    uid === null
      ? []
      : [
          `--reuid=${uid}`,
          `--regid=${uid}`,
          groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`,
          // Only a privileged process may shrink its bounding set; an unprivileged one has nothing to give up.
          '--bounding-set=-all',
        ];
  return [
    confinement.prlimit,
    `--fsize=${confinement.fileBytesMax}`,
    '--core=0',
    '--',
    confinement.setpriv,
    ...user,
    '--no-new-privs',
    '--inh-caps=-all',
    '--',
    ...command,
  ];
}

/** How large a disk file of `diskMib` can get, with its format's own tables, and no less than the console needs. */
export function fileBytesMax(diskMib: number): number {
  return (diskMib + Math.ceil(diskMib / 8) + 64) * 1024 * 1024;
}
