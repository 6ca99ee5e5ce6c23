/**
 * The unix socket of this machine's daemon, in a directory that only its owner can enter. Whoever answers there is the
 * daemon of the state directory; on a TCP port it may be anybody who was there first.
 */
import { lstatSync, type Stats } from 'node:fs';
import { join } from 'node:path';

export interface OperatorSocket {
  /** Null: it cannot be used. */
  readonly path: string | null;
  /** Why not, in words that go on after the path's name. */
  readonly problem: string;
}

export function operatorSocketIn(stateDir: string): OperatorSocket {
  const directory = join(stateDir, 'operator');
  const path = join(directory, 'api.sock');
  try {
    const facts = lstatSync(directory);
    if (!facts.isDirectory() || !isPrivate(facts)) {
      return { path: null, problem: `is in ${directory}, which others can change` };
    }
    return lstatSync(path).isSocket() ? { path, problem: '' } : { path: null, problem: 'is not a socket' };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { path: null, problem: code === 'ENOENT' ? 'does not exist' : `cannot be reached (${code})` };
  }
}

/** Only root and we ourselves could have put a socket there. */
function isPrivate({ uid, mode }: Stats): boolean {
  return (uid === 0 || uid === process.geteuid?.()) && (mode & 0o077) === 0;
}
