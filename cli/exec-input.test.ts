import { PassThrough } from 'node:stream';
import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FlotillaError } from '../sdk/src/index.ts';
import type { Context } from './context.ts';
import { type Feeding, feed, piecesOf } from './exec-input.ts';

interface Write {
  readonly pieces: string[];
  readonly end: boolean;
  isOver: boolean;
}

let writes: Write[];
let failures: unknown[];
let stdin: PassThrough;
let abort: AbortController;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  [writes, failures] = [[], []];
  stdin = new PassThrough();
  abort = new AbortController();
});
afterEach(() => vi.useRealTimers());

/** Takes each request's body to its end, or fails as the test says. */
async function write(
  _: string,
  __: string,
  data: AsyncIterable<Uint8Array>,
  options: { readonly end?: boolean },
) {
  const seen: Write = { pieces: [], end: options.end === true, isOver: false };
  writes.push(seen);
  for await (const piece of data) {
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
    seen.pieces.push(Buffer.from(piece).toString());
  }
  seen.isOver = true;
}

const feeding = (options: Partial<Feeding> = {}) => {
  const context = { patientClient: { execs: { write } } } as unknown as Context;
  const { signal } = abort;
  const rest = { machine: 'web', exec: 'e', isEnded: true, isLossy: false, signal };
  return feed(context, piecesOf(stdin, signal), { ...rest, ...options });
};

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await turnOfLoop();
}

async function typed(text: string): Promise<void> {
  stdin.write(text);
  await settled();
}

const unreachable = new FlotillaError({ status: 0, code: 'UNREACHABLE', message: 'cannot reach it' });

test('one request carries what comes without a long pause, the next one the rest; the end is told once', async () => {
  const done = feeding();
  await typed('a');
  await typed('b');
  expect(writes).toEqual([{ pieces: ['a', 'b'], end: false, isOver: false }]);
  await vi.advanceTimersByTimeAsync(20_000);
  await settled();
  expect(writes[0]?.isOver).toBe(true);
  await typed('c');
  stdin.end();
  await done;
  expect(writes.map(({ pieces, end }) => [pieces.join(''), end])).toEqual([
    ['ab', false],
    ['c', false],
    ['', true],
  ]);
});

test('what is typed just when a pause has ended a request goes into the next one', async () => {
  const done = feeding();
  await typed('a');
  const passing = vi.advanceTimersByTimeAsync(20_000);
  stdin.write('b');
  await passing;
  await settled();
  stdin.end();
  await done;
  expect(writes.flatMap(({ pieces }) => pieces)).toEqual(['a', 'b']);
});

test('typed keys are dropped while the daemon cannot be reached, other input is not', async () => {
  failures = [unreachable];
  const lossy = feeding({ isLossy: true, isEnded: false });
  await typed('lost');
  await typed('kept');
  stdin.end();
  await lossy;
  expect(writes.flatMap(({ pieces }) => pieces)).toEqual(['kept']);
  stdin = new PassThrough();
  failures = [unreachable];
  const whole = feeding();
  stdin.write('a');
  await expect(whole).rejects.toBe(unreachable);
});

test('a command that has ended takes no more, which is no failure; an abort has its reason', async () => {
  failures = [new FlotillaError({ status: 409, code: 'CONFLICT', message: 'it has ended' })];
  const done = feeding();
  stdin.write('a');
  await done;
  stdin = new PassThrough();
  const reason = new Error('enough');
  const aborted = feeding();
  abort.abort(reason);
  await expect(aborted).rejects.toBe(reason);
});
