/** How programs are run on a stranger's files: nothing of the daemon's environment, and no longer than the daemon. */
import { run } from '../../lib/process.ts';

const toolPath = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin';
/** Programs see nothing of the daemon's environment, and speak English. */
export const toolEnvironment = { PATH: toolPath, LC_ALL: 'C' } as const;

/** For the most entries that an import may have, on a slow disk. */
const removeMs = 10 * 60_000;

/**
 * Removes a file or a whole tree; one that is not there is no failure. A stranger's tree may be deeper than the longest
 * path the kernel takes, where Node's own removal ends; and nothing that is mounted in it is touched.
 */
export async function removeTree(path: string): Promise<void> {
  await run('rm', ['-rf', '--one-file-system', '--', path], {
    env: toolEnvironment,
    timeoutMs: removeMs,
    isBoundToUs: true,
  });
}
