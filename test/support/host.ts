/**
 * A complete Flotilla for tests: a real daemon in this process, with its own state directory and real
 * machines.
 */
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FlotillaClient } from '../../sdk/src/index.ts';
import { type Logger, silentLog } from '../../src/lib/log.ts';
import { isAlive, readProcessStat } from '../../src/lib/procfs.ts';
import { type Config, readConfig } from '../../src/main/config.ts';
import { type Daemon, startDaemon } from '../../src/main/serve.ts';

export const repository = join(import.meta.dirname, '..', '..');

export interface TestHost {
  readonly config: Config;
  readonly url: string;
  readonly key: string;
  readonly client: FlotillaClient;
  readonly daemon: Daemon;
  /** Environment in which `./flotilla` reaches this daemon. */
  readonly env: NodeJS.ProcessEnv;
  /** Deletes the machines, ends the daemon, fails if anything is left, removes the state directory. */
  close(): Promise<void>;
}

export interface TestHostOptions {
  /**
   * Parent of the state directory; default: the temporary directory. Keep it short, because unix sockets live
   * below it.
   */
  readonly parent?: string;
  readonly log?: Logger;
}

export async function startTestHost(
  env: NodeJS.ProcessEnv = {},
  { parent = tmpdir(), log = silentLog }: TestHostOptions = {},
): Promise<TestHost> {
  const stateDir = await mkdtemp(join(parent, 'f-'));
  // The VMMs' users must be able to pass through.
  await chmod(stateDir, 0o711);
  const config = readConfig({ ...process.env, PORT: '0', ...env, FLOTILLA_STATE_DIR: stateDir });
  const daemon = await startDaemon(config, log);
  const [url] = daemon.urls;
  if (!url) throw new Error('the daemon has no address');
  const key = (await readFile(join(stateDir, 'admin.key'), 'utf8')).trim();
  const client = new FlotillaClient({ url, key });
  return {
    config,
    url,
    key,
    client,
    daemon,
    env: { ...process.env, FLOTILLA_STATE_DIR: stateDir, FLOTILLA_URL: url, FLOTILLA_KEY: key },
    async close() {
      const { machines } = await client.machines.list({ limit: 1000 });
      for (const { id } of machines) await client.machines.delete(id, { force: true });
      await daemon.close();
      const left = await leftovers(stateDir);
      await rm(stateDir, { recursive: true });
      if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
    },
  };
}

/**
 * Finds what no machine owns any more: run directories, disks, processes whose arguments name the state
 * directory.
 */
export async function leftovers(stateDir: string): Promise<readonly string[]> {
  const left: string[] = [];
  for (const directory of ['run', 'disks']) {
    for (const entry of await readdir(join(stateDir, directory)).catch(() => []))
      left.push(join(directory, entry));
  }
  for (const { pid, command } of await processesNaming(`${stateDir}/`)) {
    left.push(`process ${pid}: ${command.split('\0')[0]}`);
  }
  return left;
}

/** Running processes whose command line contains the text. */
export async function processesNaming(
  text: string,
): Promise<readonly { readonly pid: number; readonly command: string }[]> {
  const found: { readonly pid: number; readonly command: string }[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const command = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    const stat = readProcessStat(Number(entry));
    if (command.includes(text) && stat && isAlive(stat)) found.push({ pid: stat.pid, command });
  }
  return found;
}

export interface CommandResult {
  readonly exitCode: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs a program of the repository to its end. `onStart` gets a function that sends it a signal. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: {
    readonly env: NodeJS.ProcessEnv;
    readonly onOutput?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
    readonly timeoutMs?: number;
    /** Default: the repository. */
    readonly cwd?: string;
  },
): Promise<CommandResult> {
  const { promise, resolve, reject } = Promise.withResolvers<CommandResult>();
  const child = spawn(command, [...args], {
    cwd: options.cwd ?? repository,
    env: options.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 120_000);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    stdout.push(chunk);
    options.onOutput?.(chunk.toString(), (signal) => child.kill(signal));
  });
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.on('error', reject);
  child.on('close', (exitCode) => {
    clearTimeout(timer);
    resolve({ exitCode, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() });
  });
  return promise;
}
