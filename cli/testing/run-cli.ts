/** The command line, as a process of its own or within the test's. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { runCommandLine } from '../command-line.ts';

const pipeBytes = 64 * 1024;
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
  const child = spawn(process.execPath, ['--', main, ...args], { env: environment(options) });
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

/** Runs the command line as a process to its end. */
export function runCliProcess(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(args, options).done;
}

/**
 * Runs the command line in the test's process, because a process takes a hundred times as long as most commands. What
 * `main.ts` alone does is not tested by it: reading the arguments, signals, and pipes that break.
 */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const stdin = Readable.from(piecesOf(options.stdin ?? new Uint8Array()));
  const printed = [buffer(stdout), buffer(stderr)] as const;
  const code = await runCommandLine(args, {
    ...{ env: environment(options), stdin, stdout, stderr },
    onSignal: () => undefined,
    exit(code) {
      throw new Error(`the command ended the process with ${code}`);
    },
  });
  stdout.end();
  stderr.end();
  return { code, stdout: await printed[0], stderr: (await printed[1]).toString() };
}

function environment({ env }: CliOptions): Readonly<Record<string, string>> {
  return {
    PATH: process.env.PATH ?? '',
    HOME: '/nonexistent',
    FLOTILLA_STATE_DIR: '/nonexistent',
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? '',
    ...env,
  };
}

/** As a pipe passes them on. */
function* piecesOf(bytes: Uint8Array): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += pipeBytes) yield Buffer.from(bytes.subarray(at, at + pipeBytes));
}
