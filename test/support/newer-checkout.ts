/**
 * A checkout of a newer version, made of this one's sources, and a cache in which its `setup` has built its
 * guest agent and boot kit: what an operator has after `git pull` and `./flotilla setup`.
 */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../../src/main/config.ts';
import { repository, runCommand } from './host.ts';

export interface NewerCheckout {
  readonly path: string;
  readonly cacheDir: string;
  readonly version: string;
  remove(): Promise<void>;
}

/** What the daemon and set-up use of a checkout. */
const copied = [
  ...['src', 'cli', 'sdk', 'guest-agent', 'image-builder', 'guest-sftp', 'launch-shim', 'script-engine'],
  ...['docs', 'openapi', 'flotilla', 'package-lock.json', 'tsconfig.json'],
];

export async function makeNewerCheckout(version: string): Promise<NewerCheckout> {
  const parent = await mkdtemp(join(tmpdir(), 'newer-'));
  const [path, cacheDir] = [join(parent, 'checkout'), join(parent, 'cache')];
  const filter = (source: string) => !source.endsWith('/node_modules');
  for (const name of copied) await cp(join(repository, name), join(path, name), { recursive: true, filter });
  await symlink(join(repository, 'node_modules'), join(path, 'node_modules'));
  const manifest = JSON.parse(await readFile(join(repository, 'package.json'), 'utf8'));
  await writeFile(join(path, 'package.json'), JSON.stringify({ ...manifest, version }));
  // Hard links, because images are large; set-up replaces files and changes none.
  const links = await runCommand('cp', ['-al', readConfig(process.env).cacheDir, cacheDir], {
    env: process.env,
  });
  if (links.exitCode !== 0) throw new Error(`the cache was not copied: ${links.stderr}`);
  const env = { ...process.env, FLOTILLA_CACHE_DIR: cacheDir };
  const setup = ['src/main/cli.ts', 'setup'];
  const made = await runCommand(process.execPath, setup, { env, cwd: path, timeoutMs: 300_000 });
  if (made.exitCode !== 0) throw new Error(`setup of the newer version failed: ${made.stderr}`);
  return { path, cacheDir, version, remove: () => rm(parent, { recursive: true }) };
}
