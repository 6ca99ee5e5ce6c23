import { sleep } from './abort.ts';
import { ProcessError, run } from './process.ts';

/** For the most entries that an import may have, on a slow disk. */
const removeMs = 10 * 60_000;
const environment = { PATH: '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' };

/** Somebody may write a last file into the tree meanwhile, as the launch shim does when its VMM has ended. */
const attemptsMax = 20;
const betweenAttemptsMs = 50;

/**
 * Removes a file or a whole tree; one that is not there is no failure. A stranger's tree may be deeper than the longest
 * path the kernel takes, where Node's own removal ends; and nothing that is mounted in it is touched. What is written into
 * it meanwhile is removed, too, for a second.
 */
export async function removeTree(path: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await removeOnce(path);
    } catch (error) {
      const isRefilled = error instanceof ProcessError && error.stderr.includes('Directory not empty');
      if (!isRefilled || attempt === attemptsMax) throw error;
      await sleep(betweenAttemptsMs);
    }
  }
}

async function removeOnce(path: string): Promise<void> {
  await run('rm', ['-rf', '--one-file-system', '--', path], {
    env: environment,
    timeoutMs: removeMs,
    isBoundToUs: true,
  });
}
