/**
 * From a tar stream to a root file system of the right size. The image builder (image-builder/main.go) does it, in the
 * jail: no file of the archive is ever a file of this host.
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
/** Go's runtime has some threads of its own, and mkfs.ext4 and e2fsck run below it. */
const threadsMax = 32;
/** Names in the jail's directory. */
const builderName = 'image-builder';
const treeName = 'tree';

export interface BuildLimits {
  /** Of the tar stream, unpacked, and `entryBytes` for each entry; beyond it `tooLarge` is raised. */
  readonly bytesMax: number;
  readonly tooLarge: AppError;
  /** Beyond it `tooMany` is raised. */
  readonly entriesMax: number;
  readonly tooMany: AppError;
}

export interface BuildOptions {
  readonly name: string;
  /** The image builder's program. */
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
 * Writes the root file system into the jail's directory; answers its size in MiB. Raises `invalid` for an archive that is
 * damaged, not whole, or no root file system.
 */
export async function buildRoot(
  chunks: AsyncIterable<Uint8Array>,
  { work, rootName }: Pick<Staging, 'work' | 'rootName'>,
  { name, builderPath, limits, timeoutMs, signal }: BuildOptions,
): Promise<number> {
  // What leads to the original may be closed to the jail.
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
  throw new AppError('internal', 'the image builder did not say what it made');
}

/** Maps, tables and what stays free in the image come to its content; a bound for a builder that was taken over. */
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

/** What the builder has against the archive, in our words; null when it failed otherwise. */
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

/** Takes kernels and their modules out of the root file system in the jail's directory; answers the directory they are in. */
export async function extractKernels(
  { work, rootName }: Pick<Staging, 'work' | 'rootName'>,
  options: Pick<ToolOptions, 'signal' | 'timeoutMs' | 'fileBytesMax'>,
): Promise<string> {
  const tree = join(work, treeName);
  for (const directory of ['', 'lib', 'usr', 'usr/lib']) {
    await mkdir(join(tree, directory));
    await giveToJail(join(tree, directory));
  }
  // What is not there is complained of and left out.
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

/** Brings the root file system out of the jail's reach, before anything is believed of it, and makes it durable. */
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
