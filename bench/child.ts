/** A server in a process of its own, so that it is measured with a heap and an event loop that nobody else uses. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { AppError } from '../src/core/errors.ts';
import { abortable, deadline } from '../src/lib/abort.ts';

const startTimeoutMs = 60_000;
const stopTimeoutMs = 20_000;
/** The first lines of a server that starts; what says where it listens is among them. */
const outputCharactersMax = 64 * 1024;

export interface ServerProcess {
  readonly pid: number;
  /** The line that `isReady` waited for. */
  readonly readyLine: string;
  /** SIGTERM, and SIGKILL when that does not end it. */
  close(): Promise<void>;
}

/**
 * Runs a program under this Node until it prints a line that `isReady` accepts. It leads a process group of its own:
 * Ctrl-C is for the bench, which then ends what it started in order. Raises `unavailable` or the signal's reason.
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
    throw new AppError('unavailable', `a server of the bench ended with ${code} before it listened`);
  });
  const late = () => new AppError('timeout', 'a server of the bench did not listen in time');
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

/** What is printed afterwards is read and dropped. */
function lineFrom({ stdout }: ChildProcess, isReady: (line: string) => boolean): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  if (stdout === null) return Promise.reject(new AppError('internal', 'the server’s output is not read'));
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
