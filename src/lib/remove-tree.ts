import { run } from './process.ts';

/** For the most entries that an import may have, on a slow disk. */
const removeMs = 10 * 60_000;
const environment = { PATH: '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' };

/**
 * Removes a file or a whole tree; one that is not there is no failure. A stranger's tree may be deeper than the longest
 * path the kernel takes, where Node's own removal ends; and nothing that is mounted in it is touched.
 */
export async function removeTree(path: string): Promise<void> {
  await run('rm', ['-rf', '--one-file-system', '--', path], {
    env: environment,
    timeoutMs: removeMs,
    isBoundToUs: true,
  });
}
