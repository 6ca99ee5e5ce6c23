/** What people who know docker type, on a daemon without machines. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeApi } from './testing/fake-api.ts';
import { type CliResult, runCli } from './testing/run-cli.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await FakeApi.start();
});
afterEach(() => api[Symbol.asyncDispose]());

const cli = (...args: string[]): Promise<CliResult> => runCli(args, { env: { FLOTILLA_URL: api.url } });
const out = async (...args: string[]) => (await cli(...args)).stdout.toString();
const requests = () => api.log.filter((entry) => /^(list|update|deleted) /.test(entry));

describe('the words of a command', () => {
  test.each([
    ['exec', 'web', 'exit', '3'],
    ['exec', 'web', '--', 'exit', '3'],
    ['exec', '-e', 'A=1', 'web', 'exit', '3'],
    ['exec', 'web', '-w', '/tmp', '--env=A=1', 'exit', '3'],
    ['run', '--rm', '-m', '128m', 'busybox', 'exit', '3'],
    ['run', '--rm=true', '--tty=false', 'busybox', 'exit', '3'],
    ['run', '-e', 'A=1', 'busybox', '--', 'exit', '3'],
  ])('%s %s %s %s …', async (...args) => {
    api.add('web');
    expect(await cli(...args)).toMatchObject({ code: 3, stderr: '' });
  });

  test('options and -- of the command stay its own', async () => {
    api.add('web');
    const told = async (...words: string[]) => JSON.parse(await out('exec', 'web', ...words)).command;
    expect(await told('show', '-la', '--', '--timeout')).toEqual(['show', '-la', '--', '--timeout']);
    expect(await told('--', 'show', '-e')).toEqual(['show', '-e']);
    expect(await told('-w', '/', 'show', '-w')).toEqual(['show', '-w']);
  });
});

describe('an image by another system’s reference', () => {
  const note = '`alpine:latest` is not an image of this host; an alias maps it to debian-12\n';
  test('create and run say which image it is, on stderr', async () => {
    expect(await cli('create', 'alpine:latest', '--name', 'web')).toMatchObject({ code: 0, stderr: note });
    expect(await cli('run', 'alpine:latest', 'exit', '3')).toMatchObject({ code: 3, stderr: note });
    expect(await out('get', 'web')).toMatch(/^image +debian-12\nnote +`alpine:latest` is not/m);
  });

  test('is a filter of ls as it is written', async () => {
    await cli('ls', '--filter', 'image=ghcr.io/org/app:1');
    expect(requests()).toEqual(['list image=ghcr.io%2Forg%2Fapp%3A1&limit=500&offset=0']);
  });
});

describe('ls', () => {
  test('answers to ps, and takes its -a', async () => {
    api.add('web', 'stopped');
    expect(await out('ps', '-a', '-q')).toBe('id0000000000\n');
  });

  test('asks the API for what matches', async () => {
    await cli('ls', '--filter', 'status=running,label=a=1,2', '--filter', 'label=b', '--sort', '-name');
    await cli('ps', '--filter', 'image=busybox');
    expect(requests()).toEqual([
      'list status=running&label=a%3D1%2C2&label=b&sort=-name&limit=500&offset=0',
      'list image=busybox&limit=500&offset=0',
    ]);
  });

  test.each([
    ['--filter', 'status=running,stopped', '--filter', 'image=busybox'],
    ['--filter', 'status=running,status=stopped,image=busybox'],
    ['--filter', 'status=running', '--filter', 'status=stopped', '--filter', 'image=busybox'],
    ['--status', 'running', '--status', 'stopped', '--filter', 'image=busybox'],
    ['--state', 'running,stopped', '--filter', 'image=busybox'],
    ['--status', 'running', '--filter', 'status=stopped,image=busybox'],
  ])('several statuses are one list: %s %s', async (...args) => {
    await cli('ls', ...args);
    expect(requests()).toEqual(['list status=running&status=stopped&image=busybox&limit=500&offset=0']);
  });

  test('shows machines with any of the statuses, any of the images and all of the labels', async () => {
    api.add('a', 'running', { image: 'x', labels: { t: '1' } });
    api.add('b', 'stopped', { image: 'y', labels: { t: '1', u: '2' } });
    api.add('c', 'failed', { image: 'x', labels: { t: '1', u: '2' } });
    const names = (...filters: string[]) =>
      out('ls', '--format', '{{name}}', ...filters.flatMap((filter) => ['--filter', filter]));
    expect(await names('status=running,stopped')).toBe('a\nb\n');
    expect(await names('image=x', 'image=y', 'label=t', 'label=u=2')).toBe('b\nc\n');
    expect(await names('status=running', 'label=u')).toBe('');
  });

  test.each(['', 'running', 'colour=red', 'status=odd', 'status=running,odd', 'label=', 'image='])(
    'refuses the filter %j',
    async (filter) => {
      expect(await cli('ls', '--filter', filter)).toMatchObject({ code: 2 });
      expect(api.log).toEqual([]);
    },
  );

  test('prints what a template says, a line a machine', async () => {
    api.add('web', 'running', { labels: { team: 'a' } });
    api.add('db', 'stopped', { labels: {} });
    const format = '{{name}} {{labels.team | default: "-"}} {% if status == "running" %}up{% endif %}';
    expect(await out('ls', '--format', format)).toBe('web a up\ndb - \n');
    expect(JSON.parse(await out('ls', '--format', 'json'))).toMatchObject({ total: 2 });
    expect(await out('inspect', 'web', '--format', '{{id}}')).toBe('id0000000000\n');
  });

  test.each(['{{nothing}}', '{{name', '{% include "/etc/hostname" %}', '{{name | odd}}'])(
    'refuses the template %j in words',
    async (format) => {
      api.add('web');
      const result = await cli('ls', '--format', format);
      expect(result).toMatchObject({ code: 2, stdout: Buffer.alloc(0) });
      expect(result.stderr).toMatch(/^error: The format cannot be used: [^\n]+\nhint: /);
    },
  );
});

describe('an id may be given by its beginning', () => {
  test('where one machine’s alone begins so', async () => {
    api.add('web', 'running', {});
    const [machine] = api.machines.values();
    expect(await out('get', '--format', '{{name}}', machine?.id.slice(0, 5) ?? '')).toBe('web\n');
    expect(await cli('stop', 'id000')).toMatchObject({ code: 0 });
    expect(await cli('rm', 'id0')).toMatchObject({ code: 0 });
  });

  test('and not where several do, or with fewer than three characters', async () => {
    api.add('web');
    api.add('db');
    const several = await cli('rm', '-f', 'id000');
    expect(several).toMatchObject({ code: 1 });
    expect(several.stderr).toContain('2 machines have an id that begins with id000\n');
    expect(several.stderr).toContain('(web), id0000000001 (db)');
    expect((await cli('get', 'id')).stderr).toContain("Machine with id 'id' not found");
    expect(api.machines.size).toBe(2);
  });
});

describe('rm and prune', () => {
  const add = () => {
    api.add('a', 'running', { labels: { team: 'web' } });
    api.add('b', 'stopped', { labels: { team: 'web' } });
    api.add('c', 'failed');
    api.add('d', 'pending');
  };
  const left = () => [...api.machines.values()].map(({ name }) => name).join('');

  test('rm --all removes all that it may, with -f all', async () => {
    add();
    expect(await cli('rm', '--all')).toMatchObject({ code: 1 });
    expect(left()).toBe('a');
    expect(await out('rm', '-f', '--all')).toBe('a\n');
    expect(await cli('rm', '--all')).toMatchObject({ code: 0, stderr: 'No machines to remove\n' });
  });

  test('rm --filter removes what matches', async () => {
    add();
    await cli('rm', '-f', '--filter', 'label=team=web');
    expect(left()).toBe('cd');
  });

  test.each([[[]], [['a', '--all']], [['a', '--filter', 'status=failed']]])(
    'rm %j is refused',
    async (args) => {
      add();
      expect(await cli('rm', ...args)).toMatchObject({ code: 2 });
      expect(left()).toBe('abcd');
    },
  );

  test('prune removes what has stopped or failed, when it is told to', async () => {
    add();
    const asked = await cli('prune');
    expect(asked).toMatchObject({ code: 2 });
    expect(asked.stderr).toContain('--force removes without asking');
    expect(await out('prune', '--dry-run')).toBe('b\nc\n');
    expect(left()).toBe('abcd');
    expect(JSON.parse(await out('prune', '-f', '--json', '--filter', 'label=team'))).toEqual({
      deleted: ['b'],
    });
    expect(await out('prune', '--force')).toBe('c\n');
    expect(left()).toBe('ad');
  });
});

describe('second spellings', () => {
  test('--vcpus, --cwd, --tail, --lifetime and --state mean --cpus, --workdir, --lines, --ttl and --status', async () => {
    await cli('create', 'busybox', '--name', 'web', '--vcpus', '2', '--lifetime', '2h');
    await cli('templates', 'create', 'small', 'busybox', '--vcpus', '3');
    expect(api.createBodies).toMatchObject([{ vcpu_count: 2, lifetime_seconds: 7200 }]);
    expect(api.nouns.templates).toMatchObject([{ vcpu_count: 3 }]);
    api.add('run');
    expect(JSON.parse(await out('exec', '--cwd', '/tmp', 'run', 'show')).cwd).toBe('/tmp');
    expect(await cli('wait', 'run', '--state', 'running')).toMatchObject({ code: 0 });
    expect(await cli('logs', '--tail', '0', 'run')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("Option '--tail <count>' argument '0' is invalid"),
    });
  });

  test('are not in the help', async () => {
    for (const command of ['create', 'exec', 'ls', 'wait', 'console'])
      expect(await out(command, '--help')).not.toMatch(/--(vcpus|cwd|tail|lifetime|state)\b/);
  });
});

describe('create, update and rename', () => {
  test('create takes sizes, variables, a lifetime and a restart policy', async () => {
    const words = ['-m', '2g', '--disk', '1.5GiB', '-e', 'A=1', '--ttl', '2h', '--restart', 'always'];
    expect(await cli('create', 'busybox', '--name', 'web', ...words)).toMatchObject({ code: 0 });
    expect(api.createBodies).toEqual([
      {
        ...{ name: 'web', image: 'busybox', vcpu_count: 1, mem_size_mib: 2048, disk_size_mib: 1536 },
        ...{ lifetime_seconds: 7200, restart: 'always', env: { A: '1' } },
      },
    ]);
  });

  test.each([
    ['--memory', '512k'],
    ['--memory', '1.0001g'],
    ['--memory', '3m'],
    ['--memory', '-1'],
    ['--ttl', '0s'],
    ['--ttl', '1y'],
    ['--ttl', '3651d'],
    ['--restart', 'sometimes'],
  ])('create %s %s is refused', async (...words) => {
    expect(await cli('create', ...words)).toMatchObject({ code: 2 });
    expect(api.log).toEqual([]);
  });

  test('update sends what is to change', async () => {
    api.add('web');
    const words = ['-l', 'a=1', '--label-rm', 'b', '-e', 'C=3', '--env-rm', 'D', '--restart', 'no'];
    expect(await out('update', 'web', '--ttl', 'none', '-m', '1g', ...words)).toBe('web\n');
    const changes = {
      ...{ labels: { b: null, a: '1' }, env: { D: null, C: '3' }, lifetime_seconds: null },
      ...{ restart: 'no', mem_size_mib: 1024 },
    };
    expect(requests()).toEqual([`update web ${JSON.stringify(changes)}`]);
    expect(await cli('update', 'web')).toMatchObject({ code: 2 });
  });

  test('create and update say what happens at the end of a lifetime, and when it counts', async () => {
    await cli(
      'create',
      'busybox',
      '--name',
      'web',
      '--ttl',
      '2h',
      '--on-expire',
      'suspend',
      '--ttl-counts',
      'always',
    );
    const asked = { lifetime_seconds: 7200, on_expire: 'suspend', lifetime_counts: 'always' };
    expect(api.createBodies).toMatchObject([asked]);
    await cli('update', 'web', '--on-expire', 'delete', '--ttl-counts', 'unless_paused');
    const changes = { on_expire: 'delete', lifetime_counts: 'unless_paused' };
    expect(requests().at(-1)).toBe(`update web ${JSON.stringify(changes)}`);
    expect(await cli('update', 'web', '--on-expire', 'explode')).toMatchObject({ code: 2 });
  });

  test.each([
    [{ expires_at: '2030-01-01T00:00:00Z', on_expire: 'delete' }, /^expires +2030-.*: delete$/m],
    [
      { expires_at: null, on_expire: 'stop', lifetime_remaining_seconds: 90 },
      /stop 90 s after it goes on; its/,
    ],
    [{ expires_at: null, on_expire: 'pause', lifetime_seconds: 60 }, /ended; pause 60 s after it runs again/],
  ])('get says when a lifetime ends: %o', async (fields, shown) => {
    api.add('web', 'paused', fields);
    expect(await out('get', 'web')).toMatch(shown);
    api.add('other', 'running', { expires_at: null });
    expect(await out('get', 'other')).not.toContain('expires');
  });

  test('update exposes ports and takes them back, and keeps the others', async () => {
    api.add('web', 'running', { exposed_ports: [80, 443] });
    await cli('update', 'web', '--expose', '8080,443', '--expose', '9090', '--expose-rm', '80');
    expect(requests()).toEqual([
      'update web {"exposed_ports_add":[8080,443,9090],"exposed_ports_remove":[80]}',
    ]);
    expect(await cli('update', 'web', '--expose', '0')).toMatchObject({ code: 2 });
  });

  test('rename gives another name', async () => {
    api.add('web');
    expect(await out('rename', 'web', 'shop')).toBe('shop\n');
    expect(requests()).toEqual(['update web {"name":"shop"}']);
  });
});

test('a key that is set but empty is refused, so that no other stands in for it', async () => {
  const result = await runCli(['ls'], { env: { FLOTILLA_URL: api.url, FLOTILLA_KEY: '' } });
  expect(result).toMatchObject({ code: 2, stdout: Buffer.alloc(0) });
  expect(result.stderr).toMatch(/^error: FLOTILLA_KEY is set but empty\nhint: /);
  expect(api.log).toEqual([]);
});

describe('profiles', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'flotilla-cli-'));
  });
  afterEach(() => rmSync(home, { recursive: true }));
  const key = `hf_12345678${'x'.repeat(24)}`;
  const profile = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    runCli(args, {
      env: { XDG_CONFIG_HOME: home, FLOTILLA_PROFILE: '', ...env },
      stdin: Buffer.from(`${key}\n`),
    });
  const set = (name: string, url = api.url) => profile(['profile', 'set', name, '--url', url, '--key-stdin']);

  test('there may be several, one of which is used', async () => {
    await set('lab');
    await set('prod', 'http://127.0.0.1:9');
    expect(await profile(['profile', 'use', 'lab'])).toMatchObject({
      code: 0,
      stderr: 'Using profile lab\n',
    });
    expect(await profile(['ls'])).toMatchObject({ code: 0, stderr: 'No machines\n' });
    expect((await profile(['ls'], { FLOTILLA_PROFILE: 'prod' })).stderr).toContain('127.0.0.1:9');
    const listed = await profile(['profile', 'ls', '--json']);
    expect(JSON.parse(listed.stdout.toString())).toEqual([
      { name: 'lab', in_use: true, url: api.url },
      { name: 'prod', in_use: false, url: 'http://127.0.0.1:9' },
    ]);
    expect((await profile(['profile', 'ls', '-q'])).stdout.toString()).toBe('lab\nprod\n');
    const shown = (await profile(['profile', 'show', 'prod'])).stdout.toString();
    expect(shown).toContain(join(home, 'flotilla/profiles/prod.json'));
    expect(shown).not.toContain(key);
  });

  test('one that was chosen and is gone is an error, not another daemon', async () => {
    await set('lab');
    await profile(['profile', 'use', 'lab']);
    await profile(['profile', 'rm', 'lab']);
    const result = await profile(['ls']);
    expect(result).toMatchObject({ code: 2 });
    expect(result.stderr).toContain("There is no profile 'lab'");
    expect(await profile(['profile', 'use', 'nope'])).toMatchObject({ code: 1 });
    expect(await profile(['profile', 'use', 'default'])).toMatchObject({ code: 1 });
  });

  test.each(['..', 'a/../b', '', '.hidden', 'x'.repeat(64)])('no profile is called %j', async (name) => {
    expect((await set(name)).code).toBe(2);
  });
});
