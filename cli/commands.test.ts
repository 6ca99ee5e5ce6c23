import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { catalog } from './catalog.ts';
import { FakeApi } from './testing/fake-api.ts';
import { type CliResult, runCli } from './testing/run-cli.ts';
import { cliVersion } from './version.ts';

let api: FakeApi;

beforeEach(async () => {
  api = await FakeApi.start();
});

afterEach(() => api[Symbol.asyncDispose]());

const cli = (...args: string[]): Promise<CliResult> => runCli(args, { env: { FLOTILLA_URL: api.url } });
const names = () => [...api.machines.values()].map(({ name, status }) => `${name} ${status}`);

test('create prints the name; all its options reach the API', async () => {
  const words = ['--name', 'web', '--cpus', '2', '--memory', '1024', '--disk', '2048'];
  const more = ['--expose', '8080', '--expose', '443,53', '--label', 'a=b', '--label', 'c='];
  const result = await cli('create', 'debian-12', ...words, ...more);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout.toString()).toBe('web\n');
  expect(api.createBodies).toEqual([
    {
      ...{ name: 'web', image: 'debian-12', vcpu_count: 2, mem_size_mib: 1024, disk_size_mib: 2048 },
      ...{ exposed_ports: [8080, 443, 53], labels: { a: 'b', c: '' } },
    },
  ]);
});

test('create has an image, a name and sizes of its own, and starts when told', async () => {
  const result = await cli('create', '--start', '--json');
  expect(JSON.parse(result.stdout.toString())).toMatchObject({ status: 'running', image: 'debian-12' });
  expect(api.createBodies).toEqual([
    { name: expect.stringMatching(/^machine-\w{6}$/), image: 'debian-12', vcpu_count: 1, mem_size_mib: 512 },
  ]);
});

test('create --start that cannot start says that the machine is there', async () => {
  api.refuse('POST /machines :id start', 500, 'RUNTIME_ERROR', 'no guest');
  const result = await cli('create', 'busybox', '--name', 'web', '--start');
  expect(result.code).toBe(1);
  expect(result.stderr).toBe('Machine web was made, but not started\nerror: No guest (request req_1)\n');
});

test('ls shows a table without colours on a pipe', async () => {
  api.add('web', 'running', { mem_size_mib: 2048, labels: { team: 'web' } });
  api.add('database', 'stopped');
  const { stdout } = await cli('ls');
  expect(stdout.toString()).toMatch(
    /^NAME {6}ID {12}STATUS {3}IMAGE {4}CPUS {2}MEMORY {3}AGE {2}LABELS\nweb {7}id0{10} {2}running {2}busybox {2}1 {5}2 GiB {4}\d+s {3}team=web\ndatabase .*\n$/,
  );
});

test('ls pages through everything, as ids or as JSON, and can be told a state', async () => {
  for (let index = 0; index < 1100; index++) api.add(`m${index}`, index % 2 === 0 ? 'running' : 'stopped');
  const ids = await cli('ls', '-q', '--limit', '2000');
  expect(new Set(ids.stdout.toString().trimEnd().split('\n')).size).toBe(1100);
  const json = await cli('ls', '--json', '--status', 'stopped');
  const list = JSON.parse(json.stdout.toString());
  expect([list.machines.length, list.total, json.stderr]).toEqual([550, 550, '']);
});

test('ls says how many it did not show', async () => {
  for (let index = 0; index < 5; index++) api.add(`m${index}`);
  const quiet = await cli('ls', '-q', '--limit', '2');
  expect(quiet).toMatchObject({ stderr: '' });
  expect(quiet.stdout.toString()).toBe('id0000000000\nid0000000001\n');
  expect(JSON.parse((await cli('ls', '-q', '--json', '--limit', '1')).stdout.toString())).toEqual([
    'id0000000000',
  ]);
  const result = await cli('ls', '--limit', '2');
  expect(result.stderr).toBe('3 more not shown; --limit 5 shows all\n');
});

test('ls without machines prints nothing on stdout', async () => {
  expect(await cli('ls')).toEqual({ code: 0, stdout: Buffer.alloc(0), stderr: 'No machines\n' });
});

test('get shows a machine to people and gives programs the API’s own object', async () => {
  const machine = api.add('web', 'failed', { error_message: 'kernel\u001b panic', future_field: [1] });
  const shown = (await cli('get', 'web')).stdout.toString();
  expect(shown).toMatch(/^name {6}web\nid {8}id0+\nstatus {4}failed\nreason {4}kernel\ufffd panic\n/);
  expect(JSON.parse((await cli('get', machine.id, '--json')).stdout.toString())).toEqual(machine);
});

test('get shows why and when a machine failed, and its last words', async () => {
  const at = new Date().toISOString();
  const failure = { code: 'timeout', message: 'no guest', at, console: ['one\u001b[2J', 'two'] };
  api.add('web', 'failed', { error_message: 'no guest', failure });
  const shown = (await cli('get', 'web')).stdout.toString();
  expect(shown).toContain(`reason    no guest\ncode      timeout\nfailed    ${at.replace(/\.\d+/, '')} (`);
  expect(shown).toContain('console   one\ufffd[2J\n          two\n');
});

test('get shows why the link to a guest was lost', async () => {
  const lost_at = '2026-11-29T10:00:00.000Z';
  const guest_link = { status: 'down', reason: 'The guest floods\u001b its link', lost_at, lost_count: 3 };
  api.add('web', 'running', { guest_link });
  const shown = (await cli('get', 'web')).stdout.toString();
  expect(shown).toMatch(/^link +down: The guest floods\ufffd its link \(lost at 2026-.*, 3 in all\)$/m);
});

test('get shows why an SSH port is closed', async () => {
  const reason = 'Cannot listen for SSH on 127.0.0.1:16000';
  api.add('web', 'running', { ssh_port: 16_000, ssh: { port: 16_000, status: 'closed', reason } });
  api.add('api', 'running', { ssh_port: 16_001, ssh: { port: 16_001, status: 'open', reason: null } });
  expect((await cli('get', 'web')).stdout.toString()).toMatch(
    /^SSH port +16000, closed: Cannot listen for SSH on 127\.0\.0\.1:16000$/m,
  );
  expect((await cli('get', 'api')).stdout.toString()).toMatch(/^SSH port +16001$/m);
});

test('get of nothing exits 1 and says where to look', async () => {
  const result = await cli('get', 'nope');
  expect(result.code).toBe(1);
  expect(result.stderr).toBe(
    "error: Machine with id 'nope' not found\nhint: flotilla ls shows the machines there are\n",
  );
});

test('start and stop try every machine, and exit 1 when one failed', async () => {
  api.add('a', 'stopped');
  api.add('b', 'stopping');
  api.add('c', 'stopped');
  const started = await cli('start', 'a', 'b', 'c');
  expect(started.code).toBe(1);
  expect(started.stdout.toString().trim().split('\n').sort()).toEqual(['a', 'c']);
  expect(started.stderr).toBe("error: b: Cannot start machine in 'stopping' state\n");
  expect(await cli('stop', 'a', 'c', 'a')).toMatchObject({ code: 0, stderr: '' });
  expect(names()).toEqual(['a stopped', 'b stopping', 'c stopped']);
});

test('what is already so is no failure, and is noted', async () => {
  api.add('a', 'stopped');
  const stopped = await cli('stop', 'a');
  expect(stopped).toMatchObject({ code: 0, stderr: 'Machine a is stopped already\n' });
  expect(stopped.stdout.toString()).toBe('a\n');
  expect(await cli('pause', 'a')).toMatchObject({
    code: 1,
    stderr: "error: a: Cannot pause machine in 'stopped' state\n",
  });
});

test('start --json gives the API’s own object', async () => {
  api.add('a', 'stopped');
  expect(JSON.parse((await cli('start', '--json', 'a')).stdout.toString())).toEqual(
    [...api.machines.values()][0],
  );
});

test('of several machines --json is one array, in the order they were named', async () => {
  for (const name of ['a', 'b', 'c']) api.add(name, name === 'b' ? 'stopping' : 'stopped');
  const result = await cli('start', '--json', 'c', 'b', 'a', 'c');
  expect(result).toMatchObject({ code: 1, stderr: "error: b: Cannot start machine in 'stopping' state\n" });
  const started = JSON.parse(result.stdout.toString());
  expect(started.map(({ name }: { name: string }) => name)).toEqual(['c', 'a']);
  const none = await cli('start', '--json', 'b', 'nope');
  expect([none.code, JSON.parse(none.stdout.toString())]).toEqual([1, []]);
  expect(await cli('start', '--json', 'b')).toMatchObject({ code: 1, stdout: Buffer.alloc(0) });
});

test.each(['API key has expired', 'API key has been revoked'])('%s: another is needed', async (message) => {
  api.refuse('GET /machines', 401, 'UNAUTHORIZED', message);
  const result = await runCli(['ls'], { env: { FLOTILLA_URL: api.url, FLOTILLA_KEY: 'hf_old' } });
  expect(result.stderr).toBe(
    `error: ${message}\n` +
      'hint: The key came from FLOTILLA_KEY; make a new key (flotilla keys create) or use another\n',
  );
});

test('an address with a path that leads nowhere is said to have one', async () => {
  const result = await runCli(['ls'], { env: { FLOTILLA_URL: `${api.url}/foo` } });
  expect(result.code).toBe(1);
  expect(result.stderr).toContain(
    `hint: The address ${api.url}/foo has a path: is the daemon there? the address came from FLOTILLA_URL\n`,
  );
});

test('rm refuses a running machine and says how, -f removes it', async () => {
  api.add('a', 'running');
  api.add('b', 'stopped');
  const refused = await cli('rm', 'a', 'b');
  expect(refused.code).toBe(1);
  expect(refused.stderr).toBe(
    "error: a: Cannot delete machine in 'running' state\nhint: flotilla rm -f removes running machines too\n",
  );
  expect(names()).toEqual(['a running']);
  expect(await cli('rm', '-f', 'a')).toMatchObject({ code: 0, stderr: '' });
  expect(names()).toEqual([]);
});

test('rm --json names what was removed, and nothing else', async () => {
  api.add('a', 'stopped');
  api.add('b', 'running');
  const result = await cli('rm', '--json', 'a', 'b');
  expect(result.code).toBe(1);
  expect(JSON.parse(result.stdout.toString())).toEqual({ deleted: ['a'] });
});

test('restart tries every machine, and exits 1 when one does not run', async () => {
  api.add('a', 'running');
  api.add('b', 'stopped');
  const result = await cli('restart', 'a', 'b');
  expect(result).toMatchObject({ code: 1, stdout: Buffer.from('a\n') });
  expect(result.stderr).toBe("error: b: Cannot restart machine in 'stopped' state\n");
});

test('pause and resume', async () => {
  api.add('a', 'running');
  expect(await cli('pause', 'a')).toMatchObject({ code: 0, stdout: Buffer.from('a\n') });
  expect(names()).toEqual(['a paused']);
  expect((await cli('pause', 'a')).stderr).toBe("error: a: Cannot pause machine in 'paused' state\n");
  expect((await cli('start', 'a')).stderr).toBe(
    "error: a: Cannot start machine in 'paused' state\nhint: flotilla resume continues it\n",
  );
  const resumed = await cli('resume', '--json', 'a');
  expect(JSON.parse(resumed.stdout.toString())).toMatchObject({ name: 'a', status: 'running' });
});

test('wait answers when the machine gets there', async () => {
  const machine = api.add('a', 'starting');
  const release = api.hold('GET /machines :id wait');
  const waiting = cli('wait', 'a', '--status', 'running');
  await api.saw(/^wait status=running/);
  machine.status = 'running';
  release();
  expect(await waiting).toEqual({ code: 0, stdout: Buffer.from('a\n'), stderr: '' });
});

test('wait asks again until its own timeout has passed', async () => {
  api.add('a', 'starting');
  const result = await cli('wait', 'a', '--status', 'running', '--timeout', '61');
  expect(result.code).toBe(1);
  expect(result.stderr).toBe('error: Machine a was not running within 61 s\nhint: --timeout allows more\n');
  const seconds = api.log.flatMap((entry) => /^wait .*timeout=(\d+)/.exec(entry)?.[1] ?? []);
  expect(seconds).toEqual(['30', '30', '1']);
});

test('wait ends as soon as the machine has failed', async () => {
  api.add('a', 'failed');
  expect(await cli('wait', 'a', '--status', 'running')).toMatchObject({
    code: 1,
    stderr: 'error: Machine a has failed\n',
  });
});

test('names from the API do not reach the terminal as they are', async () => {
  const { id } = api.add('a\u001b[2J\u009b2J\nb', 'stopped');
  expect((await cli('start', id)).stdout.toString()).toBe('a\ufffd[2J\ufffd2J b\n');
  const { stdout } = await cli('get', id, '--json');
  for (const character of ['\u001b', '\u009b']) expect(stdout.toString()).not.toContain(character);
  expect(JSON.parse(stdout.toString())).toMatchObject({ name: 'a\u001b[2J\u009b2J\nb' });
});

test('exec streams, exits with the command’s code, and fails with 125 where the machine does', async () => {
  api.add('web');
  api.add('off', 'stopped');
  expect(await cli('exec', 'web', '--', 'print', 'hi')).toMatchObject({ code: 0, stdout: Buffer.from('hi') });
  expect(await cli('exec', 'web', '--', 'exit', '9')).toMatchObject({ code: 9 });
  expect(await cli('exec', 'off', '--', 'exit', '9')).toMatchObject({
    code: 125,
    stderr:
      'error: Machine must be running to execute commands\n' +
      'hint: flotilla start starts a machine that is stopped, flotilla resume one that is paused\n',
  });
});

test('version tells both versions, and is no failure without a daemon', async () => {
  expect((await cli('version')).stdout.toString()).toBe(
    `flotilla ${cliVersion()}\ndaemon 9.9.9 at ${api.url}\n`,
  );
  const alone = await runCli(['version', '--json'], { env: { FLOTILLA_URL: 'http://127.0.0.1:9' } });
  expect(alone.code).toBe(0);
  expect(JSON.parse(alone.stdout.toString())).toEqual({ client: { version: cliVersion() }, server: null });
});

test.each([
  [['ls'], 1],
  [['run', 'busybox', '--', 'x'], 125],
])('%j without a daemon says how to start one', async (args, code) => {
  const { url } = api;
  await api[Symbol.asyncDispose]();
  const result = await runCli(args, { env: { FLOTILLA_URL: url } });
  api = await FakeApi.start();
  expect(result.code).toBe(code);
  expect(result.stderr).toBe(
    `error: Cannot reach ${url}: the connection was refused (ECONNREFUSED)\n` +
      'hint: Is it running? start it with ./flotilla up or ./flotilla serve\n',
  );
});

test('the key and the address come from the state directory; a wrong key is traced to where it came from', async () => {
  await using locked = await FakeApi.start('hf_right');
  const stateDir = mkdtempSync(join(tmpdir(), 'flotilla-cli-'));
  try {
    const env = { FLOTILLA_STATE_DIR: stateDir };
    writeFileSync(join(stateDir, 'daemon.url'), `${locked.url}\n`);
    expect((await runCli(['ls'], { env })).stderr).toBe(
      'error: Authorization header is required\n' +
        `hint: The daemon wants a key: FLOTILLA_KEY is not set and ${stateDir}/admin.key does not exist\n`,
    );
    writeFileSync(join(stateDir, 'admin.key'), 'hf_right\n');
    await locked.listenIn(stateDir);
    expect(await runCli(['ls'], { env })).toMatchObject({ code: 0 });
    const wrong = await runCli(['ls'], { env: { ...env, FLOTILLA_KEY: 'hf_wrong' } });
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toBe(
      'error: Invalid API key\n' +
        `hint: The key came from FLOTILLA_KEY; is it one of this daemon's (${locked.url})?\n`,
    );
    expect(wrong.stderr).not.toContain('hf_wrong');
  } finally {
    rmSync(stateDir, { recursive: true });
  }
});

test.each([
  [['xyzzy'], /^error: Unknown command 'xyzzy'\nhint: flotilla --help lists the commands\n$/],
  [['nope', '--help'], /Unknown command 'nope'/],
  [['help', 'nope'], /Unknown command 'nope'/],
  [
    ['wait', 'web'],
    /^error: Required option '--status <status>' not specified\nhint: flotilla wait --help explains it\n$/,
  ],
  [['lss'], /^error: Unknown command 'lss'\nhint: Did you mean ls\?\n$/],
  [['run'], /Missing required argument 'image'/],
  [['run', 'busybox'], /Missing required argument 'cmd'/],
  [
    ['run', '-x', 'busybox', 'ls'],
    /Unknown option '-x'\nhint: Options of CMD follow it: flotilla run IMAGE CMD/,
  ],
  [['run', 'busybox', '--cpus', '0', '--', 'x'], /It must be a whole number from 1 to/],
  [['run', 'busybox', '-e', '=A', '--', 'x'], /It must look like KEY=VALUE, or KEY/],
  [['run', 'busybox', '-e', 'NOT_SET', '--', 'x'], /The variable NOT_SET is not set here/],
  [
    ['run', 'busybox', '--env-file', '/nonexistent', '--', 'x'],
    /The file of variables \/nonexistent cannot be read/,
  ],
  [['create', '--user-data', '/nonexistent'], /The file of user data \/nonexistent cannot be read/],
  [['exec', 'web', '--timeout', '86401', '--', 'x'], /from 1 to 86400/],
  [['create', '--expose', '80,0'], /from 1 to 65535/],
  [['ls', '--status', 'odd'], /Allowed choices are pending/],
  [['get'], /Missing required argument/],
  [['run', '-d', 'busybox'], /hint: flotilla create IMAGE --start makes a machine that stays/],
  [
    ['exec', '-it', 'web', 'sh'],
    /The input device is not a TTY\nhint: Without -t, -i forwards standard input/,
  ],
  [['run', '-it', 'busybox', 'sh'], /The input device is not a TTY/],
  [['execs', 'rm', 'web'], /Missing required argument 'exec'\nhint: flotilla execs rm --help explains it/],
  [['execs', 'web', '--odd'], /Unknown option '--odd'\nhint: flotilla execs --help explains it/],
  [['attach', 'web', '--detach-keys', 'ctrl-1'], /It must look like ctrl-p,ctrl-q or ctrl-\],d/],
  [['up'], /The launcher runs up, not this program\nhint: \.\/flotilla up/],
])('%j is a usage error: exit 2, nothing sent', async (args, stderr) => {
  const result = await cli(...args);
  expect(result.code).toBe(2);
  expect(result.stderr).toMatch(stderr);
  expect(result.stdout.toString()).toBe('');
  expect(api.log).toEqual([]);
});

test('an address that is none is a usage error and says where it came from', async () => {
  const result = await runCli(['ls'], { env: { FLOTILLA_URL: 'nowhere' } });
  expect(result).toMatchObject({
    code: 2,
    stderr: "error: Not an http address: 'nowhere'\nhint: It came from FLOTILLA_URL\n",
  });
});

test.each([[[]], [['--help']], [['help']]])(
  '%j lists every command, those of the launcher too',
  async (args) => {
    const result = await cli(...args);
    expect(result).toMatchObject({ code: 0, stderr: '' });
    const help = result.stdout.toString();
    for (const { name } of catalog) {
      expect(help).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    }
  },
);

test.each([[['help', 'ls']], [['ls', '--help']]])('%j explains one command', async (args) => {
  const result = await cli(...args);
  expect(result.code).toBe(0);
  expect(result.stdout.toString()).toMatch(/^Usage: flotilla ls\|ps \[options\]\n/);
});
