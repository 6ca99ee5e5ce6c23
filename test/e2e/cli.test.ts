/** `./flotilla` from a user's view, against a real daemon and real guests. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { processesNaming, repository, runCommand, startTestHost, type TestHost } from '../support/host.ts';

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

test('16 MB of output arrive completely', async () => {
  const { exitCode, stdout } = await flotilla(
    'run',
    'busybox',
    '--',
    'sh',
    '-c',
    'yes flotilla | head -c 16000000',
  );
  expect(exitCode).toBe(0);
  expect(stdout.length).toBe(16_000_000);
  const expected = createHash('sha256').update(Buffer.alloc(16_000_000, 'flotilla\n')).digest('hex');
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

describe('cp', () => {
  let work: string;
  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'cp-'));
    const made = await flotilla('create', 'busybox', '--name', 'files', '--memory', '256', '--start');
    expect(made.exitCode).toBe(0);
  });
  afterAll(async () => {
    await flotilla('rm', '--force', 'files');
    rmSync(work, { recursive: true });
  });

  async function cp(...args: string[]): Promise<void> {
    expect(await flotilla('cp', ...args)).toMatchObject({ exitCode: 0, stderr: '' });
  }
  async function inGuest(script: string): Promise<string> {
    const { exitCode, stdout, stderr } = await flotilla('exec', 'files', 'sh', '-c', script);
    expect([exitCode, stderr]).toEqual([0, '']);
    return stdout.toString();
  }
  const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

  function filesBelow(directory: Buffer): Buffer[] {
    return readdirSync(directory, { encoding: 'buffer', withFileTypes: true }).flatMap((entry) => {
      const path = Buffer.concat([directory, Buffer.from('/'), entry.name]);
      return entry.isDirectory() ? [path, ...filesBelow(path)] : [path];
    });
  }

  /** Every file below, with all that a copy keeps. */
  function listing(root: string): readonly string[] {
    const prefix = root.length + 1;
    const first = new Map<number, string>();
    return filesBelow(Buffer.from(root))
      .sort(Buffer.compare)
      .map((path) => {
        const { mode, uid, gid, mtimeNs, size, ino, nlink } = lstatSync(path, { bigint: true });
        const kind = (mode & 0o170000n).toString(8);
        const name = path.subarray(prefix).toString('latin1');
        const isFile = kind === '100000';
        if (!first.has(Number(ino))) first.set(Number(ino), name);
        const content = isFile ? createHash('sha256').update(readFileSync(path)).digest('hex') : '';
        const link = kind === '120000' ? readlinkSync(path) : '';
        const same = isFile && nlink > 1n ? first.get(Number(ino)) : '';
        return [name, mode.toString(8), uid, gid, mtimeNs, isFile ? size : '', content, link, same].join(' ');
      });
  }

  test('20 MB go in and out with the same hash', async () => {
    const path = join(work, 'large');
    writeFileSync(path, randomBytes(20_000_000));
    chmodSync(path, 0o640);
    await cp(path, 'files:/root/');
    expect(await inGuest('sha256sum < /root/large; stat -c "%a %u:%g %s" /root/large')).toBe(
      `${sha256(path)}  -\n640 0:0 20000000\n`,
    );
    await cp('files:/root/large', join(work, 'back'));
    expect(sha256(join(work, 'back'))).toBe(sha256(path));
  });

  test('a sparse file of 10 GB stays sparse, in both directions', async () => {
    const path = join(work, 'sparse');
    writeFileSync(path, 'begin');
    truncateSync(path, 10_000_000_000);
    await cp(path, 'files:/root/sparse');
    const [size, kib] = (await inGuest('stat -c %s /root/sparse; du -k /root/sparse | cut -f1')).split('\n');
    expect(size).toBe('10000000000');
    expect(Number(kib)).toBeLessThan(1024);
    await cp('files:/root/sparse', join(work, 'sparse.back'));
    const back = statSync(join(work, 'sparse.back'));
    expect([back.size, back.blocks < 2048]).toEqual([10_000_000_000, true]);
  });

  test('a tree of 500 odd names comes back as it was', async () => {
    const root = join(work, 'tree');
    mkdirSync(root);
    const odd = [
      'a b',
      '-n',
      '*',
      'new\nline',
      'back\\slash',
      '$(x)',
      '"',
      "'",
      'žluť',
      '🙂',
      'a:b',
      '~',
      '.hidden',
    ];
    for (let index = 0; index < 500; index++) {
      const directory = join(root, `${odd[index % 7]} ${index % 7}`);
      mkdirSync(directory, { recursive: true });
      const path = join(directory, `${odd[index % odd.length]} ${index}`);
      if (index % 50 === 1) symlinkSync(`../${odd[index % odd.length]}`, path);
      else writeFileSync(path, Buffer.alloc(index * 7, index));
      if (index % 50 === 1) continue;
      chmodSync(path, index % 2 === 0 ? 0o600 : 0o755);
      chownSync(path, 1000 + (index % 3), 100);
      utimesSync(path, 1e9 + index, 1e9 + index + 0.125);
      if (index % 50 === 2) linkSync(path, `${path} too`);
    }
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0xfe])]), 'not UTF-8');
    await cp('-a', root, 'files:/srv.tree');
    expect(await inGuest('find /srv.tree -type f -user 1001 | wc -l')).not.toBe('0\n');
    await cp('-a', 'files:/srv.tree', join(work, 'tree.back'));
    expect(listing(join(work, 'tree.back'))).toEqual(listing(root));
    await cp('files:/srv.tree/.', 'files:/root/second');
    expect(await inGuest('find /root/second ! -user 0 | wc -l; rm -r /root/second')).toBe('0\n');
  });

  test('Ctrl-C in the middle leaves no file, no temporary one and no process', async () => {
    mkdirSync(join(work, 'out'));
    writeFileSync(join(work, 'endless'), randomBytes(40_000_000));
    const interrupted = await interruptCopy([join(work, 'endless'), 'files:/root/endless'], async () =>
      expect.poll(() => inGuest('ls -A /root'), { timeout: 60_000 }).toMatch(/^\.flotilla-/m),
    );
    expect(interrupted).toBe(130);
    await expect.poll(() => inGuest('ls -A /root'), { timeout: 60_000 }).not.toMatch(/endless|\.flotilla-/);
    await inGuest('dd if=/dev/urandom of=/root/endless bs=1M count=40 2>/dev/null');
    const out = join(work, 'out');
    const left = await interruptCopy(['files:/root/endless', join(out, 'copy')], async () =>
      expect.poll(() => readdirSync(out), { timeout: 60_000, interval: 5 }).not.toEqual([]),
    );
    expect(left).toBe(130);
    expect(readdirSync(out)).toEqual([]);
    expect(await processesNaming(work)).toEqual([]);
  });

  /** Starts a copy, sends SIGINT when it is in the middle, and gives its exit code. */
  async function interruptCopy(
    args: readonly string[],
    middle: () => Promise<unknown>,
  ): Promise<number | null> {
    const child = spawn('./flotilla', ['cp', ...args], { cwd: repository, env: host.env, stdio: 'ignore' });
    const exited = once(child, 'exit');
    await middle();
    child.kill('SIGINT');
    const [code] = (await exited) as [number | null];
    return code;
  }
});
