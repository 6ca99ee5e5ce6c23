/** Scripts for machines: what reaches the guest or the engine, and what each end of a script becomes. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { AppError } from '../errors.ts';
import type { ExecEvent, ExecRequest, GuestLink } from '../ports/guest.ts';
import type { ScriptEngine, ScriptRequest, ScriptResult } from '../ports/scripts.ts';
import { type ScriptOrder, scriptOutputBytesMax } from './service.ts';

const tenant = 'default';
const never = new AbortController().signal;
const bytes = (text: string) => new TextEncoder().encode(text);
const out = (text: string): ExecEvent => ({ type: 'stdout', data: bytes(text) });
const err = (text: string): ExecEvent => ({ type: 'stderr', data: bytes(text) });
const exited = (exitCode: number): ExecEvent => ({
  type: 'outcome',
  outcome: { outcome: 'exited', exitCode },
});

const printed: ScriptResult = { output: 'hello\n', isOutputTruncated: false, result: 42, error: null };

/** An engine that answers as it is told. */
class ToldEngine implements ScriptEngine {
  readonly requests: ScriptRequest[] = [];
  answer: (signal: AbortSignal) => Promise<ScriptResult> = async () => printed;

  async run(request: ScriptRequest, signal: AbortSignal): Promise<ScriptResult> {
    this.requests.push(request);
    return this.answer(signal);
  }

  async close(): Promise<void> {}
}

let engine: ToldEngine;
let fake: FakeFlotilla;
let asked: ExecRequest[];
beforeEach(async () => {
  engine = new ToldEngine();
  fake = await startFake({ scriptEngine: engine });
  fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128 });
  await fake.machines.start(tenant, 'web');
  asked = [];
  const link: GuestLink = fake.guest;
  const { exec } = fake.guest;
  link.exec = async (_, request) => {
    asked.push(request);
    return exec.call(fake.guest);
  };
});
afterEach(() => fake.close());

const order = (changes: Partial<ScriptOrder> = {}): ScriptOrder => ({
  ...{ language: 'sh', code: 'true', timeoutMs: 5_000, scope: {} },
  ...changes,
});
const run = (changes: Partial<ScriptOrder> = {}, signal = never) =>
  fake.scripts.run(tenant, 'web', order(changes), signal);
/** The end of a script in the guest that does this. */
async function ended(...events: readonly ExecEvent[]) {
  fake.guest.events = events;
  return run();
}

describe('a script in the guest', () => {
  test.each([
    ['sh', ['sh', '-c']],
    ['bash', ['bash', '-c']],
    ['python', ['python3', '-c']],
    ['node', ['node', '-e']],
  ] as const)('in %s is the last argument of its interpreter, whatever it holds', async (language, argv) => {
    const code = `$0 "'; exit 1; # \n ü`;
    await run({ language, code, timeoutMs: 1_500 });
    expect(asked).toEqual([{ argv: [...argv, code], timeoutMs: 1_500 }]);
    expect(engine.requests).toEqual([]);
  });

  test('that succeeds has both streams', async () => {
    expect(await ended(out('a'), err('x'), out('b\n'), exited(0))).toEqual({
      ...{ id: expect.stringMatching(/^[a-z0-9]{12}$/), status: 'completed', result: null },
      ...{ stdout: 'ab\n', stderr: 'x', isTruncated: false, exitCode: 0, signal: null, error: null },
      durationMs: expect.any(Number),
    });
  });

  test.each([
    ['its exit code', [exited(3)], 'failed', 3, null, 'exit code 3'],
    [
      'the last line it complained with',
      [err('one\ntwo\n\n'), exited(1)],
      'failed',
      1,
      null,
      'exit code 1: two',
    ],
    [
      'the signal that ended it',
      [{ type: 'outcome', outcome: { outcome: 'signalled', signal: 'KILL' } }],
      ...(['failed', null, 'KILL', 'ended by signal KILL'] as const),
    ],
    [
      'its time limit',
      [out('begun'), { type: 'outcome', outcome: { outcome: 'timed_out' } }],
      ...(['timeout', null, null, 'Script execution timed out after 5s'] as const),
    ],
  ] as const)('that does not says %s', async (_, events, status, exitCode, signal, error) => {
    expect(await ended(...(events as readonly ExecEvent[]))).toMatchObject({
      status,
      exitCode,
      signal,
      error,
    });
  });

  test.each([
    [
      'says that it was lost',
      [{ type: 'outcome', outcome: { outcome: 'unknown', reason: 'it is gone' } }],
      'it is gone',
    ],
    ['says nothing', [out('half')], 'the guest did not say how it ended'],
  ] as const)('whose guest %s is an error, because nobody knows how it ended', async (_, events, reason) => {
    await expect(ended(...(events as readonly ExecEvent[]))).rejects.toMatchObject({
      ...{ code: 'guest', isMaybeDone: true, hint: expect.stringContaining(reason) },
    });
  });

  test('keeps the beginning of each stream', async () => {
    const large = 'x'.repeat(scriptOutputBytesMax);
    const whole = await ended(out(large), exited(0));
    expect([whole.stdout.length, whole.isTruncated]).toEqual([scriptOutputBytesMax, false]);
    const cut = await ended(out('x'), err(large), err('more'), exited(0));
    expect([cut.stdout, cut.stderr.length, cut.isTruncated]).toEqual(['x', scriptOutputBytesMax, true]);
    // Half a character is not one.
    const half = await ended(out(`${'x'.repeat(scriptOutputBytesMax - 1)}ü`), exited(0));
    expect([half.stdout.at(-1), half.isTruncated]).toEqual(['\ufffd', true]);
  });

  test('needs a running guest, and is for the tenant’s own machines', async () => {
    await expect(fake.scripts.run('other', 'web', order(), never)).rejects.toMatchObject({
      code: 'not_found',
    });
    await fake.machines.pause(tenant, 'web');
    await expect(run()).rejects.toMatchObject({
      code: 'conflict',
      details: { action: 'exec', state: 'paused' },
    });
    expect(asked).toEqual([]);
  });

  test.each([
    [
      'is longer than an argument may be',
      'x'.repeat(131_072),
      'code must have at most 131071 bytes, not 131072',
    ],
    ['is longer in bytes', 'ü'.repeat(65_536), 'code must have at most 131071 bytes, not 131072'],
    ['has a NUL', 'a\0b', 'code must not contain NUL'],
  ])('that %s is refused before the guest sees it', async (_, code, message) => {
    await expect(run({ code })).rejects.toMatchObject({ code: 'invalid', message });
    expect(asked).toEqual([]);
  });
});

describe('a command', () => {
  test('ends like a script', async () => {
    fake.guest.events = [out('6.1\n'), exited(0)];
    const request = { argv: ['uname', '-r'], timeoutMs: 1_000, cwd: '/tmp' };
    expect(await fake.scripts.command(tenant, 'web', request, never)).toEqual({
      ...{ status: 'completed', stdout: '6.1\n', stderr: '', isTruncated: false, exitCode: 0, signal: null },
      ...{ error: null, durationMs: expect.any(Number) },
    });
    expect(asked).toEqual([request]);
  });
});

describe('a script in Rhai', () => {
  const rhai = (changes: Partial<ScriptOrder> = {}, signal = never) =>
    run({ language: 'rhai', code: '40 + 2', ...changes }, signal);
  const failing = (error: ScriptResult['error']) => {
    engine.answer = async () => ({ ...printed, result: null, error });
    return rhai();
  };

  test('runs on the host, with its constants, functions and limits', async () => {
    const [scope, functions] = [{ vm_name: 'web' }, { vm_status: 'running' }];
    expect(await rhai({ scope, functions, timeoutMs: 30_000 })).toMatchObject({
      ...{ status: 'completed', result: 42, stdout: 'hello\n', stderr: '', exitCode: 0, error: null },
    });
    expect(engine.requests).toEqual([
      {
        ...{ code: '40 + 2', scope, functions },
        limits: {
          ...{ operationsMax: 100_000, stringBytesMax: 1_048_576, outputBytesMax: scriptOutputBytesMax },
          timeoutMs: 30_000,
        },
      },
    ]);
    expect(asked).toEqual([]);
  });

  test('needs no running guest, but a machine of the tenant', async () => {
    await fake.machines.stop(tenant, 'web');
    expect((await rhai()).status).toBe('completed');
    const lost = fake.scripts.run('other', 'web', order({ language: 'rhai' }), never);
    await expect(lost).rejects.toMatchObject({ code: 'not_found' });
  });

  test.each([
    [
      { kind: 'script', message: 'no such variable', line: 2, column: 5 },
      'failed',
      1,
      'no such variable (line 2, column 5)',
    ],
    [{ kind: 'script', message: 'it is wrong', line: 2, column: null }, 'failed', 1, 'it is wrong (line 2)'],
    [
      { kind: 'limit', message: 'too many operations', line: null, column: null },
      'failed',
      1,
      'too many operations',
    ],
    [
      { kind: 'timeout', message: 'killed', line: null, column: null },
      'timeout',
      null,
      'Script execution timed out after 5s',
    ],
  ] as const)('that fails is a result: %j', async (failure, status, exitCode, error) => {
    expect(await failing(failure)).toMatchObject({
      status,
      exitCode,
      error,
      result: null,
      stdout: 'hello\n',
    });
  });

  test('ends with its caller, and passes on what the engine refuses', async () => {
    engine.answer = (signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const caller = new AbortController();
    const running = rhai({}, caller.signal);
    await expect.poll(() => engine.requests.length).toBe(1);
    caller.abort(new AppError('unavailable', 'the client has gone'));
    await expect(running).rejects.toMatchObject({ code: 'unavailable' });
    engine.answer = () => Promise.reject(new AppError('exhausted', 'too many scripts are waiting'));
    await expect(rhai()).rejects.toMatchObject({ code: 'exhausted' });
  });

  test.each([
    ['x'.repeat(1_048_577), 'code must have at most 1048576 bytes, not 1048577'],
    ['1\0', 'code must not contain NUL'],
  ])('is refused before it runs: %#', async (code, message) => {
    await expect(rhai({ code })).rejects.toMatchObject({ code: 'invalid', message });
    expect(engine.requests).toEqual([]);
  });

  test('is refused in words where there is no engine', async () => {
    await fake.close();
    fake = await startFake();
    await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128 });
    await expect(rhai()).rejects.toMatchObject({
      code: 'unsupported',
      message: 'this daemon runs no Rhai scripts',
    });
  });
});
