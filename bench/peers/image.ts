/**
 * Makes the disk of the guest for `bench exec`'s comparison: a copy of an image with qemu-guest-agent and
 * sshd installed.
 */
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { shortId } from '../../src/lib/ids.ts';
import { valueHash } from '../../src/setup/fingerprint.ts';
import { type Blueprint, RawMachine } from '../raw-machine.ts';
import { fetchPackages } from './packages.ts';

const recipe = 1;
const packages = ['openssh-server', 'qemu-guest-agent'];
const debDirectory = '/root/debs';
const commandTimeoutMs = 60_000;
const installTimeoutMs = 10 * 60_000;

export interface PeerImageOptions {
  readonly cacheDir: string;
  readonly env: NodeJS.ProcessEnv;
  /** Blueprint of a machine that runs from the image to copy. */
  readonly blueprint: Blueprint;
  /** Directory for temporary files. */
  readonly directory: string;
  readonly signal: AbortSignal;
  say(line: string): void;
}

/**
 * Returns the image's path in the cache. If missing, it is made in a guest, which takes a minute or two but
 * needs neither root nor mounts on the host. Raises `unsupported` when the packages cannot be downloaded, and
 * `guest` when they cannot be installed.
 */
export async function peerImage(options: PeerImageOptions): Promise<string> {
  const { blueprint, cacheDir } = options;
  const base = { digest: basename(blueprint.baseImagePath), diskBytes: blueprint.diskBytes };
  const directory = join(cacheDir, 'bench');
  const path = join(directory, `peers-${valueHash({ recipe, packages, base }).slice(0, 16)}.raw`);
  if (await stat(path).catch(() => null)) return path;
  options.say(`exec: installing ${packages.join(' and ')} in a guest (once; takes a minute or two)`);
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const unfinished = join(directory, `.tmp-${shortId()}`);
  try {
    await make(options, unfinished);
    for (const name of await readdir(directory))
      if (name.startsWith('peers-')) await rm(join(directory, name), { force: true });
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
  }
  return path;
}

async function make(options: PeerImageOptions, target: string): Promise<void> {
  const { blueprint, directory, env, signal } = options;
  const guest = await RawMachine.start(blueprint, directory, signal);
  try {
    const read = (path: string) => guest.run({ argv: ['cat', path], timeoutMs: commandTimeoutMs }, signal);
    const status = await read('/var/lib/dpkg/status');
    const sources = (await read('/etc/apt/sources.list')).toString();
    const scratch = join(directory, 'packages');
    const debs = await fetchPackages(packages, { status, sources }, scratch, env, signal);
    await install(guest, debs, signal);
    await guest.exportDisk(target, signal);
  } finally {
    await guest.close();
  }
}

async function install(guest: RawMachine, debs: readonly Buffer[], signal: AbortSignal): Promise<void> {
  const run = (argv: readonly string[]) => guest.run({ argv, timeoutMs: commandTimeoutMs }, signal);
  await run(['mkdir', debDirectory]);
  const files = debs.map((_, index) => `${debDirectory}/${index}.deb`);
  for (const [index, deb] of debs.entries()) {
    const argv = ['dd', `of=${files[index]}`, 'status=none'];
    await guest.run({ argv, stdin: onePiece(deb), timeoutMs: commandTimeoutMs }, signal);
  }
  await guest.run(
    {
      argv: ['apt-get', '-q', '-y', '--no-install-recommends', 'install', ...files],
      env: { DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' },
      timeoutMs: installTimeoutMs,
    },
    signal,
  );
  await run(['rm', '-r', debDirectory]);
}

/** Wraps bytes as the standard input of a command. */
export async function* onePiece(data: Uint8Array): AsyncGenerator<Uint8Array> {
  yield data;
}
