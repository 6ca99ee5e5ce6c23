/** The SDK as users get it: packed, and installed in an empty directory. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { version } from '../../src/main/version.ts';
import { repository } from './host.ts';

const execute = promisify(execFile);

/** Runs a program to its end and returns its output; rejects with `stdout` and `stderr` when it fails. */
export function runProgram(
  file: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly timeout: number },
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  // Otherwise npm and the compilers would leave a cache in the temporary directory.
  return execute(file, [...args], { ...options, env: { ...process.env, NODE_DISABLE_COMPILE_CACHE: '1' } });
}

export interface InstalledSdk extends AsyncDisposable {
  /** A directory whose `node_modules` contains only this package. */
  readonly directory: string;
  /** The installed package's directory. */
  readonly packageDirectory: string;
}

/** Packs a copy, so that tests do not share the package's output directory. */
export async function installSdk(): Promise<InstalledSdk> {
  const root = await mkdtemp(join(tmpdir(), 'sdk-'));
  const [source, directory] = [join(root, 'source'), join(root, 'user')];
  await mkdir(source);
  await mkdir(directory);
  for (const name of ['src', 'package.json', 'tsconfig.json', 'README.md']) {
    await cp(join(repository, 'sdk', name), join(source, name), { recursive: true });
  }
  await cp(join(repository, 'LICENSE'), join(root, 'LICENSE'));
  await symlink(join(repository, 'sdk', 'node_modules'), join(source, 'node_modules'));
  // The package's own build script must run, even if npm is configured to run none.
  await npm(source, 'pack', '--ignore-scripts=false', '--pack-destination', directory);
  await writeFile(join(directory, 'package.json'), '{"private":true,"type":"module"}');
  await npm(directory, 'install', '--offline', '--no-audit', '--no-fund', `./flotilla-sdk-${version}.tgz`);
  return {
    directory,
    packageDirectory: join(directory, 'node_modules', '@flotilla', 'sdk'),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true }),
  };
}

async function npm(cwd: string, ...args: readonly string[]): Promise<void> {
  await runProgram('npm', args, { cwd, timeout: 60_000 });
}
