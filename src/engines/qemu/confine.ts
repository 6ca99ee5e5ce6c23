/**
 * Wraps a VMM's command line to restrict it: resource limits, its own user, no capabilities and no way to
 * gain any. Pure. Both wrappers exec the next program, so the VMM keeps the spawned pid.
 */

export interface Confinement {
  /** Null when the daemon is not allowed to change users: the VMM runs as the daemon's user. */
  readonly uid: number | null;
  /** Supplementary groups: at most the one that may open /dev/kvm. */
  readonly groups: readonly number[];
  /** Size limit of each file that the VMM writes. */
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
          // Only a privileged process may shrink its bounding set; an unprivileged one has nothing to drop.
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

/**
 * The maximum size of a disk file of `diskMib` including its format's tables, but at least what the console
 * needs.
 */
export function fileBytesMax(diskMib: number): number {
  return (diskMib + Math.ceil(diskMib / 8) + 64) * 1024 * 1024;
}
