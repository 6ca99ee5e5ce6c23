/**
 * The boot kit, with which guests boot: `kernel` (ELF), `initrd` (the guest agent as /init and the modules
 * that it loads) and `kit.json`. In the guest, `/lib/modules/flotilla.list` holds one absolute module path
 * per line, in load order, and `/lib/modules/flotilla-fallback.list` those for machine types with a PCI bus
 * or a vsock device.
 */
import { link, mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { CacheLayout } from '../../storage/layout.ts';
import { isUnchanged, readJson, recordFile, valueHash } from '../fingerprint.ts';
import type { GuestAgent } from '../guest-agent.ts';
import type { Kernel } from '../kernel/kernels.ts';
import { publish, withWorkspace } from '../workspace.ts';
import { type CpioEntry, writeCpio } from './cpio.ts';

const recipe = 2;
/** The driver adds the machine type's arguments; Debian's cloud kernel needs no others. */
const kernelArgs = '';

const directories = ['dev', 'etc', 'lib', 'lib/modules', 'mnt', 'newroot', 'proc', 'root', 'run', 'sys'];

function inputsOf(kernel: Kernel, agent: GuestAgent): string {
  const modules = [kernel.modulePaths, kernel.fallbackModulePaths].map(inGuest);
  const { release, vmlinuxBytes, source } = kernel;
  // A security update may keep the release, and even the size.
  const digest = source?.digest;
  return valueHash({ recipe, kernelArgs, release, vmlinuxBytes, digest, modules, agent: agent.inputsHash });
}

/** True when the cache has the kit of `kernel` and `agent`. */
export async function isKitBuilt(cache: CacheLayout, kernel: Kernel, agent: GuestAgent): Promise<boolean> {
  const record = await readJson(join(cache.bootKit, 'kit.json'));
  if (record?.inputsHash !== inputsOf(kernel, agent)) return false;
  const has = (name: 'kernel' | 'initrd', bytes: unknown) =>
    isUnchanged(join(cache.bootKit, name), {
      bytes: Number(bytes),
      digest: String(record[`${name}Digest`]),
      mtimeMs: Number(record[`${name}MtimeMs`]),
    });
  return (await has('initrd', record.initrdBytes)) && (await has('kernel', kernel.vmlinuxBytes));
}

/** Builds the kit and puts it in the cache; returns its digest. */
export async function buildKit(cache: CacheLayout, kernel: Kernel, agent: GuestAgent): Promise<string> {
  return withWorkspace(cache, async (work) => {
    const built = join(work, 'boot');
    await mkdir(built);
    await link(kernel.vmlinuxPath, join(built, 'kernel'));
    const digest = await writeKit(built, kernel, agent, inputsOf(kernel, agent));
    await publish(built, cache.bootKit);
    return digest;
  });
}

/** Completes the kit in `dir`, which already contains the kernel; returns its digest. */
export async function writeKit(
  dir: string,
  kernel: Pick<Kernel, 'release' | 'modulePaths' | 'fallbackModulePaths' | 'needsAcpi'>,
  agent: Pick<GuestAgent, 'path' | 'version'>,
  inputsHash?: string,
): Promise<string> {
  const initrd = writeCpio(await initrdEntries(agent.path, kernel));
  await writeFile(join(dir, 'initrd'), initrd);
  const made = {
    kernel: await recordFile(join(dir, 'kernel')),
    initrd: await recordFile(join(dir, 'initrd')),
  };
  const [kernelDigest, initrdDigest] = [made.kernel.digest, made.initrd.digest];
  const digest = `sha256:${valueHash({ kernelDigest, initrdDigest, kernelArgs })}`;
  const record = {
    kernelRelease: kernel.release,
    kernelArgs,
    needsAcpi: kernel.needsAcpi,
    agentVersion: agent.version,
    digest,
    kernelDigest,
    initrdDigest,
    initrdBytes: initrd.length,
    kernelMtimeMs: made.kernel.mtimeMs,
    initrdMtimeMs: made.initrd.mtimeMs,
    inputsHash,
  };
  await writeFile(join(dir, 'kit.json'), `${JSON.stringify(record, null, 2)}\n`);
  return digest;
}

function inGuest(modulePaths: readonly string[]): readonly string[] {
  return modulePaths.map((path) => `/lib/modules/${basename(path)}`);
}

/** The content of the initramfs, in order. */
export async function initrdEntries(
  agentPath: string,
  kernel: Pick<Kernel, 'modulePaths' | 'fallbackModulePaths'>,
): Promise<readonly CpioEntry[]> {
  const file = (path: string, mode: number, data: Uint8Array): CpioEntry => ({
    kind: 'file',
    path,
    mode,
    data,
  });
  const list = (name: string, modulePaths: readonly string[]) => {
    const lines = inGuest(modulePaths).map((path) => `${path}\n`);
    return file(`lib/modules/${name}`, 0o644, Buffer.from(lines.join('')));
  };
  const modules = [...kernel.modulePaths, ...kernel.fallbackModulePaths].map(async (path) =>
    file(`lib/modules/${basename(path)}`, 0o644, await readFile(path)),
  );
  return [
    ...directories.map((path): CpioEntry => ({ kind: 'directory', path, mode: 0o755 })),
    // The kernel opens it as standard input, output and error of /init, before anything is mounted.
    { kind: 'character-device', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
    { kind: 'character-device', path: 'dev/null', mode: 0o666, major: 1, minor: 3 },
    file('init', 0o755, await readFile(agentPath)),
    ...(await Promise.all(modules)),
    list('flotilla.list', kernel.modulePaths),
    list('flotilla-fallback.list', kernel.fallbackModulePaths),
  ];
}
