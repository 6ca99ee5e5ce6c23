/** A command's context without a process: streams that can be read, of a terminal or not. */
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { Context } from '../context.ts';

export interface TestContext {
  readonly context: Context;
  /** Everything written so far and from now on, to the end of the stream. */
  readonly ended: () => Promise<{ readonly stdout: string; readonly stderr: string }>;
}

export function testContext(
  env: Readonly<Record<string, string>> = {},
  terminal: { readonly isTTY?: true; readonly columns?: number } = {},
): TestContext {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  Object.assign(stdout, terminal);
  Object.assign(stderr, terminal);
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const before = signals.map((signal) => process.listeners(signal));
  const noun = { plural: 'machines', listing: 'flotilla ls' };
  const context = new Context(
    { FLOTILLA_STATE_DIR: '/nonexistent', FLOTILLA_PROFILE: '/nonexistent', ...env },
    { stdin, stdout, stderr },
    noun,
  );
  onTestFinished(() => {
    for (const [index, signal] of signals.entries()) {
      const ours = process.listeners(signal).filter((listener) => !before[index]?.includes(listener));
      for (const listener of ours) process.off(signal, listener);
    }
  });
  const ended = async () => {
    stdout.end();
    stderr.end();
    return { stdout: await text(stdout), stderr: await text(stderr) };
  };
  return { context, ended };
}
