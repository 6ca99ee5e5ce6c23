/** Runs the daemon as a separate process, so that a test can kill it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { socketFetch } from '../../cli/patient-fetch.ts';
import { FlotillaClient } from '../../sdk/src/index.ts';
import type { OperationKind } from '../../src/core/operations/operation.ts';
import { leftovers, repository } from './host.ts';
import type { NewerCheckout } from './newer-checkout.ts';

export interface DaemonProcess {
  readonly pid: number;
  readonly url: string;
  /** Of the host role: where a TTstack controller asks it. */
  readonly agentUrl: string | null;
  /** The operator's key. */
  readonly key: string;
  readonly client: FlotillaClient;
  /** Resolves when the process has ended, whatever the cause. */
  readonly exited: Promise<unknown>;
  /** Sends SIGKILL. */
  kill(): Promise<void>;
  terminate(): Promise<void>;
}

/** A step record of an operation, at which the daemon is killed. */
export interface KillMoment {
  readonly kind: OperationKind;
  readonly step: string;
  readonly phase: 'started' | 'succeeded';
}

/** Makes a state directory. `remove` fails if anything but plain files is left in it. */
export async function makeStateDirectory(): Promise<{ readonly path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'f-'));
  return {
    path,
    async remove() {
      const left = await leftovers(path);
      await rm(path, { recursive: true });
      if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`);
    },
  };
}

/**
 * Runs `serve`, or a daemon that kills itself at the given moment (`killing-daemon.ts`). Resolves when it
 * listens.
 */
export async function startDaemonProcess(
  stateDir: string,
  killAt?: KillMoment,
  env: NodeJS.ProcessEnv = {},
): Promise<DaemonProcess> {
  // The same setting as the launcher's.
  const NODE_OPTIONS = `--max-semi-space-size=8 ${process.env.NODE_OPTIONS ?? ''}`;
  const args = killAt
    ? [join(repository, 'test/crash/killing-daemon.ts'), killAt.kind, killAt.step, killAt.phase]
    : [join(repository, 'src/main/cli.ts'), 'serve'];
  return run(stateDir, [process.execPath, ...args], { NODE_OPTIONS, ...env });
}

/** Runs `serve` of another checkout, with its own cache directory. Resolves when it listens. */
export function startDaemonOf(checkout: NewerCheckout, stateDir: string): Promise<DaemonProcess> {
  const args = [process.execPath, join(checkout.path, 'src/main/cli.ts'), 'serve'];
  return run(stateDir, args, { FLOTILLA_CACHE_DIR: checkout.cacheDir });
}

/** Runs `./flotilla serve`, as users do, with these variables. Resolves when it listens. */
export function launchDaemon(
  stateDir: string,
  env: NodeJS.ProcessEnv = {},
  args: readonly string[] = [],
): Promise<DaemonProcess> {
  return run(stateDir, [join(repository, 'flotilla'), 'serve', ...args], env);
}

/**
 * Like `launchDaemon`, in a network namespace of its own as on a host of its own. Its client talks over the operator's
 * socket, because the test is outside.
 */
export async function launchDaemonIn(
  netns: string,
  stateDir: string,
  env: NodeJS.ProcessEnv = {},
): Promise<DaemonProcess> {
  const daemon = await run(
    stateDir,
    ['nsenter', `--net=${netns}`, '--', join(repository, 'flotilla'), 'serve'],
    env,
  );
  return { ...daemon, client: clientInside(stateDir, daemon.url, daemon.key) };
}

/** A client of the daemon that `launchDaemonIn` has started, with another key. */
export function clientInside(stateDir: string, url: string, key: string): FlotillaClient {
  return new FlotillaClient({ url, key, fetch: socketFetch(join(stateDir, 'operator/api.sock')) });
}

async function run(
  stateDir: string,
  [program = '', ...args]: readonly string[],
  settings: NodeJS.ProcessEnv,
): Promise<DaemonProcess> {
  const env = { ...process.env, ...settings, FLOTILLA_STATE_DIR: stateDir, PORT: '0' };
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const isHost = args.includes('host');
  const [url = '', agentUrl = null] = await urlsLogged(child.stdout, exited, isHost ? 2 : 1);
  const key = (await readFile(join(stateDir, 'admin.key'), 'utf8')).trim();
  child.stdout.resume();
  return {
    pid: child.pid ?? -1,
    url,
    agentUrl,
    key,
    client: new FlotillaClient({ url, key }),
    exited,
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async terminate() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** Reads addresses from the log lines that the daemon writes when it listens. */
async function urlsLogged(
  output: AsyncIterable<Buffer>,
  exited: Promise<unknown>,
  count: number,
): Promise<readonly string[]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
  exited.then(() => reject(new Error('the daemon ended before it listened')));
  let text = '';
  const read = async () => {
    const iterator = output[Symbol.asyncIterator]();
    for (;;) {
      const { value, done } = await iterator.next();
      if (done) return;
      text += value.toString();
      const whole = text.split('\n').slice(0, -1);
      const lines = whole.filter((line) => /"msg":"listening\b/.test(line));
      if (lines.length < count) continue;
      return resolve(lines.map((line) => (JSON.parse(line) as { urls: string[] }).urls[0] ?? ''));
    }
  };
  read().catch(reject);
  return promise;
}
