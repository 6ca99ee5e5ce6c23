/** The state directory and who may pass through it. */
import { chmod, mkdir, readdir, stat } from 'node:fs/promises';
import { AppError } from '../core/errors.ts';
import type { StateLayout } from '../storage/layout.ts';

/** What we make in a state directory; a directory that holds anything else is somebody's. */
const ours =
  /^(daemon\.(pid|lock|url|log)|(admin|link)\.key|host-(id|epoch)|boot-id|operator|reserve|flotilla\.db.*|images|boot|disks|quarantine|run|\.tmp-.*)$/;

/**
 * Makes what is not there. VMMs run as users of their own and must pass through, not look around: 0711, whatever the
 * umask. A directory that was there, is closed to them and holds what is not ours keeps its mode: `invalid`.
 */
export async function makeStateDirectory(layout: StateLayout, uidBase: number | null): Promise<void> {
  for (const path of [layout.root, layout.run, layout.disks]) {
    const made = await mkdir(path, { recursive: true });
    const { mode } = await stat(path);
    const isClosed = (mode & 0o001) === 0;
    if (made !== undefined) await chmod(path, 0o711);
    else if (isClosed && uidBase !== null) await open(layout, path, mode);
  }
}

async function open(layout: StateLayout, path: string, mode: number): Promise<void> {
  const foreign = path === layout.root ? (await readdir(path)).find((name) => !ours.test(name)) : undefined;
  if (foreign === undefined) return chmod(path, (mode & 0o777) | 0o011);
  throw new AppError('invalid', `${path} is closed to the users that machines run as, and holds ${foreign}`, {
    hint: `Use a directory of its own as FLOTILLA_STATE_DIR, or chmod 711 ${path}.`,
  });
}
