/**
 * A cache that differs from this host's in the kernel of its boot kit only, so that daemons on different kernels can be
 * compared in one run. Everything else in it is a link.
 */
import { copyFile, link, mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../src/core/errors.ts';
import { hasErrorCode } from '../src/lib/files.ts';
import { findGuestAgent } from '../src/setup/guest-agent.ts';
import type { Kernel } from '../src/setup/kernel/kernels.ts';
import { writeKit } from '../src/setup/kit/kit.ts';
import { CacheLayout } from '../src/storage/layout.ts';

/** Fills `directory`, which is empty, and returns it. Raises `unavailable` before set-up has built the guest agent. */
export async function cacheWithKernel(
  cache: CacheLayout,
  kernel: Kernel,
  directory: string,
): Promise<string> {
  const agent = await findGuestAgent(cache);
  if (!agent) {
    throw new AppError('unavailable', 'there is no guest agent to boot with', {
      hint: 'Run ./flotilla setup first.',
    });
  }
  const made = new CacheLayout(directory);
  for (const name of await readdir(cache.root)) {
    const [from, to] = [join(cache.root, name), join(directory, name)];
    if (from !== cache.bootKit) await symlink(from, to);
  }
  await mkdir(made.bootKit);
  await linkOrCopy(kernel.vmlinuxPath, join(made.bootKit, 'kernel'));
  await writeKit(made.bootKit, kernel, agent);
  return directory;
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(async (error: unknown) => {
    if (!hasErrorCode(error, 'EXDEV')) throw error;
    await copyFile(from, to);
  });
}
