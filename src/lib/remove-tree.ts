/** Removes directory trees that strangers made or still write to. */
import { sleep } from './abort.ts';
import { ProcessError, run } from './process.ts';

/** Long enough for the largest allowed import on a slow disk. */
const removeMs = 10 * 60_000;
const environment = { PATH: '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' };

/** Another process may add a last file meanwhile, as the launch shim does when its VMM has exited. */
const attemptsMax = 20;
const betweenAttemptsMs = 50;

/**
 * Removes a file or a tree; a missing path is not an error. Uses `rm`, because an imported tree may be deeper
 * than the longest path, where Node's own removal fails. Never descends into mounts. Files added meanwhile
 * are removed too, for up to a second.
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
