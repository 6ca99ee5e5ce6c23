/** Runs the daemon as a separate process, so that a test can kill it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FlotillaClient } from '../../sdk/src/index.ts';
import type { OperationKind } from '../../src/core/operations/operation.ts';
import { leftovers, repository } from './host.ts';

export interface DaemonProcess {
  readonly pid: number;
  readonly url: string;
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
export async function startDaemonProcess(stateDir: string, killAt?: KillMoment): Promise<DaemonProcess> {
  // The same setting as the launcher's.
  const NODE_OPTIONS = `--max-semi-space-size=8 ${process.env.NODE_OPTIONS ?? ''}`;
  const env = { ...process.env, NODE_OPTIONS, FLOTILLA_STATE_DIR: stateDir, PORT: '0' };
  const args = killAt
    ? [join(repository, 'test/crash/killing-daemon.ts'), killAt.kind, killAt.step, killAt.phase]
    : [join(repository, 'src/main/cli.ts'), 'serve'];
  const child = spawn(process.execPath, args, {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const url = await listeningUrl(child.stdout, exited);
  const key = (await readFile(join(stateDir, 'admin.key'), 'utf8')).trim();
  child.stdout.resume();
  return {
    pid: child.pid ?? -1,
    url,
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

/** Reads the address from the log line that the daemon writes when it listens. */
async function listeningUrl(output: AsyncIterable<Buffer>, exited: Promise<unknown>): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  exited.then(() => reject(new Error('the daemon ended before it listened')));
  let text = '';
  const read = async () => {
    const iterator = output[Symbol.asyncIterator]();
    for (;;) {
      const { value, done } = await iterator.next();
      if (done) return;
      text += value.toString();
      const line = text.split('\n').find((each) => each.includes('"listening"'));
      if (line) return resolve((JSON.parse(line) as { urls: string[] }).urls[0] ?? '');
    }
  };
  read().catch(reject);
  return promise;
}
