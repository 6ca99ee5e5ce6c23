/** Keys, images, consoles, environments, templates and quotas with `./flotilla` against a real daemon and real guests. */
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { runCommand, startTestHost, type TestHost } from '../support/host.ts';

// Other tests may use both cores; a guest boots in seconds or in a minute.
vi.setConfig({ testTimeout: 300_000 });

let host: TestHost;
let work: string;
beforeAll(async () => {
  host = await startTestHost();
  work = await mkdtemp(join(tmpdir(), 'roots-'));
});
afterAll(async () => {
  await host.close();
  await rm(work, { recursive: true });
});

const flotilla = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  runCommand('./flotilla', args, { env: { ...host.env, ...env } });

/** Makes a busybox root directory by hand. */
async function makeRoot(): Promise<string> {
  const root = join(work, 'root');
  for (const path of ['bin', 'dev', 'etc', 'proc', 'sys', 'run', 'tmp']) {
    await mkdir(join(root, path), { recursive: true });
  }
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  await chmod(join(root, 'bin/busybox'), 0o755);
  for (const name of ['sh', 'cat', 'sync']) await symlink('busybox', join(root, 'bin', name));
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  await writeFile(join(root, 'etc/made-by'), 'the test\n');
  return root;
}

test('a read-only key can list, but change nothing', async () => {
  const made = await flotilla([
    'keys',
    'create',
    '--name',
    'looker',
    '--scope',
    'machines:read',
    '--expires',
    '1h',
  ]);
  expect(made.exitCode, made.stderr).toBe(0);
  const key = made.stdout.toString();
  expect(key).toMatch(/^hf_\w{32}\n$/);
  const [, id = ''] = /^Key (\w+) may machines:read until /.exec(made.stderr) ?? [];
  const looker = { FLOTILLA_KEY: key.trim() };
  expect(await flotilla(['ls'], looker)).toMatchObject({ exitCode: 0, stderr: 'No machines\n' });
  const refused = await flotilla(['create', 'busybox'], looker);
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toBe(
    'error: Insufficient permissions for this action\nhint: Use a key with the scope machines:write\n',
  );
  expect(await flotilla(['start', 'web'], looker)).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('machines:write'),
  });
  expect((await flotilla(['keys', 'ls'])).stdout.toString()).toMatch(
    new RegExp(`^${id} +looker +hf_\\w{8} +good`, 'm'),
  );
  expect((await flotilla(['keys', 'revoke', id])).stdout.toString()).toBe(`${id}\n`);
  expect(await flotilla(['ls'], looker)).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('hint: The key came from FLOTILLA_KEY'),
  });
});

test('a profile gives access without environment variables', async () => {
  const path = join(work, 'profile.json');
  const bare = {
    FLOTILLA_PROFILE: path,
    FLOTILLA_URL: '',
    FLOTILLA_KEY: undefined,
    FLOTILLA_STATE_DIR: work,
  };
  await writeFile(path, JSON.stringify({ url: host.url, key: host.key }), { mode: 0o600 });
  expect(await flotilla(['ls'], bare)).toMatchObject({ exitCode: 0, stderr: 'No machines\n' });
});

test('a directory becomes an image, a command runs in it, and its console can be read', async () => {
  const root = await makeRoot();
  const imported = await flotilla(['images', 'import', 'mine', root]);
  expect(imported.exitCode, imported.stderr).toBe(0);
  expect(imported.stdout.toString()).toBe('mine\n');
  expect(imported.stderr).toMatch(/^Sending .*\nSent \d+\.\d MB, making the file system…\n$/);
  expect(JSON.parse((await flotilla(['images', 'get', 'mine', '--json'])).stdout.toString())).toMatchObject({
    name: 'mine',
    built_in: false,
    shared: false,
  });
  const again = await flotilla(['images', 'import', 'mine', root]);
  expect(again).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("An image named 'mine' exists already"),
  });

  const words = ['run', 'mine', '--name', 'web', '--keep', '--', 'sh', '-c'];
  const ran = await flotilla([...words, 'cat /etc/made-by; echo to-the-console >/dev/console']);
  expect(ran.exitCode, ran.stderr).toBe(0);
  expect(ran.stdout.toString()).toBe('the test\n');
  let seen = '';
  const followed = await runCommand('./flotilla', ['console', 'web', '--follow'], {
    env: host.env,
    onOutput: (text, kill) => {
      seen += text;
      if (seen.includes('to-the-console')) kill('SIGINT');
    },
  });
  expect(followed).toMatchObject({ exitCode: 130, stderr: '' });
  const shown = JSON.parse((await flotilla(['console', 'web', '--json'])).stdout.toString());
  expect(shown).toMatchObject({ machine: 'web', text: expect.stringContaining('to-the-console') });
  expect((await flotilla(['ops', 'ls', '--machine', 'web'])).stdout.toString()).toMatch(
    / machine\.start .* succeeded/,
  );

  const inUse = await flotilla(['images', 'rm', 'mine']);
  expect(inUse).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('is used by') });
  expect((await flotilla(['rm', '-f', 'web'])).exitCode).toBe(0);
  expect((await flotilla(['images', 'rm', 'mine'])).stdout.toString()).toBe('mine\n');
});

test('an environment of a file, a template and a quota, with real guests', async () => {
  const path = join(work, 'env.yaml');
  await writeFile(
    path,
    [
      'name: crew\nlifetime: 1h\nmachines:\n',
      '  web:\n    template: little\n    env: { ROLE: front }\n',
      '    user_data: |\n      #!/bin/sh\n      echo provisioned > /root/mark\n',
      '  db: { template: little, labels: { tier: back } }\n',
    ].join(''),
  );
  const said = async (...args: string[]) => {
    const { exitCode, stdout, stderr } = await flotilla(args);
    expect(exitCode, `${args.join(' ')}: ${stderr}`).toBe(0);
    return stdout.toString();
  };
  expect(await said('templates', 'create', 'little', 'busybox', '--memory', '96m')).toBe('little\n');
  await said('quotas', 'set', 'default', '--machines', '2');
  expect(await said('env', 'create', '-f', path)).toBe('crew\n');
  expect(await said('exec', 'crew-web', '--', 'sh', '-c', 'echo $(hostname) $ROLE')).toBe('crew-web front\n');
  await host.client.machines.exec('crew-web', {
    command: ['sh', '-c', 'until [ -s /root/mark ]; do sleep 0.1; done'],
    timeout: 60,
  });
  const third = await flotilla(['create', 'busybox']);
  expect(third).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('2 of 2 are used') });

  expect(await said('env', 'stop', '-f', path)).toBe('crew\n');
  expect(await said('ls', '--filter', 'status=paused')).toMatch(/^crew-db .*\n.*crew-web /m);
  expect(await said('env', 'start', 'crew')).toBe('crew\n');
  expect(await said('exec', 'crew-web', '--', 'cat', '/root/mark')).toBe('provisioned\n');
  const before = JSON.parse(await said('env', 'get', 'crew', '--json')).expires_at;
  expect((await said('env', 'extend', 'crew', '--ttl', '2h')) > before).toBe(true);
  const shown = JSON.parse(await said('env', 'get', 'crew', '--json'));
  expect(shown).toMatchObject({ state: 'active', warnings: [] });
  expect(await said('env', 'rm', '-f', path)).toBe('crew\n');
  expect(await host.client.machines.list()).toMatchObject({ total: 0 });
  await said('quotas', 'rm', 'default');
  await said('templates', 'rm', 'little');
});
