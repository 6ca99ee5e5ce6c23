/**
 * Builds a root file system of the right size from a tar stream. The image builder (image-builder/main.go)
 * does this in the jail: no file of the archive ever becomes a file of this host.
 */
import { randomUUID } from 'node:crypto';
import { chmod, copyFile, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import { ext4FormatArguments } from '../../lib/ext4.ts';
import { giveToJail, takeFromJail } from '../../lib/jail.ts';
import { ProcessError } from '../../lib/process.ts';
import { tarStream } from './archive.ts';
import type { Staging } from './staging.ts';
import { runTool, type ToolOptions } from './tools.ts';

const mib = 2 ** 20;
/** Go's runtime has several threads, and mkfs.ext4 and e2fsck run as its children. */
const threadsMax = 32;
/** Names in the jail's directory. */
const builderName = 'image-builder';
const treeName = 'tree';

export interface BuildLimits {
  /** Limit of the unpacked tar stream plus `entryBytes` per entry; beyond it `tooLarge` is raised. */
  readonly bytesMax: number;
  readonly tooLarge: AppError;
  /** Beyond it `tooMany` is raised. */
  readonly entriesMax: number;
  readonly tooMany: AppError;
}

export interface BuildOptions {
  readonly name: string;
  /** Path of the image builder. */
  readonly builderPath: string;
  readonly limits: BuildLimits;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const answer = z.union([
  z.object({ size_mib: z.int().positive() }),
  z.object({
    refused: z.object({
      code: z.enum(['invalid', 'too_large', 'too_many']),
      message: z.string(),
      hint: z.string().optional(),
    }),
  }),
]);
type Answer = z.infer<typeof answer>;

/**
 * Writes the root file system into the jail's directory; returns its size in MiB. Raises `invalid` for an
 * archive that is damaged, incomplete, or not a root file system.
 */
export async function buildRoot(
  chunks: AsyncIterable<Uint8Array>,
  { work, rootName }: Pick<Staging, 'work' | 'rootName'>,
  { name, builderPath, limits, timeoutMs, signal }: BuildOptions,
): Promise<number> {
  // The jail may not be able to reach the original's directory.
  await copyFile(builderPath, join(work, builderName));
  await chmod(join(work, builderName), 0o755);
  const mkfs = ext4FormatArguments({ label: name, uuid: randomUUID() });
  const { bytesMax, entriesMax } = limits;
  const args = [
    ...['-image', rootName, '-bytes-max', String(bytesMax), '-entries-max', String(entriesMax)],
    ...['mkfs.ext4', ...mkfs],
  ];
  const tar = tarStream(chunks, { cwd: work, timeoutMs, signal });
  let line = '';
  try {
    await runTool(`./${builderName}`, args, {
      ...{ cwd: work, threadsMax, timeoutMs, signal, fileBytesMax: imageBytesMax(bytesMax) },
      stdin: Readable.from(tar, { objectMode: false }),
      onLine: (text) => {
        line = text;
      },
      onErrorLine: () => undefined,
    });
  } catch (error) {
    throw refusal(line, limits, error) ?? error;
  }
  const made = parsed(line);
  if (made && 'size_mib' in made) return made.size_mib;
  throw new AppError('internal', 'the image builder did not report its result');
}

/** The content plus maps, tables and the image's free space; a limit for a compromised builder. */
function imageBytesMax(contentBytesMax: number): number {
  return Math.ceil(contentBytesMax * 1.1) + 2 ** 30;
}

function parsed(line: string): Answer | null {
  try {
    return answer.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

/** The builder's objection to the archive as an error; null for other failures. */
function refusal(line: string, { tooLarge, tooMany }: BuildLimits, error: unknown): AppError | null {
  const said = parsed(line);
  if (!(error instanceof ProcessError) || !said || !('refused' in said)) return null;
  const { code, message, hint } = said.refused;
  if (code === 'too_large') return tooLarge;
  if (code === 'too_many') return tooMany;
  return new AppError('invalid', message, { cause: error, ...(hint === undefined ? {} : { hint }) });
}

const kernelPlaces = [
  { from: '/boot', to: '' },
  { from: '/lib/modules', to: 'lib' },
  { from: '/usr/lib/modules', to: 'usr/lib' },
] as const;

/**
 * Extracts kernels and their modules from the root file system in the jail's directory; returns the directory
 * that contains them.
 */
export async function extractKernels(
  { work, rootName }: Pick<Staging, 'work' | 'rootName'>,
  options: Pick<ToolOptions, 'signal' | 'timeoutMs' | 'fileBytesMax'>,
): Promise<string> {
  const tree = join(work, treeName);
  for (const directory of ['', 'lib', 'usr', 'usr/lib']) {
    await mkdir(join(tree, directory));
    await giveToJail(join(tree, directory));
  }
  // Missing paths are reported and skipped.
  const stdin = kernelPlaces.map(({ from, to }) => `rdump ${from} ${join(treeName, to)}\n`).join('');
  const { stderr } = await runTool('debugfs', ['-f', '-', rootName], {
    ...options,
    ...{ cwd: work, capabilities: ['chown', 'dac_override', 'fowner'], stdin },
  });
  if (!/No space left/.test(stderr)) return tree;
  throw new AppError('exhausted', 'no space left to take the kernel out of the image', {
    hint: 'Free some space in the state directory, or delete machines.',
  });
}

/**
 * Moves the root file system out of the jail's reach, before trusting anything about it, and makes it
 * durable.
 */
export async function takeRoot(
  { work, rootName, rootPath }: Pick<Staging, 'work' | 'rootName' | 'rootPath'>,
  sizeMib: number,
): Promise<void> {
  const made = join(work, rootName);
  const file = await takeFromJail(made);
  try {
    await file.truncate(sizeMib * mib);
    await file.chmod(0o444);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(made, rootPath);
}
