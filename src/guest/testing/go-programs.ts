/** Builds and runs the real Go programs of the guest agent for tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../lib/process.ts';

const sources = join(import.meta.dirname, '../../../guest-agent');
const buildTimeoutMs = 300_000;

/** Go's archive unpacks to /usr/local/go, which is rarely on PATH. */
const go = existsSync('/usr/local/go/bin/go') ? '/usr/local/go/bin/go' : 'go';

/** Programs of `guest-agent/cmd`, built into a temporary directory and run as children on unix sockets. */
export class GoPrograms {
  readonly #directory: string;
  readonly #children = new Set<ChildProcess>();
  #sockets = 0;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async build(program: string): Promise<GoPrograms> {
    const directory = await mkdtemp(join(tmpdir(), 'flotilla-go-'));
    const env = { ...process.env, CGO_ENABLED: '0' };
    await run(go, ['build', '-trimpath', '-o', directory, `./cmd/${program}`], {
      cwd: sources,
      env,
      timeoutMs: buildTimeoutMs,
    });
    return new GoPrograms(directory);
  }

  /** Starts a program that listens on a socket; resolves when it does. `makeArgs` gets the socket's path. */
  async start(program: string, makeArgs: (path: string) => string[]): Promise<RunningProgram> {
    this.#sockets += 1;
    const path = join(this.#directory, `${this.#sockets}.sock`);
    const child = spawn(join(this.#directory, program), makeArgs(path), {
      stdio: 'ignore',
      // Where the commands it runs are searched.
      env: { PATH: '/usr/bin:/bin' },
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    await once(child, 'spawn');
    await listening(path, child);
    return { path, child, stop: () => ended(child, 'SIGTERM') };
  }

  /** Ends all started programs and removes the build. */
  async close(): Promise<void> {
    await Promise.all([...this.#children].map((child) => ended(child, 'SIGKILL')));
    await rm(this.#directory, { recursive: true, force: true });
  }
}

export interface RunningProgram {
  readonly path: string;
  readonly child: ChildProcess;
  /** Sends SIGTERM and waits for the exit. Idempotent. */
  stop(): Promise<void>;
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
}

/** Retries until a connection is accepted, because the program does not report when it listens. */
async function listening(path: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const socket = connect({ path });
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      socket.destroy();
    }
  }
  throw new Error(`exited with ${child.exitCode} before it listened`);
}
