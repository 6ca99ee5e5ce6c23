/** Builds the launch shim from the checkout's `launch-shim/`, once for each state of its sources. */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../core/errors.ts';
import type { SetupContext } from './context.ts';
import { type FileRecord, isUnchanged, readJson, treeHash, valueHash } from './fingerprint.ts';
import { buildGoProgram } from './go-build.ts';

const recipe = 1;

export interface LaunchShim {
  readonly version: string;
  readonly inputsHash: string;
  readonly isBuilt: boolean;
}

function isSource(path: string): boolean {
  return (path.endsWith('.go') && !path.endsWith('_test.go')) || path === 'go.mod';
}

function sourcesOf(context: SetupContext): string {
  return join(context.sourceRoot, 'launch-shim');
}

/** What the present sources would make, and whether the cache has it. */
export async function inspectLaunchShim(context: SetupContext): Promise<LaunchShim> {
  const sources = sourcesOf(context);
  if (!(await stat(join(sources, 'go.mod')).catch(() => null))) {
    throw new AppError('unsupported', `${sources} does not hold the launch shim's sources`, {
      hint: 'Run ./flotilla from a whole checkout.',
    });
  }
  const version = (await treeHash(sources, isSource)).slice(0, 12);
  const inputsHash = valueHash({ recipe, version });
  const { launchShim } = context.cache;
  const record = await readJson(join(dirname(launchShim), 'launch-shim.json'));
  const isBuilt =
    record?.inputsHash === inputsHash && (await isUnchanged(launchShim, record as Partial<FileRecord>));
  return { version, inputsHash, isBuilt };
}

export async function buildLaunchShim(
  context: SetupContext,
  { version, inputsHash }: LaunchShim,
): Promise<void> {
  const target = context.cache.launchShim;
  await buildGoProgram(context, {
    sources: sourcesOf(context),
    packagePath: '.',
    target,
    version,
    inputsHash,
  });
}
