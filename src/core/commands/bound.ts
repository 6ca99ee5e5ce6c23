/** Output of commands that the guest agent does not own: of older agents, and of programs that cannot be run. */
import type { ExecSession } from '../ports/guest.ts';
import type { OutputEvent } from './command.ts';

/** A command that ends with its reader. Iterate it, or return early, which ends the command. */
export function boundOutput(session: ExecSession): AsyncIterable<OutputEvent> {
  const offsets = { stdout: 0, stderr: 0 };
  const cursor = () => offsets.stdout + offsets.stderr;
  return {
    [Symbol.asyncIterator]() {
      // Not a generator, which would not end the command when it was never started.
      const inner = session[Symbol.asyncIterator]();
      return {
        async next() {
          const { done, value } = await inner.next();
          if (done) return { done: true, value: undefined };
          if (value.type === 'outcome') return { done: false, value: { ...value, cursor: cursor() } };
          const offset = offsets[value.type];
          offsets[value.type] += value.data.length;
          return { done: false, value: { ...value, offset, cursor: cursor() } };
        },
        async return() {
          await inner.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}

/** What a shell says of a program that it cannot find or run. */
export async function* neverRan(reason: string, exitCode: number): AsyncGenerator<OutputEvent> {
  const data = Buffer.from(`${reason}\n`);
  yield { type: 'stderr', data, offset: 0, cursor: data.length };
  yield { type: 'outcome', outcome: { outcome: 'exited', exitCode }, cursor: data.length };
}
