/** Runs a server in a separate process, so that it is measured with its own heap and event loop. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { AppError } from '../src/core/errors.ts';
import { abortable, deadline } from '../src/lib/abort.ts';

const startTimeoutMs = 60_000;
const stopTimeoutMs = 20_000;
/** Bound on the output searched for the ready line. */
const outputCharactersMax = 64 * 1024;

export interface ServerProcess {
  readonly pid: number;
  /** The line that `isReady` accepted. */
  readonly readyLine: string;
  /** Sends SIGTERM, then SIGKILL if the process does not exit. */
  close(): Promise<void>;
}

/**
 * Runs a program under this Node until it prints a line that `isReady` accepts. The program leads its own
 * process group, so that Ctrl-C reaches only the bench, which then ends its servers in order. Raises
 * `unavailable` or the signal's reason.
 */
export async function startServer(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  isReady: (line: string) => boolean,
  signal: AbortSignal,
): Promise<ServerProcess> {
  signal.throwIfAborted();
  const child = spawn(process.execPath, [...args], {
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const ended = exited.then(([code]) => {
    throw new AppError('unavailable', `the bench server exited with ${code} before it listened`);
  });
  const late = () => new AppError('timeout', 'the bench server did not listen in time');
  const limit = deadline(startTimeoutMs, late, signal);
  try {
    const readyLine = await abortable(Promise.race([lineFrom(child, isReady), ended]), limit.signal);
    ended.catch(() => undefined);
    return { pid: child.pid ?? -1, readyLine, close: () => stop(child, exited) };
  } catch (error) {
    ended.catch(() => undefined);
    await stop(child, exited);
    throw error;
  } finally {
    limit.clear();
  }
}

/** Later output is read and dropped, so that the pipe never fills. */
function lineFrom({ stdout }: ChildProcess, isReady: (line: string) => boolean): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  if (stdout === null) return Promise.reject(new AppError('internal', 'the bench server has no output pipe'));
  let text = '';
  const onData = (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-outputCharactersMax);
    const line = text.split('\n').slice(0, -1).find(isReady);
    if (line === undefined) return;
    stdout.off('data', onData);
    stdout.resume();
    resolve(line);
  };
  stdout.on('data', onData).once('error', reject);
  return promise;
}

async function stop(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
  await exited;
  clearTimeout(timer);
}
