/** The state directory and who may pass through it. */
import { chmod, mkdir, readdir, stat } from 'node:fs/promises';
import { AppError } from '../core/errors.ts';
import type { StateLayout } from '../storage/layout.ts';

/** The entries that we make in a state directory; other entries mean that it belongs to something else. */
const ours =
  /^(daemon\.(pid|lock|url|log)|(admin|link)\.key|host-(id|epoch)|boot-id|operator|reserve|flotilla\.db.*|images|boot|disks|quarantine|run|\.tmp-.*)$/;

/**
 * Makes a missing state directory. VMMs have their own users and must pass through without listing: mode
 * 0711, whatever the umask. An existing directory that is closed to them and contains foreign files keeps its
 * mode; this raises `invalid`.
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
    hint: `Use a separate directory as FLOTILLA_STATE_DIR, or chmod 711 ${path}.`,
  });
}
