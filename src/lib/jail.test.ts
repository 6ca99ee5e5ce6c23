import { execFileSync } from 'node:child_process';
import {
  chmod,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { giveToJail, type JailOptions, jailUid, runJailed, takeFromJail } from './jail.ts';
import { ProcessError } from './process.ts';

/** Only directories that every user may read. */
const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };

let dir: string;
let work: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'flotilla-jail-'));
  work = join(dir, 'work');
  await mkdir(work, { mode: 0o700 });
  await giveToJail(work);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const shell = async (script: string, changes: Partial<JailOptions> = {}): Promise<string> => {
  const options = { cwd: work, env, timeoutMs: 20_000, fileBytesMax: 1 << 20 };
  return (await runJailed('sh', ['-c', script], { ...options, ...changes })).stdout;
};

describe('a program in the jail', () => {
  it('has an unused user id on the host, has no capability and can gain none', async () => {
    const status = await shell(
      'read -r line </proc/self/uid_map; echo "map $line"; exec cat /proc/self/status',
    );
    expect(status).toMatch(new RegExp(`map +0 +${jailUid} `));
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      expect(status).toMatch(new RegExp(`^${set}:\\t0{16}$`, 'm'));
    }
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    expect(status).toMatch(/^Groups:\t *$/m);
    await shell(': >made');
    expect((await stat(join(work, 'made'))).uid).toBe(jailUid);
  });

  it('has the capabilities it is given, for its own files only', async () => {
    const capabilities = ['chown', 'dac_override'] as const;
    await writeFile(join(work, 'ours'), 'ours', { mode: 0o600 });
    expect(await shell('exec cat /proc/self/status', { capabilities })).toMatch(/^CapEff:\t0{15}3$/m);
    await shell(': >file && exec chown 1000:70000 file', { capabilities });
    expect(await stat(join(work, 'file'))).toMatchObject({
      uid: jailUid + 1000,
      gid: jailUid + 70_000,
    });
    await expect(shell('exec cat ours', { capabilities })).rejects.toThrow('Permission denied');
    await expect(shell('exec chown 0:0 ours', { capabilities })).rejects.toThrow('not permitted');
  });

  it('has no network, not even the host’s loopback', async () => {
    const server = createServer((socket) => socket.end('reached'));
    server.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    try {
      const namespace = (await shell('exec readlink /proc/self/ns/net')).trim();
      expect(namespace).toMatch(/^net:/);
      expect(namespace).not.toBe(await readlink('/proc/self/ns/net'));
      const script = `exec bash -c 'exec 4<>/dev/tcp/127.0.0.1/${port} || exit 9; read -r line <&4; echo "$line"'`;
      await expect(shell(script)).rejects.toThrow(/Network is unreachable|Connection refused/);
    } finally {
      server.close();
    }
  });

  it('cannot reach files beside its directory', async () => {
    await writeFile(join(dir, 'beside'), 'secret', { mode: 0o644 });
    await expect(shell('exec cat ../beside')).rejects.toThrow('Permission denied');
    await expect(shell(`exec cat ${dir}/beside`)).rejects.toThrow('Permission denied');
    await expect(shell('exec cat /etc/shadow', { capabilities: ['dac_override'] })).rejects.toThrow(
      'Permission denied',
    );
  });

  it('is limited in file size and memory, and starts no other process', async () => {
    await expect(shell('exec head -c 2000000 /dev/zero >big')).rejects.toMatchObject({ signal: 'SIGXFSZ' });
    expect((await stat(join(work, 'big'))).size).toBe(1 << 20);
    await expect(
      shell('exec head -c 900000000 /dev/zero | tail -n 1', { memoryBytesMax: 300 << 20 }),
    ).rejects.toThrow(/fork/);
    await expect(shell('true & wait')).rejects.toThrow(/fork/);
    const limits = await shell('exec cat /proc/self/limits', { memoryBytesMax: 300 << 20 });
    expect(limits).toMatch(new RegExp(`Max address space +${300 << 20} `));
    expect(limits).toMatch(/Max core file size +0 /);
  });

  it('gets its input, and its failures are reported under its own name', async () => {
    expect(await shell('exec cat', { stdin: 'in and out' })).toBe('in and out');
    const failure = shell('echo broken >&2; exit 7');
    await expect(failure).rejects.toMatchObject({ command: 'sh', exitCode: 7, stderr: 'broken\n' });
    await expect(failure).rejects.toBeInstanceOf(ProcessError);
    const missing = runJailed('no-such-program', [], {
      cwd: work,
      env,
      timeoutMs: 20_000,
      fileBytesMax: 1,
    });
    await expect(missing).rejects.toMatchObject({ command: 'no-such-program', isMissing: true });
  });

  it('ends when the signal aborts, and at its deadline', async () => {
    const controller = new AbortController();
    const endless = shell('echo begun >begun; exec tail -f /dev/null', { signal: controller.signal });
    while (!(await readdir(work)).includes('begun')) await new Promise((resolve) => setImmediate(resolve));
    controller.abort(new Error('enough'));
    await expect(endless).rejects.toThrow('enough');
    await expect(shell('exec tail -f /dev/null', { timeoutMs: 300 })).rejects.toMatchObject({
      isTimeout: true,
    });
  });
});

describe('a host that forbids namespaces', () => {
  it('is reported with the message of the program that failed', async () => {
    const bin = join(dir, 'bin');
    await mkdir(bin);
    await writeFile(
      join(bin, 'unshare'),
      '#!/bin/sh\necho "unshare failed: Operation not permitted" >&2\nexit 1\n',
      {
        mode: 0o755,
      },
    );
    await chmod(dir, 0o755);
    await expect(shell('true', { env: { PATH: `${bin}:${env.PATH}` } })).rejects.toMatchObject({
      name: 'JailError',
      message: expect.stringContaining('Operation not permitted'),
    });
  });
});

describe('a file that a jail has made', () => {
  it('becomes owned by us', async () => {
    await shell('echo made >file');
    const file = await takeFromJail(join(work, 'file'));
    expect(await file.readFile('utf8')).toBe('made\n');
    await file.close();
    expect((await stat(join(work, 'file'))).uid).toBe(0);
  });

  it('is refused when it is a link to a file of the host, or not a file', async () => {
    const victim = join(dir, 'victim');
    await writeFile(victim, 'ours', { mode: 0o600 });
    await symlink(victim, join(work, 'symbolic'));
    await link(victim, join(work, 'hard'));
    execFileSync('mkfifo', [join(work, 'pipe')]);
    for (const name of ['symbolic', 'hard', 'pipe'])
      await expect(takeFromJail(join(work, name))).rejects.toThrow();
    expect(await stat(victim)).toMatchObject({ uid: 0, mode: 0o100600 });
    expect(await readFile(victim, 'utf8')).toBe('ours');
  });
});
