/** Builds a static Go program of this checkout into the cache. */
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { run } from '../lib/process.ts';
import type { SetupContext } from './context.ts';
import { recordFile } from './fingerprint.ts';
import { publish, withWorkspace } from './workspace.ts';

const buildMs = 15 * 60_000;

export interface GoProgram {
  /** The module's directory. */
  readonly sources: string;
  /** The package in it, such as `./cmd/guest-agent`. */
  readonly packagePath: string;
  /** Path of the binary; other files in that directory are removed. */
  readonly target: string;
  readonly version: string;
  /** Hash of sources and recipe. */
  readonly inputsHash: string;
}

/** Publishes the binary with a record `<name>.json` beside it; downloads only the modules of go.sum. */
export async function buildGoProgram(context: SetupContext, program: GoProgram): Promise<void> {
  const { sources, packagePath, target, version, inputsHash } = program;
  const isVendored = (await stat(join(sources, 'vendor')).catch(() => null)) !== null;
  const name = basename(target);
  await withWorkspace(context.cache, async (work) => {
    const built = join(work, name);
    await mkdir(built);
    const binary = join(built, name);
    const args = [
      'build',
      `-mod=${isVendored ? 'vendor' : 'readonly'}`,
      '-trimpath',
      '-buildvcs=false',
      '-ldflags',
      `-s -w -X main.version=${version}`,
      '-o',
      binary,
      packagePath,
    ];
    const env = {
      ...context.env,
      CGO_ENABLED: '0',
      GOOS: 'linux',
      GOARCH: 'amd64',
      GOFLAGS: '-modcacherw',
      GOTOOLCHAIN: 'local',
      GOWORK: 'off',
      GOCACHE: join(context.cache.root, 'go', 'build'),
      GOPATH: join(context.cache.root, 'go', 'path'),
    };
    await run('go', args, { cwd: sources, env, signal: context.signal, timeoutMs: buildMs });
    const record = { inputsHash, version, ...(await recordFile(binary)) };
    await writeFile(join(built, `${name}.json`), `${JSON.stringify(record, null, 2)}\n`);
    await publish(built, dirname(target));
  });
}
