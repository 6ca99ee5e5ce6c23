/**
 * The files of this host that a VMM sees: the program, its libraries and firmware, and its machine's files.
 * All keep their host paths, so a command line means the same inside and outside.
 */
import { readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../../lib/process.ts';
import type { QemuSpec } from './command-line.ts';

const listTimeoutMs = 10_000;
/** Where distributions install QEMU's firmware; symbolic links lead from one to another. */
const firmwareDirectories = ['/usr/share/qemu', '/usr/share/seabios', '/usr/share/qboot'];
const loaderCache = '/etc/ld.so.cache';
const devices = ['/dev/null', '/dev/urandom'];

/** How the launch shim confines VMMs on this host. */
export interface ShimHost {
  /** The shim's path. */
  readonly shim: string;
  /** Whether an unprivileged shim needs a user namespace to make the others. */
  readonly userNamespace: boolean;
  /** Paths that every VMM needs. */
  readonly readOnly: readonly string[];
}

/** The absolute paths in the output of `ldd`. Pure. */
export function parseLibraries(printed: string): readonly string[] {
  return [...printed.matchAll(/(?:^|\s)(\/\S+)(?=\s\(0x)/g)].map(([, path]) => path ?? '');
}

/** The paths that QEMU needs to run. Raises the errors of running `ldd`. */
export async function programPaths(qemu: string, signal: AbortSignal): Promise<readonly string[]> {
  const modules = await acceleratorModules(qemu);
  const { stdout } = await run('ldd', [qemu, ...modules], {
    timeoutMs: listTimeoutMs,
    signal,
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
  });
  const wanted = [
    qemu,
    ...modules,
    ...parseLibraries(stdout),
    ...firmwareDirectories,
    loaderCache,
    ...devices,
  ];
  const there = await Promise.all(
    [...new Set(wanted)].map(async (path) => ((await isThere(path)) ? path : null)),
  );
  return there.filter((path) => path !== null);
}

/** Accelerators may be separate modules; they are beside QEMU's libraries. */
async function acceleratorModules(qemu: string): Promise<readonly string[]> {
  const prefix = dirname(dirname(await realpath(qemu)));
  const directories = ['lib/x86_64-linux-gnu/qemu', 'lib/qemu', 'lib64/qemu', 'lib64/qemu-kvm'];
  for (const directory of directories.map((each) => join(prefix, each))) {
    const names = (await readdir(directory).catch(() => [])).filter((name) => /^accel-.*\.so$/.test(name));
    if (names.length > 0) return names.map((name) => join(directory, name));
  }
  return [];
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The machine's own paths, in addition to the program's. Pure. */
export function machinePaths(
  spec: Pick<QemuSpec, 'source' | 'disks'>,
  runDirectory: string,
): { readonly readOnly: readonly string[]; readonly writable: readonly string[] } {
  const { source, disks } = spec;
  return {
    readOnly: [
      ...new Set([
        ...(source.kind === 'kernel' ? [source.kernelPath, source.initrdPath] : []),
        ...disks.filter(({ readOnly }) => readOnly).map(({ path }) => path),
        ...disks.flatMap(({ bases }) => bases),
      ]),
    ],
    writable: [runDirectory, ...disks.filter(({ readOnly }) => !readOnly).map(({ path }) => path)],
  };
}
