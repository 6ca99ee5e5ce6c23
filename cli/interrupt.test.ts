import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeApi } from './testing/fake-api.ts';
import { runCli, startCli } from './testing/run-cli.ts';

let api: FakeApi;

beforeEach(async () => {
  api = await FakeApi.start();
});

afterEach(() => api[Symbol.asyncDispose]());

const start = (args: readonly string[], unread = false) =>
  startCli(args, { env: { FLOTILLA_URL: api.url }, unread });

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s kills the command, removes the machine and exits %i', async (signal, code) => {
  const cli = start(['run', 'busybox', '--', 'hang'], true);
  await once(cli.child.stdout as NodeJS.ReadableStream, 'data');
  cli.child.kill(signal);
  const result = await cli.done;
  expect(result.code).toBe(code);
  expect(result.stderr).toMatch(/^Removing machine run-\w{6}; once more leaves it behind\n$/);
  await api.saw(/^killed$/);
  await api.saw(/^deleted run-/);
});

test('an interruption during create waits for the machine and removes it unstarted', async () => {
  const release = api.hold('POST /machines');
  const cli = start(['run', 'busybox', '--', 'hang']);
  await api.saw(/^POST \/machines$/);
  cli.child.kill('SIGINT');
  await cli.stderrSays(/Removing machine/);
  release();
  expect((await cli.done).code).toBe(130);
  expect(api.machines.size).toBe(0);
  expect(api.log.filter((entry) => entry.endsWith('/start'))).toEqual([]);
});

test('a create whose answer is lost is looked up by name and removed', async () => {
  const release = api.hold('POST /machines');
  const cli = start(['run', 'busybox', '--', 'hang']);
  await api.saw(/^POST \/machines$/);
  api.dropConnections();
  const result = await cli.done;
  release();
  expect(result.code).toBe(125);
  expect(result.stderr).toMatch(/^error: Cannot reach /);
  expect(api.machines.size).toBe(0);
});

test('with a name of the user’s own, only the machine this run made is removed', async () => {
  const other = api.add('mine', 'stopped', { labels: { team: 'a' } });
  api.refuse('POST /machines', 502, 'BAD_GATEWAY', 'who knows');
  const result = await runCli(['run', '--name', 'mine', 'busybox', '--', 'x'], {
    env: { FLOTILLA_URL: api.url },
  });
  expect(result.code).toBe(125);
  expect([...api.machines.values()]).toEqual([other]);
});

test('an interruption during start cancels it and removes the machine', async () => {
  const release = api.hold('POST /machines :id start');
  const cli = start(['run', 'busybox', '--', 'hang']);
  await api.saw(/start$/);
  cli.child.kill('SIGINT');
  const result = await cli.done;
  release();
  expect(result.code).toBe(130);
  expect(api.machines.size).toBe(0);
});

test('an interruption of a restart says that it may continue', async () => {
  api.add('web');
  const release = api.hold('POST /machines :id restart');
  const cli = start(['restart', 'web']);
  await api.saw(/restart$/);
  cli.child.kill('SIGINT');
  const result = await cli.done;
  release();
  expect(result).toMatchObject({ code: 130, stderr: 'The restart of web may continue in the daemon\n' });
});

test('an interruption of create --start says that the start continues', async () => {
  const release = api.hold('POST /machines :id start');
  const cli = start(['create', 'busybox', '--name', 'web', '--start']);
  await api.saw(/start$/);
  cli.child.kill('SIGINT');
  const result = await cli.done;
  release();
  expect(result).toMatchObject({ code: 130, stderr: 'Machine web was made; its start continues\n' });
});

test('create --start whose answer is lost does not say how the start ended', async () => {
  const release = api.hold('POST /machines :id start');
  const cli = start(['create', 'busybox', '--name', 'web', '--start']);
  await api.saw(/start$/);
  api.dropConnections();
  const result = await cli.done;
  release();
  expect(result.code).toBe(1);
  expect(result.stderr).toMatch(/^Machine web was made; its start may continue\nerror: Cannot reach /);
});

test('a second signal exits at once and names what is left', async () => {
  const release = api.hold('POST /machines');
  const cli = start(['run', '--name', 'mine', 'busybox', '--', 'hang']);
  await api.saw(/^POST \/machines$/);
  cli.child.kill('SIGINT');
  await cli.stderrSays(/Removing machine/);
  cli.child.kill('SIGINT');
  const result = await cli.done;
  release();
  expect(result.code).toBe(130);
  expect(result.stderr).toMatch(/machine mine may be left behind; remove it with: flotilla rm -f mine\n$/);
});

test('a reader that goes away ends the command quietly, and the machine is removed', async () => {
  const cli = start(['run', 'busybox', '--', 'yes'], true);
  await once(cli.child.stdout as NodeJS.ReadableStream, 'data');
  cli.child.stdout?.destroy();
  const [code] = await once(cli.child, 'exit');
  expect(code).toBe(141);
  expect((await cli.done).stderr).toBe('');
  await api.saw(/^killed$/);
  expect(api.machines.size).toBe(0);
});

test('a reader that stopped reading does not keep a signal from ending the run', async () => {
  const cli = start(['run', 'busybox', '--', 'yes'], true);
  await once(cli.child.stdout as NodeJS.ReadableStream, 'readable');
  cli.child.kill('SIGINT');
  const [code] = await once(cli.child, 'exit');
  expect(code).toBe(130);
  expect(api.machines.size).toBe(0);
  cli.child.stdout?.destroy();
});

test('Ctrl-C in exec kills the command and leaves the machine', async () => {
  api.add('web');
  const cli = start(['exec', 'web', '--', 'hang'], true);
  await once(cli.child.stdout as NodeJS.ReadableStream, 'data');
  cli.child.kill('SIGINT');
  expect(await cli.done).toMatchObject({ code: 130, stderr: '' });
  await api.saw(/^killed$/);
  expect(api.log.filter((entry) => entry.startsWith('DELETE'))).toEqual([]);
});

test('ls into a closed pipe ends quietly', async () => {
  for (let index = 0; index < 1000; index++) api.add(`machine-with-a-long-name-${index}`);
  const cli = start(['ls'], true);
  cli.child.stdout?.destroy();
  expect(await cli.done).toMatchObject({ code: 141, stderr: '' });
});
