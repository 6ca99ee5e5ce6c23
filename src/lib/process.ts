/** Runs child programs to their end: no shell, bounded output, always with a deadline. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Duplex, Readable, type Writable } from 'node:stream';
import { exposeToOom } from './oom.ts';

export interface RunOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /**
   * A stream that fails kills the program, and its error is thrown. A stream that the program does not read
   * to its end is destroyed.
   */
  readonly stdin?: string | Uint8Array | Readable;
  /**
   * Kills the program when this process ends, however it ends. The program must not fork. Needs `setpriv`.
   */
  readonly isBoundToUs?: boolean;
  /** Passed to the program as its descriptor 3. */
  readonly inheritFd?: number;
  /**
   * Synchronisation with the program over its descriptor 3: the program writes a line, `gate` is called with
   * its pid, and the program gets a line back when `gate` resolves. The program is killed when `gate`
   * rejects. Excludes `inheritFd`.
   */
  readonly gate?: (pid: number) => Promise<void>;
  /** Limit per stream; the oldest output is dropped. Default 1 MiB. */
  readonly outputBytesMax?: number;
  /** Called with each line of either stream, without its newline. */
  readonly onLine?: (line: string) => void;
  /** Called with the lines of standard error instead of `onLine`. */
  readonly onErrorLine?: (line: string) => void;
  /** Receives standard output with backpressure and is not ended. The result's `stdout` is then empty. */
  readonly output?: Writable;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that failed. `stderr` holds the end of its standard error. */
export class ProcessError extends Error {
  readonly command: string;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
  readonly isTimeout: boolean;
  /** The program is not installed. */
  readonly isMissing: boolean;

  constructor(fields: {
    command: string;
    exitCode: number | null;
    signal: NodeJS.Signals | null;
    stderr: string;
    isTimeout: boolean;
    isMissing: boolean;
    cause?: unknown;
  }) {
    const lastWords = fields.stderr.trim().split('\n').slice(-3).join(' | ');
    const how = fields.isMissing
      ? 'is not installed'
      : fields.isTimeout
        ? 'did not end in time'
        : fields.signal
          ? `was ended by ${fields.signal}`
          : `exited with ${fields.exitCode}`;
    super(`${fields.command} ${how}${lastWords ? `: ${lastWords}` : ''}`, { cause: fields.cause });
    this.name = 'ProcessError';
    this.command = fields.command;
    this.exitCode = fields.exitCode;
    this.signal = fields.signal;
    this.stderr = fields.stderr;
    this.isTimeout = fields.isTimeout;
    this.isMissing = fields.isMissing;
  }

  /** The same failure under the name of the program that was started indirectly. */
  as(command: string): ProcessError {
    const isMissing = this.isMissing || this.exitCode === missingExitCode;
    return new ProcessError({ ...this, command, isMissing, cause: this });
  }
}

/** The exit code of `setpriv`, as of shells, for a program that is not installed. */
const missingExitCode = 127;
/** How long to wait for more output after the program has exited. */
const pipesDrainMs = 1_000;
const boundToUs = ['--pdeathsig', 'KILL', '--'] as const;

class Tail {
  readonly #max: number;
  readonly #chunks: Buffer[] = [];
  #size = 0;

  constructor(max: number) {
    this.#max = max;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    while (this.#chunks.length > 1 && this.#size - (this.#chunks[0]?.length ?? 0) >= this.#max) {
      this.#size -= this.#chunks.shift()?.length ?? 0;
    }
  }

  text(): string {
    const all = Buffer.concat(this.#chunks);
    return all.subarray(Math.max(0, all.length - this.#max)).toString('utf8');
  }
}

function lineSplitter(onLine: (line: string) => void): (chunk: Buffer) => void {
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk.toString('utf8')).split(/[\r\n]+/);
    rest = (lines.pop() ?? '').slice(-4096);
    for (const line of lines) if (line) onLine(line);
  };
}

/**
 * Runs a program to its end. Rejects with ProcessError unless it exits 0. Kills its process group at the
 * deadline.
 */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
  const max = options.outputBytesMax ?? 1 << 20;
  const stdout = new Tail(max);
  const stderr = new Tail(max);
  let isTimeout = false;
  let inputFailure: { readonly error: unknown } | null = null;

  const spawnOptions: SpawnOptions = {
    stdio: [
      options.stdin === undefined ? 'ignore' : 'pipe',
      'pipe',
      'pipe',
      ...(options.gate ? ['pipe' as const] : []),
      ...(options.inheritFd === undefined ? [] : [options.inheritFd]),
    ],
    detached: true,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
  };
  const child = options.isBoundToUs
    ? spawn('setpriv', [...boundToUs, command, ...args], spawnOptions)
    : spawn(command, [...args], spawnOptions);
  if (child.pid !== undefined) exposeToOom(child.pid);
  const killGroup = () => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Already gone.
    }
  };
  const timer = setTimeout(() => {
    isTimeout = true;
    killGroup();
  }, options.timeoutMs);
  const onAbort = () => killGroup();
  // A descendant that left the group may keep the pipes open for ever; only the program's own exit counts.
  let drainTimer: NodeJS.Timeout | undefined;
  const onExit = () => {
    drainTimer = setTimeout(() => {
      // With `output`, backpressure may delay the rest; read it to the end.
      if (!options.output) child.stdout?.destroy();
      child.stderr?.destroy();
    }, pipesDrainMs);
  };
  options.signal?.addEventListener('abort', onAbort, { once: true });
  if (options.signal?.aborted) onAbort();

  const settle = (exitCode: number | null, signal: NodeJS.Signals | null, cause?: unknown) => {
    clearTimeout(timer);
    clearTimeout(drainTimer);
    options.signal?.removeEventListener('abort', onAbort);
    if (options.stdin instanceof Readable) options.stdin.destroy();
    if (options.signal?.aborted) return reject(options.signal.reason);
    if (inputFailure) return reject(inputFailure.error);
    if (exitCode === 0 && !isTimeout) return resolve({ stdout: stdout.text(), stderr: stderr.text() });
    const isMissing =
      (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT' ||
      (options.isBoundToUs === true && exitCode === missingExitCode);
    reject(
      new ProcessError({ command, exitCode, signal, stderr: stderr.text(), isTimeout, isMissing, cause }),
    );
  };
  if (options.output) pipeOut(child, options.output);
  else child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  const onErrorLine = options.onErrorLine ?? options.onLine;
  if (options.onLine) child.stdout?.on('data', lineSplitter(options.onLine));
  if (onErrorLine) child.stderr?.on('data', lineSplitter(onErrorLine));
  const fail = (error: unknown) => {
    inputFailure ??= { error };
    killGroup();
  };
  if (options.gate) passGate(child, options.gate).catch(fail);
  // A program may exit without reading its input (EPIPE). Its exit code tells whether that was a failure.
  child.stdin?.on('error', () => undefined);
  if (options.stdin instanceof Readable) {
    options.stdin.on('error', fail);
    if (child.stdin) options.stdin.pipe(child.stdin);
  } else if (options.stdin !== undefined) child.stdin?.end(options.stdin);
  child.on('error', (error) => settle(null, null, error));
  child.on('exit', onExit);
  child.on('close', (code, signal) => settle(code, signal));
  return promise;
}

/** A program that exits before it writes reports the reason in its exit code. */
async function passGate(child: ChildProcess, gate: (pid: number) => Promise<void>): Promise<void> {
  const channel = child.stdio[3] as Duplex;
  channel.on('error', () => undefined);
  const hasWritten = await Promise.race([
    once(channel, 'data').then(() => true),
    once(channel, 'close').then(() => false),
  ]);
  if (!hasWritten || child.pid === undefined) return;
  await gate(child.pid);
  channel.end('\n');
}

/** When the reader is gone, drop the output; a full pipe would keep the program from exiting. */
function pipeOut({ stdout }: ChildProcess, output: Writable): void {
  stdout?.pipe(output, { end: false });
  output.once('close', () => stdout?.destroy());
}
