/**
 * Builds a guest kernel from Debian's source of Linux: unpack, patch, configure, compile, strip. Called with the set-up
 * lock held. The kernel appears in the cache whole, under a release of its own, or not at all; an interrupted build
 * leaves nothing that the next one uses.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../../core/errors.ts';
import { ProcessError, run } from '../../../lib/process.ts';
import type { CacheLayout } from '../../../storage/layout.ts';
import { downloadPackages } from '../../apt.ts';
import type { SetupContext } from '../../context.ts';
import { recordFile } from '../../fingerprint.ts';
import { publish, withWorkspace } from '../../workspace.ts';
import { type Kernel, listKernels, readKernel, recipes } from '../kernels.ts';
import { requireElf } from '../vmlinux.ts';
import { differences, parseConfig, parseFragment } from './config.ts';
import type { KernelRecipe } from './recipe.ts';
import { type Scratch, withScratch } from './scratch.ts';

/** Beside what every Debian has. */
export const buildPackages: readonly string[] = [
  'build-essential',
  'flex',
  'bison',
  'bc',
  'libelf-dev',
  'xz-utils',
];

/** Of the directory in which it is compiled: 1.5 GiB of sources, 0.5 GiB of objects, and room for later sources. */
export const scratchMib = 3000;
/** Of the cache: the source package twice, and the kernel. */
export const cacheMib = 400;

/** Files that a build compiles, for the progress. */
const filesAbout = 1990;
const unpackMs = 20 * 60_000;
const configureMs = 10 * 60_000;
/** It takes 12 minutes of one processor; a busy one of two does it in an hour. */
const compileMs = 3 * 60 * 60_000;
const stepMs = 60_000;

/** Equal inputs give equal bytes, by the same compiler. */
const reproducible = {
  KBUILD_BUILD_USER: 'flotilla',
  KBUILD_BUILD_HOST: 'flotilla',
  KBUILD_BUILD_TIMESTAMP: 'Thu Jan  1 00:00:00 UTC 1970',
};

/** The kernel that was built from these inputs; null when the cache has none. */
export async function findBuilt(cache: CacheLayout, { inputsHash }: KernelRecipe): Promise<Kernel | null> {
  return (await listKernels(cache)).find((kernel) => kernel.inputsHash === inputsHash) ?? null;
}

/** Raises `unsupported` when source, patch and fragment do not fit each other; ProcessError when a program fails. */
export async function buildKernel(
  context: SetupContext,
  recipe: KernelRecipe,
  onProgress: (text: string) => void,
): Promise<Kernel> {
  const { cache } = context;
  const jobs = availableParallelism();
  const release = await withWorkspace(cache, (work) =>
    withScratch(context, jobs, async (scratch) => {
      await unpackSource(context, recipe, work, scratch, onProgress);
      const made = await compile(scratch, recipe, jobs, onProgress);
      const built = join(work, 'kernel');
      await takeOut(context, scratch, recipe, made, built);
      await publish(built, join(cache.kernels, made));
      return made;
    }),
  );
  const kernel = await readKernel(cache, release);
  if (!kernel) throw new AppError('internal', 'the kernel just built cannot be read back');
  return kernel;
}

async function unpackSource(
  context: SetupContext,
  { source }: KernelRecipe,
  work: string,
  scratch: Scratch,
  onProgress: (text: string) => void,
): Promise<void> {
  const { packageName, version } = source;
  const download = join(work, 'download');
  await mkdir(download);
  onProgress(`downloading ${packageName} ${version}`);
  await downloadPackages(context, [`${packageName}=${version}`], download);
  onProgress('unpacking');
  const [archive] = await readdir(download);
  if (archive === undefined) throw new AppError('internal', `apt downloaded no ${packageName}`);
  const tree = join(work, 'package');
  await run('dpkg-deb', ['-x', join(download, archive), tree], { ...context, timeoutMs: unpackMs });
  await rm(download, { recursive: true });
  const sources = createReadStream(join(tree, 'usr/src', `${packageName}.tar.xz`));
  await scratch.run('tar', ['--extract', '--xz', '--strip-components=1', '--no-same-owner'], {
    stdin: sources,
    timeoutMs: unpackMs,
  });
  await rm(tree, { recursive: true });
}

/** Leaves `vmlinux.stripped` and `.config` in the scratch directory; returns the kernel's release. */
async function compile(
  scratch: Scratch,
  recipe: KernelRecipe,
  jobs: number,
  onProgress: (text: string) => void,
): Promise<string> {
  const { packageName, version } = recipe.source;
  const env = { ARCH: 'x86', LOCALVERSION: recipe.localVersion, ...reproducible };
  onProgress('patching');
  await scratch
    .run('patch', ['--strip=1', '--forward', '--batch'], { stdin: recipe.patch, timeoutMs: stepMs })
    .catch((error: unknown) => {
      if (!(error instanceof ProcessError) || error.exitCode !== 1) throw error;
      throw unfit(`the patch does not fit ${packageName} ${version}`, error);
    });
  onProgress('configuring');
  await scratch.run('tee', ['flotilla.config'], { stdin: recipe.fragment, timeoutMs: stepMs });
  const configure = { ...env, KCONFIG_ALLCONFIG: 'flotilla.config' };
  await scratch.run('make', ['-s', 'allnoconfig'], { env: configure, timeoutMs: configureMs });
  const { stdout: config } = await scratch.run('cat', ['.config'], { timeoutMs: stepMs });
  const different = differences(parseFragment(recipe.fragment), parseConfig(config));
  if (different.length > 0)
    throw unfit(`${packageName} ${version} does not take the configuration: ${different.join('; ')}`);
  const { stdout } = await scratch.run('make', ['-s', 'kernelrelease'], { env, timeoutMs: configureMs });
  const release = stdout.trim();
  if (!/^[\w.+-]{1,64}$/.test(release) || !release.endsWith(recipe.localVersion))
    throw unfit(`it would call itself '${release}'`);
  let files = 0;
  const onLine = (line: string) => {
    if (!/^ {2}(CC|AS|HOSTCC|AR|LD) /.test(line)) return;
    files += 1;
    onProgress(`compiling ${release}: ${files} of about ${filesAbout} files`);
  };
  onProgress(`compiling ${release}`);
  await scratch.run('make', [`-j${jobs}`, 'vmlinux'], { env, onLine, timeoutMs: compileMs });
  await scratch.run('strip', ['--strip-all', '-o', 'vmlinux.stripped', 'vmlinux'], { timeoutMs: stepMs });
  return release;
}

/** Copies the kernel from the compiler's user to `built`, and writes its record. */
async function takeOut(
  { signal }: SetupContext,
  scratch: Scratch,
  { source, inputsHash }: KernelRecipe,
  release: string,
  built: string,
): Promise<void> {
  await mkdir(built);
  for (const [name, target] of [
    ['vmlinux.stripped', 'vmlinux'],
    ['.config', 'config'],
  ] as const) {
    const file = await scratch.open(name);
    await pipeline(file.createReadStream(), createWriteStream(join(built, target)), { signal });
  }
  const vmlinux = join(built, 'vmlinux');
  await requireElf(vmlinux);
  const made = await recordFile(vmlinux);
  const record = {
    recipe: recipes.built,
    kind: 'built',
    release,
    package: source.packageName,
    packageVersion: source.version,
    inputsHash,
    vmlinuxBytes: made.bytes,
    vmlinux: made,
    modules: [],
    fallbackModules: [],
  };
  await writeFile(join(built, 'kernel.json'), `${JSON.stringify(record, null, 2)}\n`);
}

function unfit(how: string, cause?: unknown): AppError {
  return new AppError('unsupported', `the kernel cannot be built: ${how}`, {
    cause,
    hint: 'The files in guest-kernel/ are for the Linux of Debian 12 (6.1). Use the newest Flotilla, or Debian’s kernel: ./flotilla kernel use debian',
  });
}
