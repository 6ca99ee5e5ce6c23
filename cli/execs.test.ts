/** Commands that outlive their caller, on a daemon without machines. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeApi } from './testing/fake-api.ts';
import { type CliOptions, type CliResult, runCli, startCli } from './testing/run-cli.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await FakeApi.start();
  api.add('web');
});
afterEach(() => api[Symbol.asyncDispose]());

const start = (args: readonly string[], options: CliOptions = {}) =>
  startCli(args, { ...options, env: { FLOTILLA_URL: api.url } });
const cli = (...args: string[]): Promise<CliResult> => runCli(args, { env: { FLOTILLA_URL: api.url } });
const out = async (...args: string[]) => (await cli(...args)).stdout.toString();
const command = (...words: string[]) => api.execs.start({ command: words });

describe('exec -d', () => {
  test('prints the id, and has no time limit unless one is given', async () => {
    expect(await cli('exec', '-d', 'web', 'hang')).toMatchObject({ code: 0, stderr: '' });
    expect(await out('exec', '-d', '--timeout', '9', '-e', 'A=1', '-w', '/', '-u', 'x', 'web', 'hang')).toBe(
      'exec00000001\n',
    );
    const bodies = api.execs.all.map(({ body }) => body);
    const options = { timeout: 9, env: { A: '1' }, cwd: '/', user: 'x' };
    expect(bodies).toEqual([
      { command: ['hang'], detach: true },
      { command: ['hang'], detach: true, ...options },
    ]);
  });

  test('with -it, the command has a terminal that can be attached to', async () => {
    await cli('exec', '-dit', 'web', 'shell');
    const tty = { rows: 24, columns: 80 };
    expect(api.execs.all[0]?.body).toMatchObject({ stdin_open: true, tty, env: { TERM: 'xterm' } });
  });
});

describe('execs', () => {
  test('lists the commands of a machine, as a table, ids, JSON or a template', async () => {
    command('exit', '3');
    command('hang');
    const table = await out('execs', 'web');
    expect(table).toMatch(/^ID +COMMAND +STATE +EXIT +STARTED +DURATION +OUTPUT +TTY\n/);
    expect(table).toMatch(/^exec00000000 +exit 3 +exited +3 +\d+d ago +3\.0s +0 B +no$/m);
    expect(table).toMatch(/^exec00000001 +hang +running +- /m);
    expect(await out('execs', '-q', 'web')).toBe('exec00000000\nexec00000001\n');
    expect(JSON.parse(await out('execs', 'ls', 'web', '--json'))).toMatchObject({ total: 2 });
    expect(await out('execs', 'web', '--format', '{{id}} {{state}}')).toContain('exec00000001 running\n');
  });

  test('of a machine without commands says how to start one', async () => {
    expect((await cli('execs', 'web')).stderr).toBe(
      'No commands in web; flotilla exec -d web CMD starts one\n',
    );
  });

  test('get shows one, by the beginning of its id', async () => {
    command('exit', '3');
    const shown = await out('execs', 'get', 'web', 'exec');
    expect(shown).toMatch(/^command +exit 3\nstate +exited\nexit code +3\n/m);
    expect(JSON.parse(await out('execs', 'get', 'web', 'exec', '--json'))).toMatchObject({ exit_code: 3 });
  });

  test('a beginning that several have, and one that none has, are refused in words', async () => {
    command('hang');
    command('hang');
    const hint = 'give more of it: exec00000000 \\(hang\\), exec00000001 \\(hang\\)';
    expect((await cli('execs', 'get', 'web', 'exec')).stderr).toMatch(new RegExp(hint, 'i'));
    expect(await cli('execs', 'kill', 'web', 'nope')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('nope: no command nope in web\nhint: flotilla execs web shows'),
    });
  });

  test('wait prints exit codes; kill sends a signal; rm wants -f for one that runs', async () => {
    command('exit', '3');
    command('hang');
    expect(await out('execs', 'wait', 'web', 'exec00000000')).toBe('3\n');
    expect(await cli('execs', 'rm', 'web', 'exec00000001')).toMatchObject({
      code: 1,
      stderr: 'error: exec00000001: it runs\nhint: flotilla execs rm -f kills it first\n',
    });
    expect(await out('execs', 'kill', '-s', 'int', 'web', 'exec00000001')).toBe('exec00000001\n');
    expect(api.log).toContain('signal exec00000001 {"signal":"INT"}');
    expect(await out('execs', 'wait', 'web', 'exec00000001')).toBe('130\n');
    expect(await out('execs', 'rm', 'web', 'exec00000000', 'exec00000001')).toBe(
      'exec00000000\nexec00000001\n',
    );
    expect(api.execs.all).toEqual([]);
  });

  test('logs prints what is kept; Ctrl-C while it follows does not affect the command', async () => {
    const exec = command('hang');
    expect(await out('execs', 'logs', 'web', exec.id)).toBe('ready\n');
    expect(await out('execs', 'logs', 'web', exec.id, '--from', '3')).toBe('dy\n');
    api.log.length = 0;
    const running = start(['execs', 'logs', '-f', 'web', exec.id]);
    await api.saw(/output$/);
    running.child.kill('SIGINT');
    expect(await running.done).toMatchObject({ code: 130, stderr: '' });
    expect(exec.outcome).toBe(null);
  });
});

describe('attach', () => {
  test('shows the output from the beginning, separates the streams, and exits with the command’s code', async () => {
    const exec = command('hang');
    const running = start(['attach', 'web']);
    await api.saw(/output$/);
    api.execs.print(exec, 'oops\n', 'stderr');
    api.execs.end(exec, { outcome: 'exited', exit_code: 42 });
    expect(await running.done).toEqual({ code: 42, stdout: Buffer.from('ready\n'), stderr: 'oops\n' });
  });

  test('says what is no longer kept, unless it was asked for', async () => {
    const exec = command('hang');
    api.execs.expire(exec);
    api.execs.print(exec, 'more');
    api.execs.end(exec, { outcome: 'exited', exit_code: 0 });
    expect(await cli('attach', 'web', exec.id)).toMatchObject({
      stdout: Buffer.from('more'),
      stderr: 'The first 6 bytes of output are no longer kept\n',
    });
    expect(await cli('attach', 'web', exec.id, '--from', '0')).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/from byte 0 on is no longer kept\nhint: --from 6 begins/),
    });
  });

  test('passes on the first Ctrl-C', async () => {
    command('hang');
    const running = start(['attach', 'web']);
    await api.saw(/output$/);
    running.child.kill('SIGINT');
    expect(await running.done).toMatchObject({
      code: 130,
      stderr: 'The command got Ctrl-C; once more leaves it running\n',
    });
    expect(api.log).toContain('signal exec00000000 {"signal":"INT"}');
  });

  test.each([
    ['--sig-proxy=false', 'SIGINT', 130],
    ['--stdin', 'SIGTERM', 143],
  ] as const)('with %s, %s leaves the command running', async (option, signal, code) => {
    const exec = command('hang');
    const running = start(['attach', option === '--stdin' ? '--no-stdin' : option, 'web']);
    await api.saw(/output$/);
    running.child.kill(signal);
    expect(await running.done).toMatchObject({
      code,
      stderr: `Command ${exec.id} runs on; attach again with: flotilla attach web ${exec.id}\n`,
    });
    expect(exec.outcome).toBe(null);
  });

  test('feeds a command that takes input, and passes on its end', async () => {
    const exec = api.execs.start({ command: ['cat'], stdin_open: true });
    const running = start(['attach', 'web', exec.id], { stdin: Buffer.from('hello') });
    expect(await running.done).toMatchObject({ code: 0, stdout: Buffer.from('hello'), stderr: '' });
  });

  test('without an id, there must be one that runs', async () => {
    expect((await cli('attach', 'web')).stderr).toMatch(
      /^error: No command runs in web\nhint: flotilla exec -d web/,
    );
    command('hang');
    command('hang');
    expect(await cli('attach', 'web')).toMatchObject({
      code: 2,
      stderr: 'error: 2 commands run in web\nhint: Name one: exec00000000 (hang), exec00000001 (hang)\n',
    });
  });

  test('a connection that is lost is made again where it was', async () => {
    const exec = command('hang');
    const running = start(['attach', 'web']);
    await api.saw(/output$/);
    api.dropConnections();
    api.execs.print(exec, 'more\n');
    api.execs.end(exec, { outcome: 'exited', exit_code: 0 });
    expect(await running.done).toMatchObject({ code: 0, stdout: Buffer.from('ready\nmore\n'), stderr: '' });
  });
});

test('exec whose input is cut ends its command', async () => {
  const running = startCli(['exec', '-i', 'web', 'cat'], {
    env: { FLOTILLA_URL: api.url },
    stdin: Buffer.alloc(20_000_000),
  });
  await api.saw(/^typed /);
  api.dropConnections();
  expect(await running.done).toMatchObject({
    code: 125,
    stderr: expect.stringMatching(
      /^error: Standard input was cut, so the command was ended: .*\nhint: Run it again\n$/m,
    ),
  });
  await api.saw(/^delete exec/);
});

test('exec whose connection is lost follows its command over another one', async () => {
  const running = start(['exec', '-i', 'web', 'hang']);
  await api.saw(/^started /);
  await api.saw(/^POST .*stdin$/);
  const [exec] = api.execs.all;
  api.dropConnections();
  if (exec !== undefined) {
    api.execs.print(exec, 'more\n');
    api.execs.end(exec, { outcome: 'exited', exit_code: 7 });
  }
  expect(await running.done).toMatchObject({ code: 7, stdout: Buffer.from('ready\nmore\n') });
});
