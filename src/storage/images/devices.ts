/**
 * Device nodes of an archive. The jail may make none, and on this host there is to be none that a stranger chose: tar
 * fails at each, goes on, and they are written into the finished file system, where only the guest meets them.
 */
import { AppError } from '../../core/errors.ts';
import { runTool, type ToolOptions } from './tools.ts';

export interface Device {
  /** As in the archive, without leading dots and slashes. */
  readonly path: string;
  readonly kind: 'b' | 'c';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly major: number;
  readonly minor: number;
}

/** A distribution's `/dev` has some dozens. */
export const devicesMax = 4096;

/** A line of `tar --verbose --verbose --numeric-owner`, such as `crw-rw-rw- 0/0 1,3 2025-01-01 00:00 ./dev/null`; attributes show after the mode. */
const line =
  /^([bc])([r-][w-][xsS-][r-][w-][xsS-][r-][w-][xtT-])[.+*]? +(\d+)\/(\d+) +(\d+),(\d+) \S+ \S+ (.+)$/;
/** What can be written in a command of debugfs without quotes. */
const plainPath = /^[\w.+:@%,=-]+(\/[\w.+:@%,=-]+)*$/;

/** What tar says where it could not make one. */
export const deviceRefusal = /: Cannot mknod: Operation not permitted$/;

/** The device that a line of tar's list is about, or null. Raises `invalid` for a name no device of a system has. */
export function parseDevice(text: string): Device | null {
  const [, kind, bits = '', uid, gid, major, minor, name = ''] = line.exec(text) ?? [];
  if (kind !== 'b' && kind !== 'c') return null;
  const path = name.replace(/^(\.?\/)+/, '');
  if (!plainPath.test(path) || path.split('/').includes('..')) {
    throw new AppError('invalid', `a device node cannot be named ${JSON.stringify(name.slice(0, 200))}`);
  }
  return {
    ...{ path, kind, mode: modeOf(bits), uid: Number(uid), gid: Number(gid) },
    ...{ major: Number(major), minor: Number(minor) },
  };
}

/** `rw-rw-rw-` as a number. */
function modeOf(bits: string): number {
  const special = [bits[2], bits[5], bits[8]].map((letter) => /[sStT]/.test(letter ?? ''));
  const plain = bits.replace(/[ST]/g, '-').replace(/[^-]/g, '1').replaceAll('-', '0');
  return (
    Number.parseInt(plain, 2) | special.reduce((mode, is, index) => (is ? mode | (0o4000 >> index) : mode), 0)
  );
}

/** Writes the devices into the file system `image`, a name in the jail's directory. */
export async function addDevices(
  image: string,
  devices: readonly Device[],
  options: ToolOptions,
): Promise<void> {
  if (devices.length === 0) return;
  const stdin = devices.map(commands).join('');
  await runTool('debugfs', ['-w', '-f', '-', image], { ...options, stdin });
}

/** debugfs makes nodes in its working directory only, and goes on after a command that failed. */
function commands({ path, kind, mode, uid, gid, major, minor }: Device): string {
  const parts = path.split('/');
  const name = parts.pop() ?? '';
  const type = kind === 'b' ? 0o060000 : 0o020000;
  const fields = { mode: `0${(type | mode).toString(8)}`, uid: String(uid), gid: String(gid) };
  return [
    `cd /${parts.join('/')}`,
    `mknod ${name} ${kind} ${major} ${minor}`,
    ...Object.entries(fields).map(([field, value]) => `set_inode_field ${name} ${field} ${value}`),
    '',
  ].join('\n');
}
