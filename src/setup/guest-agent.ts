/** Builds the guest agent from the checkout's `guest-agent/`, once for each state of its sources. */
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../core/errors.ts';
import { ProcessError, run } from '../lib/process.ts';
import type { CacheLayout } from '../storage/layout.ts';
import type { Environment, SetupContext } from './context.ts';
import { type FileRecord, isUnchanged, readJson, treeHash, valueHash } from './fingerprint.ts';
import { buildGoProgram } from './go-build.ts';

const recipe = 1;
/** The oldest Go that can build it; Debian 12's. */
const goMinor = 19;

export interface GuestAgent {
  readonly path: string;
  readonly version: string;
  /** Hash of sources and recipe; equal hashes mean equal agents. */
  readonly inputsHash: string;
}

function isSource(path: string): boolean {
  return (path.endsWith('.go') && !path.endsWith('_test.go')) || /^(go\.(mod|sum)$|vendor\/)/.test(path);
}

/** What the present sources would make: its version and whether the cache has it. */
export async function inspectGuestAgent(context: SetupContext): Promise<GuestAgent & { isBuilt: boolean }> {
  const sources = join(context.sourceRoot, 'guest-agent');
  if (!(await stat(join(sources, 'go.mod')).catch(() => null))) {
    throw new AppError('unsupported', `${sources} does not hold the guest agent's sources`, {
      hint: 'Run ./flotilla from a whole checkout.',
    });
  }
  const hash = await treeHash(sources, isSource);
  const manifest = await readJson(join(context.sourceRoot, 'package.json'));
  const version = `${String(manifest?.version ?? '0.0.0')}+${hash.slice(0, 12)}`;
  const inputsHash = valueHash({ recipe, version, hash });
  const record = await readJson(recordPath(context));
  const path = context.cache.guestAgent;
  const isBuilt =
    record?.inputsHash === inputsHash && (await isUnchanged(path, record as Partial<FileRecord>));
  return { path, version, inputsHash, isBuilt };
}

function recordPath(context: SetupContext): string {
  return join(dirname(context.cache.guestAgent), 'guest-agent.json');
}

/** The agent in the cache, built from any sources; null when there is none. */
export async function findGuestAgent(
  cache: CacheLayout,
): Promise<Pick<GuestAgent, 'path' | 'version'> | null> {
  const path = cache.guestAgent;
  const record = await readJson(join(dirname(path), 'guest-agent.json'));
  if (record === null || !(await isUnchanged(path, record as Partial<FileRecord>))) return null;
  return { path, version: String(record.version) };
}

/** True when a Go that can build the agent is installed. */
export async function hasGo(env: Environment, signal: AbortSignal): Promise<boolean> {
  try {
    const { stdout } = await run('go', ['version'], { env, signal, timeoutMs: 30_000 });
    const match = /\bgo(\d+)\.(\d+)/.exec(stdout);
    return match !== null && (Number(match[1]) > 1 || Number(match[2]) >= goMinor);
  } catch (error) {
    if (error instanceof ProcessError) return false;
    throw error;
  }
}

/** Builds a static binary; nothing is downloaded beyond the modules that go.sum names. */
export async function buildGuestAgent(context: SetupContext, agent: GuestAgent): Promise<void> {
  await buildGoProgram(context, {
    sources: join(context.sourceRoot, 'guest-agent'),
    packagePath: './cmd/guest-agent',
    target: context.cache.guestAgent,
    version: agent.version,
    inputsHash: agent.inputsHash,
  });
}
