/** A command's context without a process: streams that can be read, of a terminal or not. */
import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';
import { Context } from '../context.ts';

export interface TestContext {
  readonly context: Context;
  /** As if the process got SIGINT. */
  readonly interrupt: () => void;
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
  const signals = new EventEmitter();
  const noun = { plural: 'machines', listing: 'flotilla ls' };
  const context = new Context(
    {
      env: { FLOTILLA_STATE_DIR: '/nonexistent', FLOTILLA_PROFILE: '/nonexistent', ...env },
      ...{ stdin, stdout, stderr },
      onSignal: (signal, listener) => signals.on(signal, listener),
      exit: (code) => expect.unreachable(`the command ended the process with ${code}`),
    },
    { noun, help: 'flotilla test --help' },
  );
  const ended = async () => {
    stdout.end();
    stderr.end();
    return { stdout: await text(stdout), stderr: await text(stderr) };
  };
  return { context, ended, interrupt: () => signals.emit('SIGINT') };
}
