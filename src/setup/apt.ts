/**
 * apt and dpkg as used by set-up: no questions, bounded waits for the lock, lists fetched at most once per
 * run.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../core/errors.ts';
import { ProcessError, run } from '../lib/process.ts';
import type { SetupContext } from './context.ts';

const lockWaitS = 300;
const updateMs = 10 * 60_000;
const installMs = 30 * 60_000;
const downloadMs = 15 * 60_000;
/** Older lists may name packages that the archive has replaced. */
const listsAgeMsMax = 24 * 60 * 60_000;

const options = ['-q', '-o', `DPkg::Lock::Timeout=${lockWaitS}`, '-o', 'Acquire::Retries=3'];

/** Names of all installed packages. */
export async function installedPackages(context: SetupContext): Promise<ReadonlySet<string>> {
  const format = `\${Package}\t\${db:Status-Status}\n`;
  const { stdout } = await run('dpkg-query', ['-W', '-f', format], {
    env: context.env,
    signal: context.signal,
    timeoutMs: 30_000,
    outputBytesMax: 16 << 20,
  });
  const lines = stdout.split('\n').map((line) => line.split('\t'));
  return new Set(lines.filter(([, status]) => status === 'installed').map(([name]) => name ?? ''));
}

/** Fetches the package lists unless they are there and fresh. */
export async function refreshLists(context: SetupContext, onLine?: (line: string) => void): Promise<void> {
  if (await areListsFresh()) return;
  await updateLists(context, onLine);
}

async function areListsFresh(): Promise<boolean> {
  const dir = '/var/lib/apt/lists';
  const names = await readdir(dir).catch(() => []);
  // Images of hosts often contain the directories without the lists.
  if (!names.some((name) => /_Packages(\.\w+)?$/.test(name))) return false;
  const facts = await stat(join(dir, 'partial')).catch(() => null);
  return facts !== null && Date.now() - facts.mtimeMs < listsAgeMsMax;
}

/** Fetches the package lists. */
export async function updateLists(context: SetupContext, onLine?: (line: string) => void): Promise<void> {
  await run('apt-get', [...options, 'update'], {
    env: context.env,
    signal: context.signal,
    timeoutMs: updateMs,
    ...(onLine && { onLine }),
  });
}

/**
 * Installs packages without their recommendations. Not cancelled once begun: a killed dpkg leaves the host's
 * package database damaged.
 */
export async function installPackages(
  context: SetupContext,
  names: readonly string[],
  onLine: (line: string) => void,
): Promise<void> {
  context.signal.throwIfAborted();
  const install = () =>
    run('apt-get', [...options, 'install', '-y', '--no-install-recommends', ...names], {
      env: context.env,
      timeoutMs: installMs,
      onLine,
    });
  try {
    await install();
  } catch (error) {
    if (!(error instanceof ProcessError)) throw error;
    if (/dpkg was interrupted/.test(error.stderr)) {
      await run('dpkg', ['--configure', '-a'], { env: context.env, timeoutMs: installMs, onLine });
    } else if (/unable to locate|404 {2}not found|unable to fetch/i.test(error.stderr)) {
      await updateLists(context, onLine);
    } else {
      throw error;
    }
    await install();
  }
}

/**
 * The direct dependencies of `name`, in the archive's order; raises `unsupported` when apt does not know it.
 */
export async function packageDepends(context: SetupContext, name: string): Promise<readonly string[]> {
  const { stdout } = await run('apt-cache', ['show', '--no-all-versions', name], {
    env: context.env,
    signal: context.signal,
    timeoutMs: 60_000,
  }).catch((error) => {
    if (error instanceof ProcessError && /no packages found/i.test(error.stderr)) {
      throw new AppError('unsupported', `apt knows no package ${name}`, {
        cause: error,
        hint: 'Enable the main archive in /etc/apt/sources.list, run apt-get update, then ./flotilla setup.',
      });
    }
    throw error;
  });
  const line = /^Depends: (.*)$/m.exec(stdout)?.[1] ?? '';
  return line.split(',').map((part) => part.trim().split(/[ |(]/)[0] ?? '');
}

/**
 * The version that apt would install according to its present lists; null when it knows none. Uses no
 * network.
 */
export async function candidateVersion(context: SetupContext, name: string): Promise<string | null> {
  const { stdout } = await run('apt-cache', ['policy', name], {
    env: context.env,
    signal: context.signal,
    timeoutMs: 60_000,
  });
  const version = /^ {2}Candidate: (\S+)$/m.exec(stdout)?.[1] ?? '(none)';
  return version === '(none)' ? null : version;
}

/**
 * Downloads the candidate version of each package as a .deb into `dir`; apt checks it against the signed
 * lists.
 */
export async function downloadPackages(
  context: SetupContext,
  names: readonly string[],
  dir: string,
): Promise<void> {
  await run('apt-get', [...options, 'download', ...names], {
    env: context.env,
    signal: context.signal,
    timeoutMs: downloadMs,
    cwd: dir,
  });
}
