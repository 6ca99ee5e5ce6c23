import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeApi } from './testing/fake-api.ts';
import { Refusal } from './testing/refusal.ts';
import { type CliResult, runCli, startCli } from './testing/run-cli.ts';

let api: FakeApi;
let work: string;

beforeEach(async () => {
  api = await FakeApi.start();
  work = mkdtempSync(join(tmpdir(), 'flotilla-cli-'));
});

afterEach(async () => {
  await api[Symbol.asyncDispose]();
  rmSync(work, { recursive: true });
});

const cli = (...args: string[]): Promise<CliResult> => runCli(args, { env: { FLOTILLA_URL: api.url } });
const start = (args: readonly string[], unread = false) =>
  startCli(args, { env: { FLOTILLA_URL: api.url }, unread });
const parsed = ({ stdout }: CliResult) => JSON.parse(stdout.toString());

const hostile = 'one\u001b[2J\r\ntwo\tü\r\n';

test('console prints what the guest printed, byte for byte where there is no terminal', async () => {
  api.add('web');
  api.consoleText = hostile;
  const result = await cli('console', 'web', '-n', '7');
  expect(result).toEqual({ code: 0, stdout: Buffer.from(hostile), stderr: '' });
  expect(api.log).toContain('console lines=7');
  expect(parsed(await cli('console', 'web', '--json'))).toEqual({ machine: 'web', text: hostile });
});

test('console asks for times and the previous boot, which is not followed', async () => {
  api.add('web');
  api.consoleText = 'before\n';
  const printed = { code: 0, stdout: Buffer.from('before\n'), stderr: '' };
  expect(await cli('logs', 'web', '-tp', '--follow')).toEqual(printed);
  expect(api.log).toContain('console lines=100&timestamps=true&previous=true');
});

test('console --follow continues until the machine stops', async () => {
  const machine = api.add('web');
  api.consoleText = 'before\n';
  const running = start(['console', 'web', '-f']);
  await api.saw(/^console .*follow=true/);
  api.printConsole('after\n');
  machine.status = 'stopped';
  api.printConsole(null);
  expect(await running.done).toEqual({ code: 0, stdout: Buffer.from('before\nafter\n'), stderr: '' });
});

test('console --follow that ends before the machine does is a failure', async () => {
  api.add('web');
  const running = start(['console', 'web', '-f']);
  await api.saw(/^console .*follow=true/);
  api.printConsole(null);
  expect(await running.done).toMatchObject({
    code: 1,
    stderr:
      'error: The console of web ended, but the machine runs\nhint: flotilla console -f web follows it again\n',
  });
});

test('console --follow says when nobody can tell whether the machine runs', async () => {
  api.add('web');
  api.refuse('GET /machines :id', 401, 'UNAUTHORIZED', 'API key has expired');
  const running = start(['console', 'web', '-f']);
  await api.saw(/^console .*follow=true/);
  api.printConsole(null);
  expect(await running.done).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('ended, perhaps not the machine: API key has expired\n'),
  });
});

test.each([
  [404, 'NOT_FOUND', 'gone'],
  [400, 'BAD_REQUEST', 'machine web has failed'],
])('console --follow of a machine that ends otherwise (%i) is no failure', async (status, code, message) => {
  api.add('web');
  api.refuse('GET /machines :id wait', status, code, message);
  const running = start(['console', 'web', '-f']);
  await api.saw(/^console .*follow=true/);
  api.printConsole(null);
  expect(await running.done).toMatchObject({ code: 0, stderr: '' });
});

test('Ctrl-C ends console --follow quietly', async () => {
  api.add('web');
  api.consoleText = 'before\n';
  const running = start(['console', 'web', '--follow'], true);
  await once(running.child.stdout as NodeJS.ReadableStream, 'data');
  running.child.kill('SIGINT');
  expect(await running.done).toMatchObject({ code: 130, stderr: '' });
  await api.saw(/^console left$/);
});

test('console --follow of a connection that breaks is a failure', async () => {
  api.add('web');
  api.consoleText = 'before\n';
  const running = start(['console', 'web', '--follow'], true);
  await once(running.child.stdout as NodeJS.ReadableStream, 'data');
  api.dropConnections();
  expect(await running.done).toMatchObject({ code: 1, stderr: expect.stringContaining('Cannot reach') });
});

test.each([
  [
    ['console', 'web', '--json', '--follow'],
    /^error: Option '--json' cannot be used with option '-f, --follow'/,
  ],
  [['console', 'web', '-n', '0'], /from 1 to 10000/],
  [['keys', 'create', '--name', 'a'], /Required option '--scope <scope>'/],
  [['keys', 'create', '--name', 'a', '--scope', 'odd'], /Allowed choices are machines:read, /],
  [['keys', 'create', '--name', 'a', '--scope', '*', '--expires', '3 weeks'], /must look like 30d/],
  [['keys', 'create', '--name', 'a', '--scope', '*', '--expires', '0d'], /must be in the future/],
  [['keys', 'create', '--name', 'a', '--scope', '*', '--expires', '999999999d'], /before the year 10000/],
  [
    ['keys', 'create', '--name', 'a', '--scope', '*', '--expires', '9999-12-31T23:00:00-02:00'],
    /before the year 10000/,
  ],
  [['keys', 'nope'], /^error: Unknown command 'nope'\nhint: flotilla keys --help explains it\n$/],
  [['keys'], /Usage: flotilla keys/],
  [['images', 'import', 'a', '/nonexistent'], /There is no \/nonexistent on this machine/],
  [['images', 'import', 'a', '/dev/null'], /neither a directory nor a file/],
  [['operations', 'ls', '--state', 'odd'], /Allowed choices are running/],
])('%j is a usage error: exit 2, nothing sent', async (args, stderr) => {
  const result = await cli(...args);
  expect(result.code).toBe(2);
  expect(result.stderr).toMatch(stderr);
  expect(api.log).toEqual([]);
});

test('keys create prints the key alone; what there is to know of it goes to people', async () => {
  const scopes = ['--scope', 'machines:read,machines:exec', '--scope', 'machines:read'];
  const result = await cli('keys', 'create', '--name', 'ci', ...scopes, '--expires', '30d', '--tenant', 'a');
  expect(result).toMatchObject({ code: 0, stdout: Buffer.from(`hf_12345678${'x'.repeat(24)}\n`) });
  expect(result.stderr).toMatch(
    /^Key key0 may machines:read, machines:exec until 2\S+Z; it is not shown again\n$/,
  );
  const [key] = api.nouns.keys;
  expect(key).toMatchObject({ name: 'ci', scopes: ['machines:read', 'machines:exec'], tenant: 'a' });
  const days = (Date.parse(String(key?.expires_at)) - Date.parse(String(key?.created_at))) / 86_400_000;
  expect(Math.round(days)).toBe(30);
});

test('keys ls shows what became of keys, keys revoke ends them', async () => {
  for (const name of ['one', 'two']) await cli('keys', 'create', '--name', name, '--scope', '*');
  expect(await cli('keys', 'revoke', 'key0', 'key9')).toEqual({
    code: 1,
    stdout: Buffer.from('key0\n'),
    stderr: 'error: key9: no such key\nhint: flotilla keys ls shows the keys there are\n',
  });
  const lines = (await cli('keys', 'ls')).stdout.toString().split('\n');
  expect(lines[1]).toMatch(/^key1 +two +hf_12345678 +good +\* +default +- +never +never +\d+s$/);
  expect(lines[2]).toMatch(/^key0 +one +hf_12345678 +revoked/);
  expect(parsed(await cli('keys', 'ls', '--json'))).toMatchObject({ total: 2, keys: api.nouns.keys });
  expect(parsed(await cli('keys', 'revoke', 'key1', '--json'))).toEqual({ revoked: ['key1'] });
});

test('templates create, ls, get and rm; a file of user data is sent as it is', async () => {
  const path = join(work, 'user-data');
  writeFileSync(path, '#cloud-config\nhostname: web\n');
  const words = [
    '--cpus',
    '2',
    '-m',
    '1g',
    '--disk',
    '20g',
    '--description',
    'web server',
    '--user-data',
    path,
  ];
  const made = await cli('templates', 'create', 'web', 'busybox', ...words);
  expect(made).toEqual({ code: 0, stdout: Buffer.from('web\n'), stderr: '' });
  const wanted = { image: 'busybox', vcpu_count: 2, mem_size_mib: 1024, disk_size_mib: 20_480 };
  const userData = '#cloud-config\nhostname: web\n';
  expect(parsed(await cli('templates', 'get', 'web', '--json'))).toMatchObject({
    ...wanted,
    user_data: userData,
  });
  expect((await cli('templates', 'ls')).stdout.toString()).toMatch(
    /^web +busybox +2 +1 GiB +20 GiB +web server +\d+s$/m,
  );
  expect((await cli('templates', 'get', 'web')).stdout.toString()).toContain('for       web server\n');
  expect((await cli('templates', 'rm', 'web')).stdout.toString()).toBe('web\n');
  expect((await cli('templates', 'get', 'web')).stderr).toContain(
    'hint: flotilla templates ls shows the templates there are',
  );
});

test('create and run with a template send what was said, and nothing else', async () => {
  await cli('create', '--template', 'web', '--name', 'one');
  await cli('create', 'busybox', '--template', 'web', '--name', 'two', '--cpus', '2', '-m', '64m');
  await cli('run', '--template', 'web', '--name', 'three', '--keep', 'print', 'hello');
  expect(await cli('run', '--template', 'web')).toMatchObject({ code: 2 });
  expect(api.createBodies).toEqual([
    { name: 'one', template: 'web' },
    { name: 'two', template: 'web', image: 'busybox', vcpu_count: 2, mem_size_mib: 64 },
    { name: 'three', template: 'web', labels: expect.anything() },
  ]);
});

test('images import sends an archive as it is', async () => {
  const archive = join(work, 'root.tar.gz');
  const bytes = Buffer.alloc(3_000_000, 'abc');
  writeFileSync(archive, bytes);
  const words = ['--kernel', 'image', '--min-memory', '128'];
  const result = await cli('images', 'import', 'mine', archive, ...words);
  expect(result).toEqual({
    code: 0,
    stdout: Buffer.from('mine\n'),
    stderr: `Sending ${archive}\nSent 3.0 MB, making the file system…\n`,
  });
  expect(api.nouns.uploaded?.equals(bytes)).toBe(true);
  expect(parsed(await cli('images', 'get', 'mine', '--json'))).toMatchObject({
    kernel: 'image',
    min_memory_mib: 128,
  });
  expect((await cli('images', 'ls')).stdout.toString()).toMatch(/^mine +64 MiB +128 MiB +image +you +\d+s$/m);
  expect((await cli('images', 'rm', 'mine')).stdout.toString()).toBe('mine\n');
  expect(await cli('images', 'get', 'mine')).toMatchObject({
    code: 1,
    stderr: 'error: No such image\nhint: flotilla images ls shows the images there are\n',
  });
});

test('images import packs a directory whose name looks like an option', async () => {
  const root = join(work, '--root');
  mkdirSync(join(root, 'etc'), { recursive: true });
  writeFileSync(join(root, 'etc/made-by'), 'the test\n');
  const result = await cli('images', 'import', 'mine', root, '--json');
  expect(parsed(result)).toMatchObject({ name: 'mine' });
  expect(api.nouns.uploaded?.includes('./etc/made-by')).toBe(true);
});

test('images import does not send holes', async () => {
  const root = join(work, 'root');
  mkdirSync(root);
  writeFileSync(join(root, 'disk'), '');
  truncateSync(join(root, 'disk'), 64 * 1024 * 1024);
  expect(await cli('images', 'import', 'mine', root)).toMatchObject({ code: 0 });
  expect(api.nouns.uploaded?.length).toBeLessThan(1024 * 1024);
});

test('images import says which sockets of a directory it leaves out', async () => {
  const root = join(work, 'root');
  mkdirSync(root);
  const server = createServer().listen(join(root, 'sock'));
  await once(server, 'listening');
  const result = await cli('images', 'import', 'mine', root);
  server.close();
  await once(server, 'close');
  expect(result).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('tar: ./sock: socket ignored\n'),
  });
});

test('an import that is refused in the middle says why', async () => {
  const archive = join(work, 'root.tar');
  writeFileSync(archive, Buffer.alloc(20_000_000));
  api.nouns.uploadRefusal = new Refusal(422, 'INVALID', 'this is no archive');
  const result = await cli('images', 'import', 'mine', archive);
  expect(result).toMatchObject({ code: 1, stderr: `Sending ${archive}\nerror: This is no archive\n` });
});

test('a directory that tar cannot pack whole makes no image', async () => {
  // A program of this name stands for a tar that fails half-way.
  writeFileSync(join(work, 'tar'), '#!/bin/sh\necho half; echo "etc: file changed" >&2; exit 1\n', {
    mode: 0o755,
  });
  const PATH = `${work}:${process.env.PATH}`;
  const result = await runCli(['images', 'import', 'mine', work], { env: { FLOTILLA_URL: api.url, PATH } });
  expect(result).toMatchObject({
    code: 1,
    stderr: `Sending ${work}\nerror: Tar could not pack ${work}: etc: file changed\n`,
  });
  await api.saw(/^upload broken off$/);
  expect(api.nouns.images).toEqual([]);
});

test('Ctrl-C breaks off an import and its tar', async () => {
  writeFileSync(join(work, 'tar'), '#!/bin/sh\necho half\nexec sleep 1000\n', { mode: 0o755 });
  const env = { FLOTILLA_URL: api.url, PATH: `${work}:${process.env.PATH}` };
  const running = startCli(['images', 'import', 'mine', work], { env });
  await api.saw(/^upload begun$/);
  running.child.kill('SIGINT');
  expect(await running.done).toMatchObject({ code: 130, stderr: `Sending ${work}\n` });
  await api.saw(/^upload broken off$/);
});

test('an import that is refused says why, however much was sent', async () => {
  writeFileSync(join(work, 'root.tar'), Buffer.alloc(20_000_000));
  api.refuse('PUT /api/v1/images/mine', 409, 'CONFLICT', "An image named 'mine' exists already");
  const result = await cli('images', 'import', 'mine', join(work, 'root.tar'));
  expect(result.code).toBe(1);
  expect(result.stderr).toContain("error: An image named 'mine' exists already\n");
});

test('operations shows what is under way and why it failed', async () => {
  const at = new Date().toISOString();
  const common = { kind: 'machine.start', cancel_requested: false, created_at: at, updated_at: at };
  const steps = [{ name: 'launch', phase: 'failed', at }];
  const failure = { code: 'exhausted', message: 'no room\u001b[2J', step: 'launch' };
  const subjects = [{ kind: 'machine', id: 'm1' }];
  const failed = { id: 'op1', subjects, machine_id: 'm1', state: 'failed', steps, failure, ...common };
  api.nouns.operations.push(failed, { ...failed, id: 'op2', state: 'running', failure: null });
  const table = (await cli('ops', 'ls')).stdout.toString();
  expect(table).toMatch(/^op1 +machine.start +m1 +failed +launch +\d+s +no room\ufffd\[2J$/m);
  expect((await cli('operations', 'ls', '-q', '--state', 'running')).stdout.toString()).toBe('op2\n');
  expect((await cli('operations', 'get', 'op1')).stdout.toString()).toContain(
    'reason    no room\ufffd[2J\ncode      exhausted\nfailed in launch\n',
  );
  expect(parsed(await cli('ops', 'get', 'op1', '--json'))).toEqual(failed);
  expect((await cli('ops', 'get', 'nope')).stderr).toContain(
    'hint: flotilla operations ls shows the operations',
  );
});
