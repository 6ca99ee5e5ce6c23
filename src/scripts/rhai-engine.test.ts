/** Rhai scripts in the real module and real threads: values, errors with their place, limits, and ends. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ScriptLimits, ScriptRequest, ScriptValue } from '../core/ports/scripts.ts';
import { RhaiEngine } from './rhai-engine.ts';

const limits: ScriptLimits = {
  operationsMax: 100_000,
  stringBytesMax: 1024 * 1024,
  outputBytesMax: 1024 * 1024,
  timeoutMs: 60_000,
};
const unlimited = { operationsMax: 100_000_000 };
const never = new AbortController().signal;

let engine: RhaiEngine;
beforeAll(() => {
  engine = new RhaiEngine();
});
afterAll(() => engine.close());

const requestOf = (
  code: string,
  { scope = {}, functions = {} }: Partial<ScriptRequest> = {},
  changed: Partial<ScriptLimits> = {},
): ScriptRequest => ({ code, scope, functions, limits: { ...limits, ...changed } });
const run = (code: string, given: Partial<ScriptRequest> = {}, changed: Partial<ScriptLimits> = {}) =>
  engine.run(requestOf(code, given, changed), never);

describe('values', () => {
  test.each<[code: string, result: ScriptValue]>([
    ['40 + 2', 42],
    ['7.0 / 2.0', 3.5],
    ['let s = "fleet"; s.to_upper() + "!"', 'FLEET!'],
    ['"größe".len', 5],
    ['[1, "two", true, (), #{ three: 3.5 }]', [1, 'two', true, null, { three: 3.5 }]],
    ['let sum = 0; for i in 0..10 { sum += i } sum', 45],
    ['fn fact(n) { if n < 2 { 1 } else { n * fact(n - 1) } } fact(10)', 3_628_800],
    ['let add = |a| |b| a + b; add.call(2).call(3)', 5],
    ['[3, 1, 2].filter(|n| n > 1).map(|n| n * n)', [9, 4]],
    ['switch 3 { 1 => "one", 3 => "three", _ => "other" }', 'three'],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    ['9007199254740993', '9007199254740993'],
    ['[9223372036854775807, -9223372036854775807]', ['9223372036854775807', '-9223372036854775807']],
    ['exit(7); 8', 7],
    ['', null],
    ['let x = 1;', null],
  ])('%s', async (code, result) => {
    expect(await run(code)).toEqual({ output: '', isOutputTruncated: false, result, error: null });
  });

  test('constants and functions of the scope', async () => {
    const given = {
      scope: { vm_state: 'running', vcpu_count: 2, memory_size: 268_435_456 },
      functions: { vm_status: 'running', get_metrics: { cpu: 0.5, disks: [1, 2] } },
    };
    const code = '[vm_state, vcpu_count * 2, memory_size, vm_status(), get_metrics().disks[1]]';
    expect(await run(code, given)).toMatchObject({ result: ['running', 4, 268_435_456, 'running', 2] });
  });

  test('a constant cannot be changed', async () => {
    const { error } = await run('let y = 1;\nvm_state = "stopped"', { scope: { vm_state: 'running' } });
    expect(error).toMatchObject({ kind: 'script', line: 2, message: expect.stringContaining('vm_state') });
  });

  test('what a script does to its values does not reach the next script', async () => {
    const given = { functions: { get_metrics: { cpu: 1 } } };
    expect(await run('let m = get_metrics(); m.cpu = 9; m.cpu', given)).toMatchObject({ result: 9 });
    expect(await run('get_metrics().cpu', given)).toMatchObject({ result: 1 });
  });
});

describe('output', () => {
  test('print and debug, in their order', async () => {
    const { output, result } = await run('print("one"); debug("two"); print(3); print(""); "end"');
    expect(output).toBe('one\n1:15 | "two"\n3\n\n');
    expect(result).toBe('end');
  });

  test('is kept when the script fails', async () => {
    expect(await run('print("before"); throw "no"')).toMatchObject({
      output: 'before\n',
      error: { kind: 'script', message: 'Runtime error: no', line: 1, column: 18 },
    });
  });

  test('beyond its limit is dropped, at a whole character', async () => {
    expect(await run('print("ab"); print("ü€"); print("more")', {}, { outputBytesMax: 6 })).toMatchObject({
      output: 'ab\nü',
      isOutputTruncated: true,
      error: null,
    });
    expect(await run('print("12345")', {}, { outputBytesMax: 6 })).toMatchObject({
      output: '12345\n',
      isOutputTruncated: false,
    });
  });
});

describe('errors', () => {
  test.each([
    ['let x = ;', 'script', 1, 9],
    ['let a = 1;\nlet b = a +\n  nope;', 'script', 3, 3],
    ['fn f() {\n  1 / 0\n}\nf()', 'script', 2, 5],
    ['missing(1)', 'script', 1, 1],
    ['let x = [1];\nx[5]', 'script', 2, 3],
  ] as const)('%j', async (code, kind, line, column) => {
    const { result, error } = await run(code);
    expect({ result, ...error }).toMatchObject({ result: null, kind, line, column });
    expect(error?.message).not.toMatch(/line \d+/);
  });

  test.each([
    'import "std" as s;',
    'eval("1 + 1")',
    'timestamp()',
    'sleep(1)',
    'sleep(0.5)',
    'open("/etc/passwd")',
  ])('%s is refused', async (code) => {
    expect((await run(code)).error).toMatchObject({ kind: 'script', line: 1 });
  });
});

describe('limits', () => {
  test('an endless loop ends at the operations', async () => {
    expect((await run('let i = 0; loop { i += 1; }')).error).toMatchObject({ kind: 'limit', line: 1 });
  });

  test('an endless loop is killed at the time limit, and keeps what it printed', async () => {
    const code = 'print("begun"); let s = "x"; s.pad(1000000, "y"); loop { s.to_upper(); }';
    expect(await run(code, {}, { ...unlimited, timeoutMs: 1500 })).toEqual({
      output: 'begun\n',
      isOutputTruncated: false,
      result: null,
      error: { kind: 'timeout', message: 'The script ran longer than 1.5 s', line: null, column: null },
    });
  });

  test.each([
    ['endless recursion', 'fn f(n) { f(n + 1) } f(0)'],
    ['a deeply nested expression', `${'('.repeat(2000)}1${')'.repeat(2000)}`],
    ['deeply nested brackets', '['.repeat(100_000)],
    ['an array of arrays', 'let a = []; for i in 0..5000 { a = [a]; } a'],
    ['a long string', 'let s = "x"; loop { s += s; }'],
    ['a padded string', 'let s = ""; s.pad(1000000000, "x")'],
    ['a padded array', 'let a = []; a.pad(1000000000, 1)'],
    ['many large strings', 'let a = []; loop { let s = "x"; s.pad(1000000, "y"); a.push(s); }'],
    ['a large result', 'let a = []; let s = "x"; s.pad(1000000, "y"); [s, s, s]'],
    ['many variables', `${Array.from({ length: 2000 }, (_, i) => `let v${i} = 1;`).join('')}`],
  ])('%s', async (_, code) => {
    const { error, result } = await run(code, {}, unlimited);
    expect(result).toBeNull();
    expect(error).toMatchObject({ kind: 'limit' });
    // The next script is not affected.
    expect(await run('1')).toMatchObject({ result: 1 });
  });

  test.each([
    { operationsMax: 0 },
    { timeoutMs: 300_001 },
    { stringBytesMax: 2 ** 21 },
    { outputBytesMax: 0.5 },
  ])('asking for %j is refused', async (changed) => {
    await expect(run('1', {}, changed)).rejects.toMatchObject({ code: 'invalid' });
  });

  test('a script longer than 1 MiB is refused', async () => {
    await expect(run(`"${'x'.repeat(2 ** 20)}"`)).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('ends', () => {
  const endless = requestOf('loop { }', {}, unlimited);

  test('an aborted script ends with the reason', async () => {
    const controller = new AbortController();
    const ended = engine.run(endless, controller.signal);
    controller.abort(new Error('the client has gone'));
    await expect(ended).rejects.toThrow('the client has gone');
  });

  test('scripts run at once, each with its own values', async () => {
    const results = await Promise.all([1, 2, 3, 4].map((n) => run('print(n); n * 10', { scope: { n } })));
    expect(results.map(({ output, result }) => [output, result])).toEqual([
      ['1\n', 10],
      ['2\n', 20],
      ['3\n', 30],
      ['4\n', 40],
    ]);
  });

  test('more than may wait are refused, and closing ends the others', async () => {
    const small = new RhaiEngine({ runningMax: 1, waitingMax: 1 });
    const endings = [small.run(endless, never), small.run(endless, never)].map((each) =>
      each.catch((error: { code: string }) => error.code),
    );
    await expect(small.run(endless, never)).rejects.toMatchObject({ code: 'exhausted' });
    await small.close();
    expect(await Promise.all(endings)).toEqual(['unavailable', 'unavailable']);
    await expect(small.run(endless, never)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test.each(['silent-worker.ts', 'failing-worker.ts'])('a thread that fails: %s', async (file) => {
    const broken = new RhaiEngine({ workerFile: new URL(`./testing/${file}`, import.meta.url) });
    await expect(broken.run(requestOf('1'), never)).rejects.toMatchObject({ code: 'internal' });
    await broken.close();
  });

  test('a module that cannot be loaded', async () => {
    const broken = new RhaiEngine({ moduleFile: new URL('./rhai-engine.ts', import.meta.url) });
    await expect(broken.run(requestOf('1'), never)).rejects.toMatchObject({ code: 'internal' });
    await broken.close();
  });
});
