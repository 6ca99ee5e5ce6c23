/** `flotilla env`, `templates` and `quotas` as child processes, against the real HTTP server and core, without guests. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CliResult, runCli } from '../../cli/testing/run-cli.ts';
import { AppError } from '../../src/core/errors.ts';
import type { HttpServer } from '../../src/http/server.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../support/fake.ts';
import { repository } from '../support/host.ts';

const example = join(repository, 'docs/env.yaml');

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let directory: string;
beforeEach(async () => {
  fake = await startFake();
  fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
  ({ server, url } = await serveFake(fake));
  directory = await mkdtemp(join(tmpdir(), 'cli-env-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
  await server.close(0);
  await fake.close();
});

const cli = (...args: string[]): Promise<CliResult> =>
  runCli(args, { env: { FLOTILLA_URL: url, FLOTILLA_KEY: testKey } });

/** What a command prints that must succeed without a word on stderr. */
async function said(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cli(...args);
  expect({ code, stderr }, args.join(' ')).toEqual({ code: 0, stderr: '' });
  return stdout.toString();
}

async function fileOf(text: string): Promise<string> {
  const path = join(directory, 'env.yaml');
  await writeFile(path, text);
  return path;
}

describe('env', () => {
  test('the example of the documentation is created, seen, stopped, started, extended and removed by its file', async () => {
    expect(await said('env', 'create', '-f', example)).toBe('demo\n');
    expect(await said('env', 'ls')).toMatch(/^NAME +OWNER +STATE +EXPIRES +AGE\ndemo +active +2\d{3}-/);
    expect(await said('env', 'ls', '-q')).toBe('demo\n');
    const shown = await said('env', 'get', '-f', example);
    expect(shown).toMatch(/^name +demo\n/);
    for (const name of ['demo-web', 'demo-worker-1', 'demo-worker-2'])
      expect(shown).toMatch(new RegExp(`^${name} +\\w{12} +running +busybox$`, 'm'));
    expect(JSON.parse(await said('inspect', 'demo-web', '--json'))).toMatchObject({
      ...{ mem_size_mib: 128, labels: { tier: 'front' }, env: { GREETING: 'hello' } },
    });
    expect(await said('env', 'extend', 'demo', '--ttl', '1h')).toMatch(/^2\d{3}-.*Z\n$/);
    expect(await said('env', 'stop', '-f', example)).toBe('demo\n');
    expect(await said('ls', '--filter', 'status=paused', '-q')).toMatch(/^(\w{12}\n){3}$/);
    expect(await said('env', 'get', 'demo')).toContain('its lifetime does not count down');
    expect(await said('env', 'start', 'demo')).toBe('demo\n');
    expect(await said('env', 'rm', '-f', example)).toBe('demo\n');
    expect(await cli('ls')).toMatchObject({ code: 0, stderr: 'No machines\n' });
    expect((await cli('env', 'ls')).stderr).toBe('No environments; flotilla env create -f FILE makes one\n');
  });

  test('one file makes several environments, with a name and a lifetime of the command line', async () => {
    const path = await fileOf('owner: alice\nmachines:\n  web: { image: busybox }\n');
    expect(await said('env', 'create', 'one', '-f', path, '--ttl', '30m')).toBe('one\n');
    const two = JSON.parse(await said('env', 'create', 'two', '-f', path, '--json'));
    expect(two).toMatchObject({
      id: 'two',
      owner: 'alice',
      machines: [{ name: 'two-web', status: 'running' }],
    });
    expect(await said('env', 'ls', '--owner', 'alice', '-q')).toBe('two\none\n');
    expect(await said('env', 'ls', '--owner', 'bob', '--json')).toContain('"total": 0');
    expect(JSON.parse(await said('env', 'rm', 'one', 'two', '--json'))).toEqual({ deleted: ['one', 'two'] });
  });

  test('a machine that fails and a lifetime that is too long are warnings', async () => {
    const path = await fileOf(
      'name: ci\nlifetime: 7d\nmachines:\n  a: { image: busybox }\n  b: { image: busybox }\n',
    );
    fake.driver.failNext('launch', new AppError('engine', 'the VMM ended at once'));
    const { code, stdout, stderr } = await cli('env', 'create', '-f', path);
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 0, stdout: 'ci\n' });
    expect(stderr).toMatch(/ci-[ab].*VMM ended at once/);
    expect(stderr).toMatch(/lifetime/i);
  });

  test.each([
    [
      'a field that is not known',
      'name: a\nmachines:\n  web:\n    imgae: busybox',
      'line 4: machines.web.imgae is not a field',
    ],
    ['what is not YAML', 'name: a\nmachines: [', 'line 2: '],
    ['no name', 'machines:\n  web: {}', 'the environment has no name'],
  ])('a file with %s is refused before anything is made', async (_, text, message) => {
    const { code, stdout, stderr } = await cli('env', 'create', '-f', await fileOf(text));
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toMatch(/^error: /);
    expect((await cli('env', 'ls')).stderr).toMatch(/^No environments/);
  });

  test('what the daemon refuses is said with what to do', async () => {
    const path = await fileOf('name: ci\nmachines:\n  web: { image: nginx }');
    const { code, stderr } = await cli('env', 'create', '-f', path);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: No image "nginx"\nhint: There is: busybox, debian-12\./);
    expect(await cli('env', 'get', 'ci')).toMatchObject({
      code: 1,
      stderr: 'error: Environment not found: ci\nhint: flotilla env ls shows the environments there are\n',
    });
    await said('env', 'create', '-f', example);
    expect((await cli('env', 'create', '-f', example)).stderr).toMatch(/^error: .*demo.* already exists/);
  });

  test.each([
    [['env', 'rm'], 'Which environment?'],
    [['env', 'get', 'demo', '-f', example], 'Name environments, or their file, not both'],
    [['env', 'create'], "Required option '-f, --file <path>' not specified"],
    [['env', 'rm', '-f', '/none.yaml'], '/none.yaml: ENOENT'],
    [['env', 'extend', 'demo', '--ttl', 'soon'], 'It must look like 90s, 30m, 2h or 7d'],
  ])('%j: a mistake of use', async (args, message) => {
    const { code, stderr } = await cli(...args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
  });
});

describe('templates', () => {
  test('give machines and environments what they leave out', async () => {
    const made = ['small', 'busybox', '--memory', '96m', '--description', 'little ones'];
    expect(await said('templates', 'create', ...made)).toBe('small\n');
    expect(await said('templates', 'ls')).toMatch(/^small +busybox +1 +96 MiB +default +little ones /m);
    expect(await said('templates', 'get', 'small')).toMatch(/^memory +96 MiB$/m);
    await said('create', '--template', 'small', '--name', 'web');
    const path = await fileOf(
      'name: ci\nmachines:\n  db: { template: small }\n  big: { template: small, memory: 1g }\n',
    );
    await said('env', 'create', '-f', path);
    const sizes = async (name: string) => JSON.parse(await said('inspect', name, '--json')).mem_size_mib;
    expect([await sizes('web'), await sizes('ci-db'), await sizes('ci-big')]).toEqual([96, 96, 1024]);
    // The first word is the command’s: its image is the template’s.
    expect(await said('run', '--template', 'small', 'sh', '-c', 'true')).toBe('');
    expect(await said('run', '--template=small', '--', 'sh', '-c', 'true')).toBe('');
    expect(await said('templates', 'rm', 'small')).toBe('small\n');
    expect((await cli('create', '--template', 'small')).stderr).toMatch(/^error: .*small/);
    expect(await sizes('web')).toBe(96);
  });
});

describe('quotas', () => {
  test('limit what a tenant makes, alone or in an environment, until they are removed', async () => {
    const set = await said('quotas', 'set', 'default', '--machines', '2', '--memory', '1g');
    expect(set).toMatch(/^tenant +default\nlimits +its own\nmachines +0 of 2\ncpus +0 of unlimited\n/);
    const refused = await cli('env', 'create', '-f', example);
    expect({ code: refused.code, stderr: refused.stderr }).toEqual({
      ...{
        code: 1,
        stderr: expect.stringMatching(/^error: Machine quota exceeded: 0 of 2 are used, and 3 more/),
      },
    });
    expect(await said('ls', '--json')).toContain('"total": 0');
    await said('create', 'busybox', '--name', 'one');
    expect((await cli('create', 'busybox', '--memory', '2g')).stderr).toMatch(
      /^error: Memory quota exceeded: 128 of 1024 MiB/,
    );
    expect(await said('quotas', 'get', 'default')).toMatch(/^machines +1 of 2\n/m);
    expect(await said('quotas', 'ls')).toMatch(/^default +2 +unlimited +1 GiB +unlimited$/m);
    expect(JSON.parse(await said('quotas', 'get', 'default', '--json'))).toMatchObject({
      ...{ limits: { machines: 2, memory_mib: 1024 }, used: { machines: 1 }, is_default: false },
    });
    expect(await said('quotas', 'rm', 'default')).toBe('default\n');
    expect(await said('env', 'create', '-f', example)).toBe('demo\n');
  });

  test('are read by the tenant and set by the operator', async () => {
    const { stdout } = await cli(
      'keys',
      'create',
      '--name',
      'a',
      '--scope',
      'machines:read',
      '--tenant',
      'team-a',
    );
    const env = { FLOTILLA_URL: url, FLOTILLA_KEY: stdout.toString().trim() };
    expect(await runCli(['quotas', 'get', 'team-a'], { env })).toMatchObject({ code: 0 });
    const refused = await runCli(['quotas', 'set', 'team-a', '--machines', '1'], { env });
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/^error: /) });
  });
});
