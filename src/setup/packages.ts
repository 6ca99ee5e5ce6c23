/** The host's packages that Flotilla needs. */
import { AppError } from '../core/errors.ts';
import { installedPackages, installPackages, refreshLists } from './apt.ts';
import type { SetupContext } from './context.ts';
import type { Distro } from './distro.ts';

const needed: readonly string[] = [
  'qemu-system-x86',
  'qemu-utils',
  'mmdebstrap',
  'e2fsprogs',
  'busybox-static',
  'bzip2',
  'lz4',
  'xz-utils',
  'zstd',
  'util-linux',
  // The machines' network.
  'iproute2',
  'nftables',
  'conntrack',
  // Present on Debian; an Ubuntu host needs it to verify the packages of a Debian image.
  'debian-archive-keyring',
];

/** Names of packages to install; `needsGo` adds a compiler for the guest agent. */
export function missingPackages(context: SetupContext, needsGo: boolean): Promise<readonly string[]> {
  return missingOf(context, [...needed, ...(needsGo ? ['golang-go'] : [])]);
}

/** Those of `names` that are not installed. Raises `unsupported` on a host without dpkg. */
export async function missingOf(context: SetupContext, names: readonly string[]): Promise<readonly string[]> {
  const installed = await installedPackages(context).catch(() => null);
  if (installed === null) {
    throw new AppError('unsupported', 'dpkg-query does not work here; set-up needs Debian or Ubuntu', {
      hint: 'Use a Debian 12 machine, or fill FLOTILLA_CACHE_DIR on one and copy it here.',
    });
  }
  return names.filter((name) => !installed.has(name));
}

/** Installs packages; raises `unsupported` when not root. */
export async function addPackages(
  context: SetupContext,
  distro: Distro,
  names: readonly string[],
  onProgress: (text: string) => void,
): Promise<void> {
  if (process.geteuid?.() !== 0) {
    throw new AppError('unsupported', `only root can install what is missing: ${names.join(' ')}`, {
      hint: `Have root run: apt-get install ${names.join(' ')}; or run this command as root.`,
    });
  }
  onProgress(`fetching package lists of ${distro.title}`);
  await refreshLists(context);
  onProgress(`installing ${names.join(' ')}`);
  await installPackages(context, names, (line) => onProgress(line));
}
