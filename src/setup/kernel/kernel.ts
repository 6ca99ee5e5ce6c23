/** The distribution's cloud kernel for guests: unpacked from its package, and never installed on the host. */
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError, isAppError } from '../../core/errors.ts';
import { fileChunks } from '../../lib/filter.ts';
import { ProcessError, run } from '../../lib/process.ts';
import { candidateVersion, downloadPackages, packageDepends, refreshLists, updateLists } from '../apt.ts';
import type { SetupContext } from '../context.ts';
import type { Distro } from '../distro.ts';
import { recordFile } from '../fingerprint.ts';
import { publish, withWorkspace } from '../workspace.ts';
import {
  findKernel,
  type Kernel,
  type KernelSource,
  readKernel,
  recipes,
  removeOtherPackaged,
  takeIntoUse,
} from './kernels.ts';
import { moduleBytesMax, moduleCompression, parseModinfo } from './modinfo.ts';
import { findModuleFiles } from './module-files.ts';
import { type ModulePlan, parseBuiltins, planModules } from './modules.ts';
import { type ToolContext, unpacked } from './unpack.ts';
import { extractVmlinux } from './vmlinux.ts';

/** Debian's has 30 KiB. */
const builtinsBytesMax = 2 ** 20;
/** Guests of Debian's kernel need 17, with 1.3 MiB in total without debug symbols. Some are read twice. */
const modulesMax = 256;
const modulesBytesMax = 128 * 2 ** 20;

/** The kernel that apt would download according to its present lists; null when it knows none. */
export async function kernelCandidate(
  context: SetupContext,
  distro: Distro,
): Promise<Omit<KernelSource, 'digest'> | null> {
  try {
    const [packageName = ''] = await resolvePackages(context, distro);
    const version = await candidateVersion(context, packageName);
    return version === null ? null : { packageName, version };
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof ProcessError || isAppError(error, 'unsupported')) return null;
    throw error;
  }
}

/** Whether the cache has the kernel that apt would download. */
export function isNewest(kernel: Kernel, candidate: Omit<KernelSource, 'digest'>): boolean {
  const { packageName, version } = kernel.source ?? {};
  return packageName === candidate.packageName && version === candidate.version;
}

/**
 * Downloads and unpacks the distribution's kernel, and takes it into use unless guests use one that was built here.
 * Needs apt and the network; returns the result.
 */
export async function fetchKernel(
  context: SetupContext,
  distro: Distro,
  onProgress: (text: string) => void,
): Promise<Kernel> {
  const { cache } = context;
  const fetched = await withWorkspace(cache, async (work) => {
    onProgress('asking apt for the newest version');
    await refreshLists(context, onProgress);
    const packages = await resolvePackages(context, distro);
    onProgress(`downloading ${packages[0]}`);
    const download = join(work, 'download');
    await mkdir(download);
    try {
      await downloadPackages(context, packages, download);
    } catch (error) {
      // Lists a few hours old may name a version that a security update has replaced.
      if (!(error instanceof ProcessError) || !/404/.test(error.stderr)) throw error;
      await updateLists(context, onProgress);
      await downloadPackages(context, await resolvePackages(context, distro), download);
    }
    onProgress('unpacking');
    const tree = join(work, 'tree');
    const archives = await readdir(download);
    const version = await packageVersion(context, download, archives, packages[0] ?? '');
    for (const name of archives) {
      await run('dpkg-deb', ['-x', join(download, name), tree], { ...context, timeoutMs: 5 * 60_000 });
    }
    const built = join(work, 'kernel');
    const source = { name: packages[0] ?? '', version, kind: distro.family };
    const release = await assemble(context, tree, built, source);
    await publish(built, join(cache.kernels, release));
    return release;
  });
  const kernel = await readKernel(cache, fetched);
  if (!kernel) throw new AppError('internal', 'the kernel just made cannot be read back');
  if ((await findKernel(cache))?.kind !== 'built') await takeIntoUse(cache, fetched);
  await removeOtherPackaged(cache, fetched);
  return kernel;
}

/** The packages to which the distribution's "newest kernel" package refers. */
async function resolvePackages(context: SetupContext, distro: Distro): Promise<readonly string[]> {
  const meta = distro.family === 'debian' ? 'linux-image-cloud-amd64' : 'linux-image-virtual';
  const image = (await packageDepends(context, meta)).find((name) => /^linux-image-[0-9]/.test(name));
  if (!image) throw new AppError('unsupported', `${meta} names no kernel package`);
  // Ubuntu ships modules separately from the image; the ones we need are all in the main package.
  return distro.family === 'debian' ? [image] : [image, image.replace('linux-image-', 'linux-modules-')];
}

async function packageVersion(
  context: SetupContext,
  dir: string,
  archives: readonly string[],
  packageName: string,
): Promise<string> {
  const archive = archives.find((name) => name.startsWith(`${packageName}_`)) ?? archives[0] ?? '';
  const options = { env: context.env, signal: context.signal, timeoutMs: 60_000 };
  return (await run('dpkg-deb', ['-f', join(dir, archive), 'Version'], options)).stdout.trim();
}

async function assemble(
  context: SetupContext,
  tree: string,
  built: string,
  source: { readonly name: string; readonly version: string; readonly kind: Distro['family'] },
): Promise<string> {
  const bootDir = join(tree, 'boot');
  const bzImage = (await readdir(bootDir)).find((name) => name.startsWith('vmlinuz-'));
  if (!bzImage) throw new AppError('unsupported', `${source.name} holds no kernel image`);
  const release = bzImage.slice('vmlinuz-'.length);
  await mkdir(join(built, 'modules'), { recursive: true });
  const vmlinux = join(built, 'vmlinux');
  const tools = { ...context, trust: 'signed' } as const;
  await extractVmlinux(join(bootDir, bzImage), vmlinux, tools);
  const plan = await copyModules(tools, await moduleRoot(tree, release), join(built, 'modules'));
  const made = await recordFile(vmlinux);
  const record = {
    recipe: recipes.packaged,
    kind: source.kind,
    release,
    package: source.name,
    packageVersion: source.version,
    vmlinuxBytes: made.bytes,
    vmlinux: made,
    modules: plan.first,
    fallbackModules: plan.fallback,
  };
  await writeFile(join(built, 'kernel.json'), `${JSON.stringify(record, null, 2)}\n`);
  return release;
}

async function moduleRoot(tree: string, release: string): Promise<string> {
  for (const parent of ['lib/modules', 'usr/lib/modules']) {
    const dir = join(tree, parent, release);
    if (await stat(join(dir, 'modules.builtin')).catch(() => null)) return dir;
  }
  throw new AppError('unsupported', `the package holds no modules of kernel ${release}`);
}

/**
 * Copies the modules that guests need from a kernel's module directory into `target`, unpacked. Copies
 * regular files only and follows no links.
 */
export async function copyModules(context: ToolContext, root: string, target: string): Promise<ModulePlan> {
  const builtinList = await readBounded(join(root, 'modules.builtin'), builtinsBytesMax);
  const builtins = parseBuiltins(builtinList.toString());
  const paths = await findModuleFiles(root, context.signal);
  const load = async (path: string) => {
    context.signal.throwIfAborted();
    return readModule(path, context);
  };
  const room = { modules: modulesMax, bytes: modulesBytesMax };
  const plan = await planModules({
    isBuiltin: (name) => builtins.has(name),
    depends: async (name) => {
      const path = paths.get(name);
      if (path === undefined) return null;
      const module = await load(path);
      room.modules -= 1;
      room.bytes -= module.length;
      if (room.modules < 0 || room.bytes < 0)
        throw new AppError('unsupported', 'guests would need too many modules');
      return parseModinfo(module).depends;
    },
  });
  for (const name of [...plan.first, ...plan.fallback]) {
    const path = paths.get(name);
    if (path === undefined) continue;
    const copy = join(target, `${name}.ko`);
    await writeFile(copy, await load(path));
    // binutils must not process untrusted files.
    if (context.trust === 'signed') await strip(context, copy);
  }
  return plan;
}

async function readBounded(path: string, bytesMax: number): Promise<Buffer> {
  const { size } = await stat(path);
  if (size > bytesMax) throw new AppError('unsupported', `${basename(path)} is larger than it can be`);
  return readFile(path);
}

async function readModule(path: string, context: ToolContext): Promise<Buffer> {
  const { size } = await stat(path);
  if (size > moduleBytesMax) throw new AppError('unsupported', `${basename(path)} is larger than it can be`);
  const compression = moduleCompression(path);
  if (compression === null) return readFile(path);
  const packed = fileChunks(path, context.signal);
  const chunks: Buffer[] = [];
  for await (const chunk of unpacked(compression, packed, moduleBytesMax, context)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Debug symbols are half of a module; removed if binutils is installed. */
async function strip(context: ToolContext, path: string): Promise<void> {
  const stripped = `${path}.stripped`;
  try {
    await copyFile(path, stripped);
    await run('strip', ['--strip-debug', stripped], {
      env: context.env,
      signal: context.signal,
      timeoutMs: 60_000,
    });
    await rename(stripped, path);
  } catch (error) {
    await rm(stripped, { force: true });
    if (!(error instanceof ProcessError)) throw error;
  }
}
