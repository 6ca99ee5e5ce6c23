/**
 * The Debian 12 image with the usual packages of a small server; built by mmdebstrap from signed packages.
 */
import { chmod, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ProcessError, run } from '../../lib/process.ts';
import type { SetupContext } from '../context.ts';
import { valueHash } from '../fingerprint.ts';
import { imageEpochS, makeExt4 } from './ext4.ts';
import { isImageBuilt, publishImage } from './record.ts';

const name = 'debian-12';
const recipe = 3;
const memoryMibMin = 128;
const uuid = '6b1f0a52-7c0e-4c35-9d52-b0e7b5a3f012';
const bootstrapMs = 30 * 60_000;
const packages = ['python3', 'ca-certificates', 'iproute2', 'procps', 'vim-tiny'];
const suite = 'bookworm';
const mirrors = [
  `deb http://deb.debian.org/debian ${suite} main`,
  `deb http://deb.debian.org/debian ${suite}-updates main`,
  `deb http://deb.debian.org/debian-security ${suite}-security main`,
];
/**
 * Excluded from the image, also for later installations in a guest. Copyright files stay, because the
 * licences require them.
 */
const dpkgOptions = [
  'path-exclude=/usr/share/man/*',
  'path-exclude=/usr/share/info/*',
  'path-exclude=/usr/share/locale/*',
  'path-exclude=/usr/share/doc/*',
  'path-include=/usr/share/doc/*/copyright',
];
/** Space for the journal and tables, and for a guest whose disk is no larger than the image. */
const spareMib = 96;
const inputsHash = valueHash({ recipe, packages, mirrors, dpkgOptions, spareMib });

/** True when the cache has the image of this recipe. */
export function isDebianBuilt(context: SetupContext): Promise<boolean> {
  return isImageBuilt(context.cache, name, inputsHash);
}

/** Makes the image in one to three minutes. Needs mmdebstrap, e2fsprogs, root and the network. */
export async function buildDebian(context: SetupContext, onProgress: (text: string) => void): Promise<void> {
  await publishImage(context.cache, name, inputsHash, async (rootPath, work) => {
    const tree = join(work, 'tree');
    await bootstrap(context, tree, onProgress);
    await settle(tree);
    onProgress('writing the file system');
    const rootMib = roundUp((await treeMib(context, tree)) + spareMib, 64);
    await makeExt4(context, tree, rootPath, { label: name, sizeMib: rootMib, uuid });
    return { name, rootMib, memoryMibMin };
  });
}

async function bootstrap(
  context: SetupContext,
  tree: string,
  onProgress: (text: string) => void,
): Promise<void> {
  const args = [
    '--mode=root',
    '--variant=minbase',
    '--architectures=amd64',
    '--format=directory',
    '--keyring=/usr/share/keyrings/debian-archive-keyring.gpg',
    `--include=${packages.join(',')}`,
    '--aptopt=Apt::Install-Recommends "false"',
    ...(await hostAptOptions(context)).map((option) => `--aptopt=${option}`),
    ...dpkgOptions.map((option) => `--dpkgopt=${option}`),
    suite,
    tree,
    ...mirrors,
  ];
  const [program, ...before] = await isolation(context);
  await run(program, [...before, 'mmdebstrap', ...args], {
    env: { ...context.env, SOURCE_DATE_EPOCH: String(imageEpochS), TMPDIR: join(tree, '..') },
    signal: context.signal,
    timeoutMs: bootstrapMs,
    onLine: (line) => {
      const said = /^I: (.*?)(\.\.\.)?$/.exec(line);
      if (said?.[1]) onProgress(said[1]);
    },
  });
}

/**
 * Runs mmdebstrap so that it and its children end with us, and its mounts disappear with it: no part of this
 * host may ever be mounted below a directory that set-up removes. Where namespaces are forbidden, mounts are
 * too, and it works without.
 */
async function isolation(context: SetupContext): Promise<readonly [string, ...string[]]> {
  const withUs = ['--pdeathsig', 'KILL'];
  const namespaces = [
    'unshare',
    '--mount',
    '--propagation=private',
    '--pid',
    '--mount-proc',
    '--fork',
    '--kill-child',
  ];
  try {
    const args = [...withUs, ...namespaces, 'true'];
    await run('setpriv', args, { env: context.env, signal: context.signal, timeoutMs: 10_000 });
    return ['setpriv', ...withUs, ...namespaces];
  } catch (error) {
    if (error instanceof ProcessError) return ['setpriv', ...withUs];
    throw error;
  }
}

/** The host's apt settings for proxies and list validity, used for the image's packages too. */
async function hostAptOptions(context: SetupContext): Promise<readonly string[]> {
  const { stdout } = await run('apt-config', ['dump', 'Acquire'], {
    env: context.env,
    signal: context.signal,
    timeoutMs: 10_000,
  }).catch((error) => {
    if (error instanceof ProcessError) return { stdout: '' };
    throw error;
  });
  const wanted = /^Acquire::(https?::Proxy(::[\w.-]+)?|Check-Valid-Until|Check-Date|ForceIPv4) "[^"]+";$/;
  return stdout.split('\n').filter((line) => wanted.test(line));
}

/** Removes files that belong to this host or the build, and adds those that a guest needs. */
async function settle(tree: string): Promise<void> {
  for (const path of [
    'etc/hostname',
    'etc/resolv.conf',
    'etc/machine-id',
    'etc/apt/apt.conf.d/99mmdebstrap',
  ]) {
    await rm(join(tree, path), { force: true });
  }
  for (const path of ['var/cache/apt', 'var/lib/apt/lists', 'var/log', 'tmp'])
    await emptyFiles(join(tree, path));
  await writeFile(join(tree, 'etc/machine-id'), '', { mode: 0o444 });
  await writeFile(join(tree, 'etc/hostname'), '', { mode: 0o644 });
  await writeFile(join(tree, 'etc/resolv.conf'), '', { mode: 0o644 });
  await writeFile(
    join(tree, 'etc/hosts'),
    '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n',
  );
  await writeFile(join(tree, 'etc/apt/sources.list'), `${mirrors.join('\n')}\n`);
  await chmod(tree, 0o755);
}

async function emptyFiles(dir: string): Promise<void> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (!entry.isDirectory()) await rm(join(entry.parentPath, entry.name), { force: true });
  }
}

/** Disk usage of the tree on this host, in MiB; a guest's file system uses about as much. */
async function treeMib(context: SetupContext, tree: string): Promise<number> {
  const { stdout } = await run('du', ['-sm', tree], {
    env: context.env,
    signal: context.signal,
    timeoutMs: 60_000,
  });
  return Number.parseInt(stdout, 10);
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
