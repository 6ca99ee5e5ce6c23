/** Builds the host's Go programs from the checkout, each once for each state of its sources. */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../core/errors.ts';
import type { CacheLayout } from '../storage/layout.ts';
import type { SetupContext } from './context.ts';
import { type FileRecord, isUnchanged, readJson, treeHash, valueHash } from './fingerprint.ts';
import { buildGoProgram } from './go-build.ts';

const recipe = 1;

export interface GoTool {
  /** Its folder in the checkout, and the name of its binary. */
  readonly name: string;
  readonly title: string;
  /** Where its binary goes. */
  target(cache: CacheLayout): string;
}

/** What the daemon runs on the host, and what it puts into guests. */
export const goTools = {
  launchShim: { name: 'launch-shim', title: 'launch shim', target: (cache) => cache.launchShim },
  guestSftp: { name: 'guest-sftp', title: 'SFTP server of guests', target: (cache) => cache.guestSftp },
  imageBuilder: { name: 'image-builder', title: 'image builder', target: (cache) => cache.imageBuilder },
} as const satisfies Readonly<Record<string, GoTool>>;

export interface GoToolState {
  readonly version: string;
  readonly inputsHash: string;
  readonly isBuilt: boolean;
}

function isSource(path: string): boolean {
  return (path.endsWith('.go') && !path.endsWith('_test.go')) || path === 'go.mod' || path === 'go.sum';
}

/** What the present sources would make, and whether the cache has it. */
export async function inspectGoTool(context: SetupContext, tool: GoTool): Promise<GoToolState> {
  const sources = join(context.sourceRoot, tool.name);
  if (!(await stat(join(sources, 'go.mod')).catch(() => null))) {
    throw new AppError('unsupported', `${sources} does not hold the ${tool.title}'s sources`, {
      hint: 'Run ./flotilla from a whole checkout.',
    });
  }
  const version = (await treeHash(sources, isSource)).slice(0, 12);
  const inputsHash = valueHash({ recipe, version });
  const target = tool.target(context.cache);
  const record = await readJson(join(dirname(target), `${tool.name}.json`));
  const isBuilt =
    record?.inputsHash === inputsHash && (await isUnchanged(target, record as Partial<FileRecord>));
  return { version, inputsHash, isBuilt };
}

export async function buildGoTool(
  context: SetupContext,
  tool: GoTool,
  { version, inputsHash }: GoToolState,
): Promise<void> {
  await buildGoProgram(context, {
    sources: join(context.sourceRoot, tool.name),
    packagePath: '.',
    target: tool.target(context.cache),
    version,
    inputsHash,
  });
}
