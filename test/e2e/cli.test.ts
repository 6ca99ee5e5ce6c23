/** `./flotilla` from a user's view, against a real daemon and real guests. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { runCommand, startTestHost, type TestHost } from '../support/host.ts';

let host: TestHost;
beforeAll(async () => {
  host = await startTestHost();
});
afterAll(() => host.close());

// Other tests may use both cores; a guest boots in seconds or in a minute.
vi.setConfig({ testTimeout: 300_000 });

const flotilla = (...args: string[]) => runCommand('./flotilla', args, { env: host.env });

async function machineCount(): Promise<number> {
  return (await host.client.machines.list()).total;
}

test('run separates the streams, exits with the command’s code and removes the machine', async () => {
  const { exitCode, stdout, stderr } = await flotilla(
    'run',
    'busybox',
    '--',
    'sh',
    '-c',
    'echo out; echo err >&2; exit 3',
  );
  expect(stdout.toString()).toBe('out\n');
  expect(stderr).toBe('err\n');
  expect(exitCode).toBe(3);
  expect(await machineCount()).toBe(0);
});

test('50 MB of output arrive completely', async () => {
  const { exitCode, stdout } = await flotilla(
    'run',
    'busybox',
    '--',
    'sh',
    '-c',
    'yes flotilla | head -c 50000000',
  );
  expect(exitCode).toBe(0);
  expect(stdout.length).toBe(50_000_000);
  const expected = createHash('sha256').update(Buffer.alloc(50_000_000, 'flotilla\n')).digest('hex');
  expect(createHash('sha256').update(stdout).digest('hex')).toBe(expected);
});

test('Ctrl-C kills the command in the guest and leaves no machine', async () => {
  const { exitCode } = await runCommand(
    './flotilla',
    ['run', 'busybox', '--', 'sh', '-c', 'echo ready; sleep 1000'],
    {
      env: host.env,
      onOutput: (_, kill) => kill('SIGINT'),
    },
  );
  expect(exitCode).toBe(130);
  expect(await machineCount()).toBe(0);
});

test('Ctrl-C of an exec kills its process in the guest; the machine keeps running', async () => {
  expect((await flotilla('create', 'busybox', '--name', 'kept', '--memory', '128', '--start')).exitCode).toBe(
    0,
  );
  const { exitCode } = await runCommand(
    './flotilla',
    ['exec', 'kept', '--', 'sh', '-c', 'echo ready; sleep 8765'],
    {
      env: host.env,
      onOutput: (_, kill) => kill('SIGINT'),
    },
  );
  expect(exitCode).toBe(130);
  const gone = await flotilla(
    'exec',
    'kept',
    '--',
    'sh',
    '-c',
    'while ps | grep -q "[s]leep 8765"; do :; done; echo gone',
  );
  expect(gone.stdout.toString()).toBe('gone\n');
  expect((await flotilla('rm', 'kept')).exitCode).toBe(1);
  expect((await flotilla('rm', '--force', 'kept')).exitCode).toBe(0);
});

test('--json prints the API’s answer', async () => {
  const created = await flotilla('create', 'busybox', '--name', 'json', '--memory', '128', '--json');
  expect(JSON.parse(created.stdout.toString())).toMatchObject({ name: 'json', status: 'pending' });
  const listed = await flotilla('ls', '--json');
  expect(JSON.parse(listed.stdout.toString())).toMatchObject({ total: 1, machines: [{ name: 'json' }] });
  expect((await flotilla('rm', 'json')).exitCode).toBe(0);
});

test('an unknown machine and an unreachable daemon say what to do', async () => {
  const unknown = await flotilla('start', 'nobody');
  expect(unknown).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("Machine with id 'nobody' not found"),
  });
  const env = { ...host.env, FLOTILLA_URL: 'http://127.0.0.1:9' };
  const unreachable = await runCommand('./flotilla', ['ls'], { env });
  expect(unreachable).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('./flotilla up') });
});
