/** `snapshots`, `fork` and `--from-snapshot` against a made-up daemon. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeApi } from './testing/fake-api.ts';
import { type CliResult, runCli, startCli } from './testing/run-cli.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await FakeApi.start();
  api.add('web');
});
afterEach(() => api[Symbol.asyncDispose]());

const cli = (...args: string[]): Promise<CliResult> => runCli(args, { env: { FLOTILLA_URL: api.url } });
const said = async (...args: string[]) => {
  const result = await cli(...args);
  expect(result).toMatchObject({ code: 0, stderr: '' });
  return result.stdout.toString();
};

test('create, ls, get, restore and rm', async () => {
  const words = ['--name', 'before', '-l', 'why=upgrade', '--disk-only', '--keep', '3'];
  expect(await said('snapshot', 'create', 'web', ...words)).toBe('before\n');
  expect(api.log).toContain(
    'snapshot web {"name":"before","labels":{"why":"upgrade"},"memory":false,"keep":3}',
  );
  expect(await said('snapshots', 'create', 'web')).toBe('snapshot-snap00000001\n');
  expect(api.log).toContain('snapshot web {}');
  expect(await said('snapshot', 'ls')).toMatch(
    /^NAME +MACHINE +STATUS +HAS +SIZE +AGE\n\S+ +web +ready +disk, memory +73\.4 MB .+\nbefore +web +ready +disk +73\.4 MB /,
  );
  expect(await said('snapshot', 'ls', 'web', '-q')).toBe('snapshot-snap00000001\nbefore\n');
  expect(await said('snapshot', 'ls', '--format', '{{name}} {{size_bytes}}')).toBe(
    'snapshot-snap00000001 73400320\nbefore 73400320\n',
  );
  expect(JSON.parse(await said('snapshot', 'inspect', 'before', '--json'))).toMatchObject({
    ...{ name: 'before', has_memory: false, labels: { why: 'upgrade' } },
  });
  expect(await said('snapshot', 'get', 'before')).toMatch(/^machine +web \(id0000000000\)$/m);
  expect(await said('snapshot', 'restore', 'before', '--no-start')).toBe('web\n');
  expect(api.log).toContain('restored before {"start":false}');
  expect(await said('snapshot', 'rm', 'before')).toBe('before\n');
  expect(api.nouns.snapshots).toMatchObject([{ name: 'snapshot-snap00000001' }]);
});

test('the beginning of an id is enough, where only one begins so', async () => {
  await said('snapshot', 'create', 'web');
  await said('snapshot', 'create', 'id0000');
  expect(await said('snapshot', 'restore', 'snap00000001')).toBe('web\n');
  expect(await cli('snapshot', 'get', 'snap0000')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('2 snapshots have an id that begins with snap0000'),
  });
  expect(await said('snapshot', 'rm', 'snap00000001')).toBe('snap00000001\n');
  expect(await said('snapshot', 'rm', 'snap0')).toBe('snap0\n');
  expect(api.nouns.snapshots).toEqual([]);
});

test('what is not there is said with where to look', async () => {
  expect(await cli('snapshot', 'get', 'none')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('hint: flotilla snapshots ls shows the snapshots there are'),
  });
});

test('an interrupted snapshot goes on, and that is said', async () => {
  const release = api.hold('POST /machines :id snapshots');
  const command = startCli(['snapshot', 'create', 'web'], { env: { FLOTILLA_URL: api.url } });
  await api.saw(/^snapshot web/);
  command.child.kill('SIGINT');
  const { code, stderr } = await command.done;
  release();
  expect(code).toBe(130);
  expect(stderr).toContain('The snapshot of web may continue in the daemon');
});

test('fork prints the names; what could not be made is told, and the exit code is 1', async () => {
  expect(await said('fork', 'id000')).toBe('web-1\n');
  expect(await said('fork', 'id0000000000', '--count', '2', '--name', 'a', '--no-start')).toBe('a-1\na-2\n');
  expect([...api.machines.values()].map(({ name, status }) => `${name} ${status}`)).toEqual([
    ...['web running', 'web-1 running', 'a-1 pending', 'a-2 pending'],
  ]);
  const partial = await cli('fork', 'web', '--count', '3', '--name', 'b');
  expect(partial).toMatchObject({ code: 1, stdout: Buffer.from('b-1\nb-2\n') });
  expect(partial.stderr).toContain('error: b-3: the disk is full');
  const whole = await cli('fork', 'web', '--count', '3', '--name', 'c', '--json');
  expect(whole.code).toBe(1);
  expect(JSON.parse(whole.stdout.toString()).machines).toMatchObject([
    { name: 'c-1', error: null },
    { name: 'c-2', error: null },
    { name: 'c-3', machine: null },
  ]);
  expect(await cli('fork', 'web', '--count', '101')).toMatchObject({ code: 2 });
});

test('create and run from a snapshot send what was said, and no image', async () => {
  const source = { kind: 'snapshot', snapshot: 'before' };
  await said('create', '--from-snapshot', 'before', '--name', 'one');
  await said('create', '--from-snapshot', 'before', '--name', 'two', '--disk', '20g');
  await cli('run', '--from-snapshot', 'before', '--name', 'three', '--keep', 'print', 'hello');
  expect(api.createBodies).toEqual([
    { name: 'one', source },
    { name: 'two', source, disk_size_mib: 20_480 },
    { name: 'three', source, labels: expect.anything() },
  ]);
  expect(await cli('create', 'busybox', '--from-snapshot', 'before')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('A machine from a snapshot takes no image'),
  });
  expect(await cli('create', '--template', 't', '--from-snapshot', 'before')).toMatchObject({ code: 2 });
});
