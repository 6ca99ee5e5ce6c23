/**
 * Fetches Debian packages for a guest with this host's apt, from the guest's package sources and only what
 * the guest lacks.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../src/core/errors.ts';
import { ProcessError, run } from '../../src/lib/process.ts';
import { childEnvironment } from '../../src/setup/context.ts';

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
const aptTimeoutMs = 5 * 60_000;

export interface GuestPackages {
  /** The guest's /var/lib/dpkg/status: the installed packages. */
  readonly status: Uint8Array;
  /** The guest's /etc/apt/sources.list. */
  readonly sources: string;
}

/**
 * Adds Debian's keyring to the lines of a sources.list that name no key, so that another release's apt
 * accepts them. Pure.
 */
export function signedSources(sources: string): string {
  return sources.replaceAll(/^deb (?!\[)/gm, `deb [signed-by=${keyring}] `);
}

/** Options that keep apt away from this host's packages, lists and locks. Pure. */
export function aptOptions(directory: string): readonly string[] {
  const settings = {
    'APT::Architecture': 'amd64',
    'APT::Install-Recommends': 'false',
    // apt's own user has no access to our directory.
    'APT::Sandbox::User': '',
    'Acquire::Languages': 'none',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
    'Acquire::Retries': '3',
    'Debug::NoLocking': 'true',
    'Dir::Cache::Archives': join(directory, 'archives'),
    'Dir::Cache::PkgCache': '',
    'Dir::Cache::SrcPkgCache': '',
    'Dir::Etc::SourceList': join(directory, 'sources.list'),
    'Dir::Etc::SourceParts': '-',
    'Dir::State::Lists': join(directory, 'lists'),
    'Dir::State::Status': join(directory, 'status'),
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** Downloads everything that `names` need in the guest. Raises `unsupported` when that is impossible here. */
export async function fetchPackages(
  names: readonly string[],
  guest: GuestPackages,
  directory: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<readonly Buffer[]> {
  for (const part of ['archives', 'lists'])
    await mkdir(join(directory, part, 'partial'), { recursive: true });
  await writeFile(join(directory, 'status'), guest.status);
  await writeFile(join(directory, 'sources.list'), signedSources(guest.sources));
  const apt = (...args: readonly string[]) =>
    run('apt-get', [...aptOptions(directory), '-q', ...args], {
      env: childEnvironment(env),
      timeoutMs: aptTimeoutMs,
      signal,
    });
  try {
    await apt('update', '--error-on=any');
    await apt('install', '--download-only', '-y', ...names);
  } catch (error) {
    if (!(error instanceof ProcessError)) throw error;
    throw new AppError('unsupported', `could not fetch ${names.join(' and ')}: ${error.message}`, {
      cause: error,
      hint: 'Install apt and debian-archive-keyring, and check that a Debian mirror is reachable.',
    });
  }
  const archives = join(directory, 'archives');
  const files = (await readdir(archives)).filter((name) => name.endsWith('.deb')).toSorted();
  return Promise.all(files.map((name) => readFile(join(archives, name))));
}
