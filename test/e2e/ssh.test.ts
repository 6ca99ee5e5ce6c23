/** The SSH gateway with OpenSSH's own client, and a real guest that has no sshd. */

import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FlotillaClient } from '../../sdk/src/index.ts';
import { parsePublicKey } from '../../src/core/ssh/public-key.ts';
import { freePort } from '../../src/lib/free-port.ts';
import { launchDaemon, makeStateDirectory } from '../support/daemon.ts';
import { repository, runCommand, startTestHost, type TestHost } from '../support/host.ts';
import { packHostPrograms } from '../support/host-programs.ts';
import { startPty } from '../support/pty.ts';
import { SshClients } from '../support/ssh.ts';

let host: TestHost;
let clients: SshClients;
beforeAll(async () => {
  host = await startTestHost();
  const [address] = host.daemon.ssh.addresses;
  clients = await SshClients.make({ port: address?.port ?? 0, hostKey: host.daemon.ssh.hostKey });
  const publicKey = await clients.key('me');
  const { machines } = host.client;
  const spec = { vcpu_count: 1, mem_size_mib: 192, image: 'busybox' };
  await machines.create({ ...spec, name: 'web', ssh_keys: [await clients.key('own')] });
  await machines.start('web');
  await host.client.sshKeys.create({ public_key: publicKey });
});
afterAll(async () => {
  await clients.close();
  await host.close();
});

const port = () => host.daemon.ssh.addresses[0]?.port ?? 0;
const me = { identity: 'me' };
const said = async (command: string, run = {}) => {
  const { exitCode, stdout, stderr } = await clients.ssh('web', [command], { ...me, ...run });
  return { exitCode, stdout: stdout.toString(), stderr };
};

/** A web server in the guest, on port 8080. */
const serving = () =>
  said(
    'mkdir /run/serving && mkdir -p /srv/www && echo served >/srv/www/index.html && httpd -p 8080 -h /srv/www',
  );

describe('a command', () => {
  test('has its exit code, its streams apart, and the guest’s environment', async () => {
    expect(await said('echo out; echo err >&2; hostname; id -un; pwd; exit 7')).toEqual({
      exitCode: 7,
      stdout: 'out\nweb\nroot\n/root\n',
      stderr: 'err\n',
    });
    expect(await said('kill -9 $$')).toMatchObject({ exitCode: 255 });
    const { stderr } = await clients.run(
      'ssh',
      ['-v', '-p', String(port()), 'web@127.0.0.1', 'kill -TERM $$'],
      me,
    );
    expect(stderr).toMatch(/client_input_channel_req: channel 0 rtype exit-signal/);
    expect(await said('no-such-program')).toMatchObject({ exitCode: 127 });
  });

  test('gets its input to the end, unchanged', async () => {
    const input = randomBytes(1_000_000);
    const digest = createHash('sha256').update(input).digest('hex');
    expect(await said('sha256sum', { input })).toEqual({ exitCode: 0, stdout: `${digest}  -\n`, stderr: '' });
    const { stdout } = await clients.ssh('web', ['cat'], { ...me, input });
    expect(stdout.equals(input)).toBe(true);
  });

  test('runs as a user of the guest', async () => {
    await said('grep -q ^bob: /etc/passwd || echo bob:x:1001:1001::/tmp:/bin/sh >>/etc/passwd');
    const { stdout } = await clients.ssh('bob+web', ['id -un; pwd'], me);
    expect(stdout.toString()).toBe('bob\n/tmp\n');
  });

  test('with an API key as password; a wrong one is refused', async () => {
    const password = host.key;
    expect((await clients.ssh('web', ['echo hi'], { password })).stdout.toString()).toBe('hi\n');
    const refused = await clients.ssh('web', ['echo hi'], { password: `hf_${'x'.repeat(32)}` });
    expect(refused).toMatchObject({ exitCode: 255 });
    expect(refused.stderr).toMatch(/Permission denied/);
  });

  test('on a machine that is not there is refused in words', async () => {
    const { exitCode, stderr } = await clients.ssh('nobody', ['true'], me);
    expect(exitCode).toBe(255);
    expect(stderr).toMatch(/^flotilla: Machine with id 'nobody' not found\r?\n/);
  });
});

describe('a terminal', () => {
  const words = (...rest: string[]) =>
    clients.words({ ...me, options: ['-tt', '-p', String(port())] }, 'web@127.0.0.1', ...rest);

  test('changes its size with the client’s, and its keys are signals', async () => {
    const traps = "trap 'stty size' WINCH; trap 'echo stopped; exit 9' INT";
    const pty = startPty(words(`${traps}; stty size; while :; do sleep 0.1; done`), clients.env());
    await pty.says('24 80\r\n');
    pty.resize(33, 111);
    await pty.says('33 111\r\n');
    pty.type('\x03');
    await pty.says('stopped\r\n');
    expect(await pty.done).toBe(9);
  });

  test('has its size, its name and a login shell', async () => {
    const input = 'stty size; echo $TERM; tty; exit 3\n';
    const { exitCode, stdout } = await clients.ssh('web', [], { ...me, input, options: ['-tt'] });
    expect(exitCode).toBe(3);
    expect(stdout.toString()).toMatch(/\d+ \d+\r\n.*\r\n\/dev\/pts\/\d+/s);
  });
});

describe('files', () => {
  const content = randomBytes(3_000_000);

  test('sftp puts, gets, resumes, renames, links, lists and removes', async () => {
    await writeFile(clients.path('big'), content, { mode: 0o755 });
    await writeFile(clients.path('part'), content.subarray(0, 1_000_000));
    const batch = [
      'mkdir /tmp/d',
      `put ${clients.path('big')} /tmp/d/big`,
      'symlink /tmp/d/big /tmp/d/link',
      'rename /tmp/d/big /tmp/d/renamed',
      `reget /tmp/d/renamed ${clients.path('part')}`,
      'chmod 640 /tmp/d/renamed',
      'ls -l /tmp/d',
      'rm /tmp/d/link',
      'pwd',
    ].join('\n');
    await writeFile(clients.path('batch'), batch);
    const args = ['-P', String(port()), '-b', clients.path('batch'), 'web@127.0.0.1'];
    const { exitCode, stdout, stderr } = await clients.run('sftp', args, me);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout.toString()).toMatch(/^l.* \/?.*link$/m);
    expect(stdout.toString()).toMatch(/^-rw-r-----.* 3000000 .*renamed$/m);
    expect(stdout.toString()).toMatch(/Remote working directory: \/root$/m);
    expect((await readFile(clients.path('part'))).equals(content)).toBe(true);
    expect(await said('ls /tmp/d; sha256sum </tmp/d/renamed')).toMatchObject({
      stdout: `renamed\n${createHash('sha256').update(content).digest('hex')}  -\n`,
    });
  });

  test('scp copies trees both ways, and a program stays one', async () => {
    await mkdir(clients.path('tree/below'), { recursive: true });
    await writeFile(clients.path('tree/below/run'), '#!/bin/sh\necho ran\n', { mode: 0o755 });
    const scp = (from: string, to: string) =>
      clients.run('scp', ['-q', '-r', '-P', String(port()), from, to], me);
    expect(await scp(clients.path('tree'), 'web@127.0.0.1:/tmp/copied')).toMatchObject({
      exitCode: 0,
      stderr: '',
    });
    expect(await said('/tmp/copied/below/run')).toMatchObject({ stdout: 'ran\n' });
    expect(await scp('web@127.0.0.1:/tmp/copied', clients.path('back'))).toMatchObject({ exitCode: 0 });
    expect((await stat(clients.path('back/below/run'))).mode & 0o777).toBe(0o755);
    const missing = await scp('web@127.0.0.1:/nothing', clients.path('none'));
    expect(missing).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/No such file/) });
  });
});

describe('programs that work over ssh', () => {
  beforeAll(async () => {
    const { tar, install } = await packHostPrograms(['rsync', 'git']);
    const git = ['upload-pack', 'receive-pack'].map(
      (name) =>
        `printf '#!/bin/sh\nexec git ${name} "$@"\n' >/usr/bin/git-${name}; chmod 755 /usr/bin/git-${name}`,
    );
    const installed = await said([install, ...git].join('; '), { input: tar });
    expect(installed).toMatchObject({ exitCode: 0, stderr: '' });
  });

  test('rsync copies a tree in and out, and only what has changed the second time', async () => {
    const shell = clients.words({ ...me, options: ['-p', String(port())] });
    const rsync = (...args: string[]) =>
      runCommand('rsync', ['-a', '--delete', '--stats', '-e', shell, ...args], { env: clients.env() });
    const content = randomBytes(2_000_000);
    await mkdir(clients.path('from/below'), { recursive: true });
    await writeFile(clients.path('from/below/big'), content, { mode: 0o640 });
    await symlink('below/big', clients.path('from/link'));
    const to = 'web@127.0.0.1:/srv/tree/';
    await said('mkdir -p /srv/tree; touch /srv/tree/gone');
    expect(await rsync(`${clients.path('from')}/`, to)).toMatchObject({ exitCode: 0, stderr: '' });
    const seen = await said(
      'ls /srv/tree; stat -c %a /srv/tree/below/big; readlink /srv/tree/link; sha256sum </srv/tree/link',
    );
    expect(seen.stdout).toBe(
      `below\nlink\n640\nbelow/big\n${createHash('sha256').update(content).digest('hex')}  -\n`,
    );
    await said('echo more >>/srv/tree/below/big');
    const back = await rsync(`${clients.path('from')}/`, to);
    expect(back.stdout.toString()).toMatch(/Number of regular files transferred: 1\n/);
    expect(back.stdout.toString()).toMatch(/Matched data: [1-9]/);
    expect(await rsync(to, clients.path('to'))).toMatchObject({ exitCode: 0, stderr: '' });
    expect((await readFile(clients.path('to/link'))).equals(content)).toBe(true);
    const again = await rsync(to, clients.path('to'));
    expect(again.stdout.toString()).toMatch(/Number of regular files transferred: 0\n/);
  });

  test('git clones a repository of the guest, pushes to it and pulls from it', async () => {
    const env = {
      ...clients.env(),
      ...{
        GIT_SSH_COMMAND: clients.words(me),
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_CONFIG_SYSTEM: '/dev/null',
      },
      ...{
        GIT_AUTHOR_NAME: 'me',
        GIT_AUTHOR_EMAIL: 'me@x',
        GIT_COMMITTER_NAME: 'me',
        GIT_COMMITTER_EMAIL: 'me@x',
      },
    };
    const git = async (at: string, ...args: string[]) => {
      const { exitCode, stdout, stderr } = await runCommand('git', ['-C', clients.path(at), ...args], {
        env,
      });
      expect(exitCode, stderr).toBe(0);
      return stdout.toString();
    };
    expect(await said('git init --quiet --bare --initial-branch=main /srv/code.git')).toMatchObject({
      exitCode: 0,
    });
    const url = `ssh://web@127.0.0.1:${port()}/srv/code.git`;
    await git('.', 'clone', '--quiet', url, 'mine');
    await writeFile(clients.path('mine/blob'), randomBytes(300_000));
    await git('mine', 'add', '.');
    await git('mine', 'commit', '--quiet', '-m', 'one');
    await git('mine', 'push', '--quiet', 'origin', 'HEAD:main');
    await git('.', 'clone', '--quiet', url, 'yours');
    expect(
      (await readFile(clients.path('yours/blob'))).equals(await readFile(clients.path('mine/blob'))),
    ).toBe(true);
    await git('yours', 'commit', '--quiet', '--allow-empty', '-m', 'two');
    await git('yours', 'push', '--quiet', 'origin', 'HEAD:main');
    await git('mine', 'pull', '--quiet', 'origin', 'main');
    expect(await git('mine', 'log', '--format=%s')).toBe('two\none\n');
  });
});

describe('forwarding', () => {
  const fetched = async (...args: string[]) => {
    const { exitCode, stdout } = await runCommand('curl', ['-sS', '-m', '60', ...args], { env: process.env });
    return { exitCode, stdout: stdout.toString() };
  };
  const page = 'http://localhost:8080/index.html';

  test('-L carries connections to a server in the guest, several at once', async () => {
    await serving();
    const socket = clients.path('forwarded');
    const options = ['-L', `${socket}:localhost:8080`, '-o', 'ExitOnForwardFailure=yes'];
    const session = await clients.open('web', 'echo ready; cat', { ...me, options });
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => fetched('--unix-socket', socket, page)),
    );
    expect(answers).toEqual(Array.from({ length: 8 }, () => ({ exitCode: 0, stdout: 'served\n' })));
    expect(await session.end()).toBe(0);
  });

  test('-D is a SOCKS proxy to ports of the guest, as editors use it for a server that they started', async () => {
    const local = await freePort();
    const options = ['-T', '-D', `127.0.0.1:${local}`, '-o', 'ExitOnForwardFailure=yes'];
    // As VS Code does: a shell without a terminal, whose input installs and starts the server.
    const install =
      'mkdir -p /srv/editor; echo edited >/srv/editor/index.html; httpd -p 127.0.0.1:8090 -h /srv/editor; echo ready; cat';
    const session = await clients.open('web', `sh -c '${install}'`, { ...me, options });
    const proxy = ['--proxy', `socks5h://127.0.0.1:${local}`];
    expect(await fetched(...proxy, 'http://127.0.0.1:8090/index.html')).toEqual({
      exitCode: 0,
      stdout: 'edited\n',
    });
    expect(await fetched(...proxy, 'http://localhost:8090/index.html')).toEqual({
      exitCode: 0,
      stdout: 'edited\n',
    });
    // SOCKS’ own answer: the host cannot be reached.
    expect(await fetched(...proxy, host.url)).toMatchObject({ exitCode: 97 });
    expect(await fetched(...proxy, 'http://192.0.2.1:8090/index.html')).toMatchObject({ exitCode: 97 });
    expect(await session.end()).toBe(0);
  });

  test('-W reaches a program in the guest, and nothing else', async () => {
    await serving();
    const input = 'GET /index.html HTTP/1.0\r\n\r\n';
    const over = (place: string) => clients.ssh('web', [], { ...me, input, options: ['-W', place] });
    for (const name of ['127.0.0.1', 'localhost', 'web', 'web.flotilla.internal'])
      expect((await over(`${name}:8080`)).stdout.toString(), name).toMatch(/^HTTP\/1.\d 200 OK.*served\n$/s);
    for (const place of [
      '127.0.0.1:81',
      '10.0.0.1:8080',
      `${host.url.replace('http://127.0.0.1', '192.0.2.1')}`,
    ])
      expect((await over(place)).exitCode, place).not.toBe(0);
  });
});

test('a key of the machine enters it, and is in its guest’s authorized_keys as long as it is the machine’s', async () => {
  const provisioned = async () => (await host.client.machines.get('web')).provisioning?.status;
  await expect.poll(provisioned, { timeout: 60_000 }).toBe('succeeded');
  const own = await readFile(clients.path('own.pub'), 'utf8');
  const { stdout } = await clients.ssh('web', ['cat .ssh/authorized_keys'], { identity: 'own' });
  expect(stdout.toString()).toBe(`${own.trim()} managed-by-flotilla\n`);
  const other = await clients.key('further');
  const others = 'ssh-ed25519 of-the-guest';
  await said(`echo '${others}' >>/root/.ssh/authorized_keys`);
  const file = async () => (await said('cat /root/.ssh/authorized_keys')).stdout;
  await host.client.machines.update('web', { ssh_keys: [own, other] });
  await expect
    .poll(file)
    .toBe(`${others}\n${own.trim()} managed-by-flotilla\n${other} managed-by-flotilla\n`);
  await host.client.machines.update('web', { ssh_keys: [own] });
  await expect.poll(file).toBe(`${others}\n${own.trim()} managed-by-flotilla\n`);
});

test('at the machine’s own port, the login name is a user of the guest; agent is root without such a user', async () => {
  const { machines } = host.client;
  const { ssh_port: own } = await machines.update('web', { ssh_port: 0 });
  if (own === null) throw new Error('the machine has no SSH port');
  await clients.trust({ port: own, hostKey: host.daemon.ssh.hostKey });
  await said('echo ann:x:1000:1000::/tmp:/bin/sh >>/etc/passwd');
  const at = async (name: string) => {
    const { exitCode, stdout } = await clients.ssh(name, ['id -u; pwd; hostname'], { ...me, port: own });
    return `${exitCode} ${stdout}`;
  };
  expect(await at('root')).toBe('0 0\n/root\nweb\n');
  expect(await at('ann')).toBe('0 1000\n/tmp\nweb\n');
  expect(await at('agent')).toBe('0 0\n/root\nweb\n');
  expect(await at('nobody-here')).toBe('255 ');
  await machines.update('web', { ssh_port: null });
  expect(await at('root')).toBe('255 ');
});

describe('who may not enter', () => {
  test('a key that is not registered, a key that was deleted, and another tenant', async () => {
    await clients.key('stranger');
    expect(await clients.ssh('web', ['true'], { identity: 'stranger' })).toMatchObject({ exitCode: 255 });
    const other = await host.client.keys.create({ name: 'other', scopes: ['*'], tenant: 'other' });
    const refused = await clients.ssh('web', ['true'], { password: other.key });
    expect(refused).toMatchObject({ exitCode: 255, stderr: expect.stringMatching(/'web' not found/) });
    const publicKey = await clients.key('gone');
    const { id } = await host.client.sshKeys.create({ public_key: publicKey });
    const running = clients.ssh('web', ['echo $$ >/tmp/pid; exec sleep 600'], { identity: 'gone' });
    await expect
      .poll(async () => (await said('cat /tmp/pid')).stdout, { timeout: 20_000 })
      .toMatch(/^\d+\n$/);
    await host.client.sshKeys.delete(id);
    expect(await running).toMatchObject({ exitCode: 255 });
    expect(await clients.ssh('web', ['true'], { identity: 'gone' })).toMatchObject({ exitCode: 255 });
    // The command whose client was cut off has got its SIGHUP.
    const isAlive = async () => (await said('kill -0 $(cat /tmp/pid)')).exitCode === 0;
    await expect.poll(isAlive, { timeout: 20_000 }).toBe(false);
  });

  test('a certificate is for its machine and its time, and ends with its API key', async () => {
    const publicKey = await clients.key('short');
    const { id, key } = await host.client.keys.create({ name: 'ci', scopes: ['machines:exec'] });
    const ci = new FlotillaClient({ url: host.url, key });
    const made = await ci.sshKeys.certify('web', { public_key: publicKey, ttl_seconds: 60 });
    await writeFile(clients.path('short-cert.pub'), `${made.certificate}\n`);
    const options = ['-o', `CertificateFile=${clients.path('short-cert.pub')}`];
    const enter = (login: string) => clients.ssh(login, ['hostname'], { identity: 'short', options });
    expect((await enter(made.user)).stdout.toString()).toBe('web\n');
    expect((await enter('web')).stdout.toString()).toBe('web\n');
    expect(await enter('other')).toMatchObject({ exitCode: 255 });
    await host.client.keys.revoke(id);
    expect(await enter('web')).toMatchObject({ exitCode: 255, stderr: expect.stringMatching(/denied/) });
  });
});

test.each(['pause', 'stop'] as const)('a machine after %s is woken by a login', async (action) => {
  const { machines } = host.client;
  await machines[action]('web');
  expect(await said('hostname')).toEqual({ exitCode: 0, stdout: 'web\n', stderr: '' });
  expect(await machines.get('web')).toMatchObject({ status: 'running' });
});

test('after kill -9 of the daemon, host key, port and machine are the same', async () => {
  const state = await makeStateDirectory();
  let daemon = await launchDaemon(state.path);
  const { machines } = daemon.client;
  const spec = { name: 'kept', vcpu_count: 1, mem_size_mib: 192, image: 'busybox', ssh_port: 0 };
  const { ssh_port: own } = await machines.create({ ...spec, ssh_keys: [await clients.key('kept')] });
  await machines.start('kept');
  const { host_key } = await daemon.client.sshKeys.certify('kept', {
    public_key: await clients.key('other'),
  });
  if (own === null) throw new Error('the machine has no SSH port');
  await clients.trust({ port: own, hostKey: parsePublicKey(host_key) });
  const enter = (command: string) => clients.ssh('root', [command], { identity: 'kept', port: own });
  expect(await enter('echo before >/run/note')).toMatchObject({ exitCode: 0, stderr: '' });
  await daemon.kill();
  expect(await enter('true')).toMatchObject({ exitCode: 255 });
  daemon = await launchDaemon(state.path);
  expect((await enter('cat /run/note')).stdout.toString()).toBe('before\n');
  await daemon.client.machines.delete('kept', { force: true });
  expect(await enter('true')).toMatchObject({ exitCode: 255 });
  await daemon.terminate();
  await state.remove();
});

test('the commands of docs/ssh.md', async () => {
  const text = await readFile(join(repository, 'docs/ssh.md'), 'utf8');
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block);
  const script = blocks.join('').replaceAll(/\bweb\b/g, 'docs');
  const env = { ...host.env, HOME: clients.directory, XDG_CONFIG_HOME: clients.path('config') };
  const { exitCode, stdout, stderr } = await runCommand('bash', ['-euo', 'pipefail', '-c', script], { env });
  expect(exitCode, stderr).toBe(0);
  expect(stdout.toString().match(/^docs$/gm)).toHaveLength(5);
  const { stdout: copied } = await clients.ssh(
    'docs',
    ['cmp /tmp/note /tmp/README.md && wc -c </tmp/note'],
    me,
  );
  expect(Number(copied.toString())).toBe((await stat(join(repository, 'README.md'))).size);
});
