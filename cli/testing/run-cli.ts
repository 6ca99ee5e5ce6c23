/** The command line as a child process of the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly done: Promise<CliResult>;
  /** Resolves when stderr so far matches. */
  readonly stderrSays: (pattern: RegExp) => Promise<void>;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: Uint8Array;
  /** Leaves stdout for the test to read. */
  readonly unread?: boolean;
}

/** Starts the command line as the launcher does, with nothing of our environment but what it needs; killed when the test ends before it. */
export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  const env = { PATH: process.env.PATH ?? '', HOME: '/nonexistent', FLOTILLA_STATE_DIR: '/nonexistent' };
  const child = spawn(process.execPath, ['--', main, ...args], { env: { ...env, ...options.env } });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  // The child may have ended without reading it.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const stderrSays = async (pattern: RegExp) => {
    while (!pattern.test(stderr)) await once(child.stderr, 'data');
  };
  const exit = once(child, 'close');
  const stdout = options.unread ? Promise.resolve(Buffer.alloc(0)) : buffer(child.stdout);
  const done = Promise.all([stdout, exit]).then(([bytes, [code]]) => ({ code, stdout: bytes, stderr }));
  return { child, done, stderrSays };
}

export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(args, options).done;
}
