/**
 * Runs single tests in the copy of a checkout for `mutate.ts`, again and again in one process: starting vitest takes longer
 * than most of the tests. Each run loads all modules anew.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import type { TestReply, TestRequest } from './mutate-worker.ts';

export type Outcome = TestReply | { readonly kind: 'hanging' };

/** For one test run. A test that takes longer counts as hanging. */
export const timeoutMs = 180_000;

export class TestProcess {
  readonly #copy: string;
  #child: ChildProcess | null = null;
  #changed: string[] = [];

  /** In the copy that is this directory. */
  constructor(copy: string) {
    this.#copy = copy;
  }

  /** The next run reads this file anew. */
  changed(path: string): void {
    this.#changed.push(path);
  }

  /** Runs the tests of the file whose names match. */
  async run(which: { readonly file: string; readonly test: string }): Promise<Outcome> {
    const child = this.#child ?? this.#start();
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), timeoutMs);
    try {
      child.send({ ...which, changed: this.#changed.splice(0) } satisfies TestRequest);
      const ended = once(child, 'exit', { signal: over.signal });
      const [reply] = (await Promise.race([
        once(child, 'message', { signal: over.signal }),
        ended.then(() => [null]),
      ])) as [TestReply | null];
      ended.catch(() => undefined);
      if (reply !== null) return reply;
      this.#child = null;
      return { kind: 'did not run', output: 'the process with vitest ended' };
    } catch (error) {
      if (!over.signal.aborted) throw error;
      await this.close();
      return { kind: 'hanging' };
    } finally {
      clearTimeout(timer);
      over.abort();
    }
  }

  /** Ends the process and the tests in it. */
  async close(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    process.kill(-child.pid, 'SIGKILL');
    await exited;
  }

  #start(): ChildProcess {
    // A group of its own, so that it can be ended together with the processes of a test that hangs.
    const child = fork(join(import.meta.dirname, 'mutate-worker.ts'), [], {
      ...{ cwd: this.#copy, detached: true, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
      // The packages are the same files in every copy.
      env: { NODE_COMPILE_CACHE: join(dirname(import.meta.dirname), '.cache/node'), ...process.env },
    });
    this.#child = child;
    return child;
  }
}
