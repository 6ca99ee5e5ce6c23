/**
 * The smallest image: a static busybox and its command names. Built in about a second, so that a first
 * machine need not wait.
 */
import { chmod, copyFile, lutimes, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { fileDigest } from '../../lib/digest.ts';
import { run } from '../../lib/process.ts';
import type { SetupContext } from '../context.ts';
import { valueHash } from '../fingerprint.ts';
import { imageEpochS, makeExt4 } from './ext4.ts';
import { isImageBuilt, publishImage } from './record.ts';

const name = 'busybox';
const recipe = 4;
const facts = { name, rootMib: 32, memoryMibMin: 96 };
const busyboxPath = '/bin/busybox';
const uuid = '6b1f0a52-7c0e-4c35-9d52-b0e7b5a3f001';

const directories: readonly (readonly [string, number])[] = [
  ...['bin', 'sbin', 'usr', 'usr/bin', 'usr/sbin', 'usr/local', 'usr/local/bin', 'lib', 'etc'],
  ...['dev', 'proc', 'sys', 'run', 'home', 'mnt', 'opt', 'srv', 'var', 'var/log', 'var/lib'],
].map((path) => [path, 0o755] as const);
const specialDirectories: readonly (readonly [string, number])[] = [
  ['root', 0o700],
  ['tmp', 0o1777],
  ['var/tmp', 0o1777],
];

const files: Readonly<Record<string, { readonly text: string; readonly mode: number }>> = {
  'etc/passwd': {
    text: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n',
    mode: 0o644,
  },
  'etc/group': { text: 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n', mode: 0o644 },
  // No password matches `*`: the only access is through the guest link.
  'etc/shadow': { text: 'root:*:20089:0:99999:7:::\nnobody:*:20089:0:99999:7:::\n', mode: 0o600 },
  'etc/hosts': { text: '127.0.0.1\tlocalhost\n::1\tlocalhost\n', mode: 0o644 },
  'etc/hostname': { text: '', mode: 0o644 },
  'etc/machine-id': { text: '', mode: 0o444 },
  'etc/resolv.conf': { text: '', mode: 0o644 },
  'etc/shells': { text: '/bin/sh\n/bin/ash\n', mode: 0o644 },
  'etc/profile': { text: 'export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n', mode: 0o644 },
  'etc/os-release': { text: 'ID=busybox\nNAME=BusyBox\nPRETTY_NAME="BusyBox"\n', mode: 0o644 },
};

async function inputsHash(): Promise<string> {
  const busybox = await fileDigest(busyboxPath).catch((error) => {
    throw new AppError('unsupported', `${busyboxPath} cannot be read`, {
      cause: error,
      hint: 'Install it: apt-get install busybox-static',
    });
  });
  return valueHash({ recipe, facts, busybox });
}

/** True when the cache has the image as this host's busybox makes it. */
export async function isBusyboxBuilt(context: SetupContext): Promise<boolean> {
  // Once built, it is valid without the package: a cache may come from another machine.
  return isImageBuilt(context.cache, name, await inputsHash().catch(() => null));
}

/** Makes the image. Needs busybox-static and e2fsprogs, and root for the files' owners. */
export async function buildBusybox(context: SetupContext): Promise<void> {
  await publishImage(context.cache, name, await inputsHash(), async (rootPath, work) => {
    const tree = join(work, 'tree');
    await makeTree(context, tree);
    await makeExt4(context, tree, rootPath, { label: name, sizeMib: facts.rootMib, uuid });
    return facts;
  });
}

async function makeTree(context: SetupContext, tree: string): Promise<void> {
  await mkdir(tree);
  await chmod(tree, 0o755);
  for (const [path, mode] of [...directories, ...specialDirectories]) {
    await mkdir(join(tree, path));
    await chmod(join(tree, path), mode);
  }
  const binary = join(tree, 'bin/busybox');
  await copyFile(busyboxPath, binary);
  await chmod(binary, 0o755);
  const { stdout } = await run(binary, ['--list-full'], {
    env: context.env,
    signal: context.signal,
    timeoutMs: 10_000,
  });
  for (const applet of stdout.split('\n').filter((path) => /^(usr\/)?s?bin\/[^/]+$/.test(path))) {
    if (applet !== 'bin/busybox') await symlink('/bin/busybox', join(tree, applet));
  }
  await symlink('/proc/mounts', join(tree, 'etc/mtab'));
  for (const [path, { text, mode }] of Object.entries(files)) {
    await writeFile(join(tree, path), text);
    await chmod(join(tree, path), mode);
  }
  await settleTimes(tree);
}

/**
 * Sets the same time on every entry, innermost first, because writing in a directory changes the directory's
 * time.
 */
async function settleTimes(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true });
  for (const entry of entries) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) await settleTimes(child);
    else await lutimes(child, imageEpochS, imageEpochS);
  }
  await lutimes(path, imageEpochS, imageEpochS);
}
