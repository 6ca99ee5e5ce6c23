import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeApi } from './testing/fake-api.ts';
import { sha256OfBytes } from './testing/fake-programs.ts';
import { type CliOptions, runCli, runCliProcess, startCli } from './testing/run-cli.ts';

let api: FakeApi;

beforeEach(async () => {
  api = await FakeApi.start();
});

afterEach(() => api[Symbol.asyncDispose]());

const here = (options: CliOptions = {}): CliOptions => ({
  ...options,
  env: { FLOTILLA_URL: api.url, ...options.env },
});

const run = (words: readonly string[], options?: CliOptions) => runCli(['run', ...words], here(options));

test('makes a machine, runs the command, removes the machine', async () => {
  const result = await run(['busybox', '--cpus', '2', '--', 'print', 'hello']);
  expect(result).toEqual({ code: 0, stdout: Buffer.from('hello'), stderr: '' });
  expect(api.createBodies).toEqual([
    { name: expect.stringMatching(/^run-[a-z0-9]{6}$/), image: 'busybox', vcpu_count: 2, mem_size_mib: 128 },
  ]);
  expect(api.log.at(-1)).toMatch(/^deleted run-/);
  expect(api.machines.size).toBe(0);
});

test('takes variables from this environment and from files, of which an option wins', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'flotilla-cli-'));
  const file = join(directory, 'variables');
  writeFileSync(file, '# of a file\nA=file\nB=file\nTOKEN\n');
  const words = ['busybox', '--env-file', file, '-e', 'B=option', '-e', 'LANG', '--', 'show'];
  const env = { FLOTILLA_URL: api.url, TOKEN: 'secret', LANG: 'C' };
  const { stdout } = await runCli(['run', ...words], { env });
  rmSync(directory, { recursive: true });
  expect(JSON.parse(stdout.toString()).env).toEqual({ A: 'file', B: 'option', TOKEN: 'secret', LANG: 'C' });
});

test('sends every variable, whatever its name', async () => {
  const names = ['__proto__', 'constructor', 'toString'];
  const { stdout } = await run(['busybox', ...names.flatMap((name) => ['-e', `${name}=x`]), '--', 'show']);
  expect(Object.entries(JSON.parse(stdout.toString()).env)).toEqual(names.map((name) => [name, 'x']));
});

test('sends every option where it belongs, and leaves what follows -- alone', async () => {
  const { stdout } = await run([
    ...['debian-12', '--name', 'mine', '--memory', '1024', '--disk', '4096', '--timeout', '9'],
    ...[
      '-e',
      'A=1',
      '-e',
      'B=x=y',
      '--workdir',
      '/srv',
      '--user',
      'nobody',
      '--',
      'show',
      '--name',
      '-h',
      '--',
    ],
  ]);
  expect(JSON.parse(stdout.toString())).toEqual({
    command: ['show', '--name', '-h', '--'],
    timeout: 9,
    env: { A: '1', B: 'x=y' },
    cwd: '/srv',
    user: 'nobody',
  });
  expect(api.createBodies[0]).toMatchObject({ name: 'mine', mem_size_mib: 1024, disk_size_mib: 4096 });
});

test('stdout and stderr arrive apart and byte for byte', async () => {
  const { child } = startCli(['run', 'busybox', '--', 'both'], here({ unread: true }));
  const read = async (stream: AsyncIterable<Buffer> | null) => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream ?? []) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks);
  };
  const [stdout, [code]] = await Promise.all([read(child.stdout), once(child, 'close')]);
  expect([code, stdout]).toEqual([0, Buffer.from([0xff, 0x00, 0x0d, 0x0a])]);
});

test('20 MB arrive whole', async () => {
  const total = 20_000_000;
  const { code, stdout } = await runCliProcess(['run', 'busybox', '--', 'bytes', String(total)], here());
  expect(code).toBe(0);
  expect(stdout.length).toBe(total);
  expect(createHash('sha256').update(stdout).digest('hex')).toBe(sha256OfBytes(total));
});

test.each([
  [['exit', '7'], 7, /^$/],
  [['signal', 'KILL', '137'], 137, /^$/],
  [['signal', 'RTMIN+1', '163'], 163, /^$/],
  [['timeout'], 124, /^error: The command was killed after 3600 s\nhint: /],
  [['lost'], 125, /^error: The command’s outcome is unknown: the guest went\ufffd\[2J away\n$/],
  [
    ['cut'],
    125,
    /^error: The command’s outcome is unknown: the connection ended.*\nhint: Is the daemon running/,
  ],
  [
    ['break'],
    125,
    /^error: The command’s outcome is unknown: the connection to the daemon broke \(\w+\)\nhint: Is the daemon running\?/,
  ],
])('%j exits with %i, and the machine is gone', async (command, code, stderr) => {
  const result = await run(['busybox', '--', ...command]);
  expect(result.code).toBe(code);
  expect(result.stderr).toMatch(stderr);
  expect(api.machines.size).toBe(0);
});

test('stdin is the command’s only with -i', async () => {
  const stdin = Buffer.from([0, 1, 0xff, 10]);
  expect((await run(['busybox', '-i', '--', 'cat'], { stdin })).stdout).toEqual(stdin);
  expect((await run(['busybox', '--', 'cat'], { stdin })).stdout).toEqual(Buffer.alloc(0));
});

test('stdin of any length is passed on', async () => {
  const stdin = Buffer.alloc(10_000_000, 'flotilla');
  expect((await run(['busybox', '-i', '--', 'cat'], { stdin })).stdout.equals(stdin)).toBe(true);
});

test.each(['--keep', '--rm=false'])('%s leaves the machine and says its name', async (option) => {
  const result = await run(['busybox', option, '--', 'exit', '3']);
  expect(result.code).toBe(3);
  const [machine] = api.machines.values();
  expect(result.stderr).toBe(
    `Machine ${machine?.name} is kept; remove it with: flotilla rm -f ${machine?.name}\n`,
  );
});

test('a failed start removes the machine and exits 125 with the reason', async () => {
  api.refuse('POST /machines :id start', 500, 'RUNTIME_ERROR', 'no guest');
  const result = await run(['busybox', '--', 'exit', '0']);
  expect(result).toMatchObject({ code: 125, stderr: 'error: No guest (request req_1)\n' });
  expect(api.machines.size).toBe(0);
});

test('a refused create removes nothing, above all not the machine that has the name', async () => {
  api.add('mine');
  const result = await run(['busybox', '--name', 'mine', '--', 'exit', '0']);
  expect(result).toMatchObject({ code: 125, stderr: "error: The name 'mine' is taken\n" });
  expect([...api.machines.values()].map(({ name }) => name)).toEqual(['mine']);
});

test('a machine that cannot be removed is named, and the command’s code stays', async () => {
  api.refuse('DELETE /machines :id', 403, 'FORBIDDEN', 'Insufficient permissions for this action');
  const result = await run(['busybox', '--name', 'mine', '--', 'exit', '3']);
  expect(result.code).toBe(3);
  expect(result.stderr).toBe(
    'error: Machine mine could not be removed: Insufficient permissions for this action\n' +
      'hint: flotilla rm -f mine removes it\n',
  );
});
