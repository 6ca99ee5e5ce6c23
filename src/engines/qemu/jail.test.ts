/**
 * What a VMM taken over by its guest can see and do on the host; checked in real VMMs, as root and as another
 * user.
 */
import { existsSync } from 'node:fs';
import {
  chmod,
  chown,
  copyFile,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { EngineHandle, ExitFacts } from '../../core/ports/engine.ts';
import { shortId } from '../../lib/ids.ts';
import { type ProcessError, run } from '../../lib/process.ts';
import { isAlive } from '../../lib/procfs.ts';
import { makeQemuFixture, type QemuFixture, testShim } from '../testing/qemu-fixture.ts';
import { Cgroups } from './cgroup.ts';
import type { QemuDriver } from './driver.ts';
import { machinePaths, parseLibraries, programPaths } from './jail.ts';
import { bootArguments, bootedExitCode, bootSector } from './probe.ts';
import { RunDirectory } from './run-directory.ts';
import { goByte, shimSpec, spawnShim } from './shim.ts';

vi.setConfig({ testTimeout: 120_000 });

const never = new AbortController().signal;

it('finds the libraries in the output of ldd', () => {
  const printed = [
    '/usr/bin/qemu-system-x86_64:',
    '\tlinux-vdso.so.1 (0x00007ffd)',
    '\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f4b)',
    '\tlibgone.so => not found',
    '\t/lib64/ld-linux-x86-64.so.2 (0x00007f4c)',
  ].join('\n');
  expect(parseLibraries(printed)).toEqual(['/lib/x86_64-linux-gnu/libz.so.1', '/lib64/ld-linux-x86-64.so.2']);
});

it("shows a machine's own files and no other's", () => {
  const source = { kind: 'kernel' as const, kernelPath: '/k', initrdPath: '/i', kernelArgs: '' };
  const disks = [
    { path: '/d/root', format: 'qcow2' as const, readOnly: false, bases: ['/b/one'] },
    { path: '/d/seed', format: 'raw' as const, readOnly: true, bases: [] },
  ];
  expect(machinePaths({ source, disks }, '/run/a')).toEqual({
    readOnly: ['/k', '/i', '/d/seed', '/b/one'],
    writable: ['/run/a', '/d/root'],
  });
});

describe('a VMM in its jail', () => {
  let fixture: QemuFixture;
  let driver: QemuDriver;
  let handle: EngineHandle;
  const made: string[] = [];
  const inside = (path: string) => join('/proc', String(handle.pid), 'root', path);

  const launch = async (): Promise<EngineHandle> => {
    const incarnation = shortId();
    made.push(incarnation);
    return await driver.launch(fixture.spec(incarnation, 9, 'idle'), never);
  };
  const exitOf = (of: EngineHandle): Promise<ExitFacts> => {
    const { promise, resolve } = Promise.withResolvers<ExitFacts>();
    driver.onExit(of, resolve);
    return promise;
  };

  beforeAll(async () => {
    if (testShim() === null) throw new Error('these tests need the launch shim: run ./flotilla setup first');
    fixture = await makeQemuFixture();
    driver = fixture.makeDriver();
    handle = await launch();
  });
  afterEach(async () => {
    for (const incarnation of made.splice(1)) await driver.destroy(incarnation, never);
  });
  afterAll(async () => {
    for (const incarnation of made) await driver.destroy(incarnation, never);
    await driver.close();
    const leftovers = await fixture.leftovers();
    await fixture.close();
    expect(leftovers).toEqual([]);
  });

  it('does not warn about a missing jail', async () => {
    expect((await driver.probe()).notes.join('\n')).not.toMatch(/sees the host's files/);
    expect(driver.warnings.join('\n')).not.toMatch(/sees the host's files/);
  });

  it('has its own namespaces', async () => {
    for (const kind of ['mnt', 'pid', 'ipc', 'net', 'uts']) {
      const [own, ours] = await Promise.all([
        readlink(`/proc/${handle.pid}/ns/${kind}`),
        readlink(`/proc/self/ns/${kind}`),
      ]);
      expect(own, kind).not.toBe(ours);
    }
    const devices = (await readFile(`/proc/${handle.pid}/net/dev`, 'utf8')).split('\n').slice(2);
    expect(devices.filter((line) => line.trim() !== '').map((line) => line.trim().split(':')[0])).toEqual([
      'lo',
    ]);
  });

  it('sees only its own files, read-only: none of the host or other machines, and no processes', async () => {
    const other = await launch();
    expect((await readdir(inside('/'))).sort()).not.toContain('proc');
    for (const path of ['/proc/1', '/root', '/home', '/var/log', '/etc/passwd', '/usr/bin/sh', '/bin/sh'])
      expect(existsSync(inside(path)), path).toBe(false);
    expect(await readdir(inside('/etc'))).toEqual(['ld.so.cache']);
    expect(await readdir(inside(fixture.layout.run))).toEqual([handle.incarnation]);
    expect(existsSync(join(fixture.layout.run, other.incarnation, 'qmp.sock'))).toBe(true);
    const mounts = (await readFile(`/proc/${handle.pid}/mountinfo`, 'utf8')).trim().split('\n');
    const writable = mounts.filter((line) => !/ ro[, ]/.test(line)).map((line) => line.split(' ')[4]);
    expect(writable).toEqual([fixture.layout.runDir(handle.incarnation)]);
    expect(await readdir(fixture.layout.jailRoot)).toEqual([]);
  });

  it('has no capability, no group, no way to gain one, and a higher OOM score than the daemon', async () => {
    const status = await readFile(`/proc/${handle.pid}/status`, 'utf8');
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
      expect(status).toMatch(`Cap${set}:\t0000000000000000`);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    expect(status).toMatch(/^Groups:\s*$/m);
    const own = Number(await readFile('/proc/self/oom_score_adj', 'utf8'));
    expect(Number(await readFile(`/proc/${handle.pid}/oom_score_adj`, 'utf8'))).toBeGreaterThan(own);
  });

  it('holds no descriptor of the daemon', async () => {
    const { path } = new RunDirectory(fixture.layout, handle.incarnation);
    for (const fd of await readdir(`/proc/${handle.pid}/fd`)) {
      const target = await readlink(`/proc/${handle.pid}/fd/${fd}`);
      const isOwn =
        target === '/dev/null' || target.startsWith(path) || /^(socket|anon_inode):|^\/memfd/.test(target);
      expect(isOwn || target.startsWith(fixture.layout.root), target).toBe(true);
    }
  });

  it('is in its machine’s cgroups from its first instruction', async ({ skip }) => {
    const cgroups = new Cgroups();
    const notes = await cgroups.probe();
    if (notes.length > 0) return skip(`this host sets no limits: ${notes.join('; ')}`);
    const text = await readFile(`/proc/${handle.pid}/cgroup`, 'utf8');
    for (const controller of await cgroups.controllers()) {
      const isV1 = new RegExp(
        `^\\d+:(?:[^:]*,)?${controller}(?:,[^:]*)?:.*/flotilla/${handle.incarnation}$`,
        'm',
      );
      const isV2 = new RegExp(`^0::.*/flotilla/${handle.incarnation}$`, 'm');
      expect(isV1.test(text) || isV2.test(text), `${controller} in ${text}`).toBe(true);
    }
    expect(
      await cgroups.check(
        handle.incarnation,
        await cgroups.prepare(handle.incarnation, {
          cpuCount: 1,
          memoryBytes: 1 << 30,
          tasksMax: 96,
          io: null,
        }),
        Number(handle.pid),
      ),
    ).toEqual([]);
  });

  it('leaves its real exit status: a kill', async () => {
    const killed = await launch();
    const exit = exitOf(killed);
    fixture.kill(killed);
    expect(await exit).toMatchObject({ kind: 'died', signal: 'SIGKILL', exitCode: null });
    const directory = new RunDirectory(fixture.layout, killed.incarnation);
    expect(await directory.awaitStatus()).toEqual({ signal: 'SIGKILL', exitCode: null });
    const { uid, mode } = await stat(directory.statusFile);
    expect([uid, mode & 0o777]).toEqual([process.geteuid?.(), 0o600]);
  });

  it('leaves its real exit status: its own exit, without a daemon', async () => {
    const ended = await launch();
    await driver.close();
    // QEMU exits with 0 when it gets SIGTERM.
    process.kill(Number(ended.pid), 'SIGTERM');
    expect(await new RunDirectory(fixture.layout, ended.incarnation).awaitStatus()).toEqual({
      signal: null,
      exitCode: 0,
    });
    driver = fixture.makeDriver();
    expect(await driver.inspect(ended, never)).toMatchObject({
      state: 'exited',
      facts: { kind: 'died', exitCode: 0, signal: null },
    });
  });

  it('is adopted and ended beside VMMs of a daemon without a shim', async () => {
    const before = fixture.makeDriver({ shim: null });
    const incarnation = shortId();
    made.push(incarnation);
    const old = await before.launch(fixture.spec(incarnation, 9, 'idle'), never);
    expect(before.warnings.join('\n')).toMatch(/sees the host's files/);
    await before.close();
    expect(existsSync(new RunDirectory(fixture.layout, incarnation).statusFile)).toBe(false);
    expect(await driver.find(incarnation, never)).toEqual(old);
    expect(await driver.inspect(old, never)).toEqual({ state: 'running' });
    await driver.stop(old, never);
    expect(await driver.inspect(old, never)).toMatchObject({ facts: { kind: 'stopped' } });
  });

  it.runIf(process.geteuid?.() === 0)('cannot forge, replace or read the record of its end', async () => {
    const { path, statusFile } = new RunDirectory(fixture.layout, handle.incarnation);
    const uid = (await stat(path)).gid;
    const script = 'echo x >"$1"; rm -f "$1"; mv "$1" "$1.old"; ln -f "$1" "$2/second"; cat "$1"';
    const user = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
    await run('setpriv', [...user, '--', 'sh', '-c', script, 'sh', statusFile, path], {
      timeoutMs: 10_000,
    }).catch(() => undefined);
    const { size, nlink, uid: owner } = await stat(statusFile);
    expect([size, nlink, owner]).toEqual([0, 1, 0]);
    expect(await readdir(path)).not.toContain('status.json.old');
  });

  it('never runs without a record: the daemon dies before it has written one', async () => {
    const incarnation = shortId();
    const directory = new RunDirectory(fixture.layout, incarnation);
    await directory.create('host', null, true);
    const qemu = '/usr/bin/qemu-system-x86_64';
    const host = {
      shim: testShim() ?? '',
      userNamespace: process.geteuid?.() !== 0,
      readOnly: await programPaths(qemu, never),
    };
    const request = {
      argv: [qemu, '-name', `flotilla-${incarnation}`, '-M', 'none', '-display', 'none'],
      confinement: { uid: null, groups: [], fileBytesMax: 1 << 20 },
      cgroupFiles: [],
      cwd: directory.path,
      statusFile: directory.statusFile,
      diesWithShim: false,
      root: fixture.layout.jailRoot,
      readOnly: [],
      writable: [directory.path],
    };
    const spawned = await spawnShim(host, request, directory.logFile, never);
    expect(isAlive(spawned.identity)).toBe(true);
    expect(await readFile(`/proc/${spawned.identity.pid}/cmdline`, 'utf8')).not.toContain(qemu);
    // The kernel closes the pipe in the same way when a daemon is killed.
    spawned.abandon();
    expect(await directory.awaitStatus()).toEqual({ exitCode: 125, signal: null });
    expect(isAlive(spawned.identity)).toBe(false);
    expect(await directory.logTail()).toMatch(/the daemon exited before it had recorded the VMM/);
    await directory.remove();
  });

  it('keeps running when its shim is killed, and can still be ended', async () => {
    const orphan = await launch();
    const parent = /^PPid:\t(\d+)$/m.exec(await readFile(`/proc/${orphan.pid}/status`, 'utf8'))?.[1];
    process.kill(Number(parent), 'SIGKILL');
    expect(await driver.inspect(orphan, never)).toEqual({ state: 'running' });
    await driver.stop(orphan, never);
    expect(await fixture.countVmms(orphan.incarnation)).toBe(0);
  });

  it.runIf(process.geteuid?.() === 0)(
    'needs no privileges where the host allows everyone to make namespaces',
    async ({ skip }) => {
      const stranger = 700_050;
      const directory = join(fixture.layout.root, 'stranger');
      await mkdir(join(directory, 'root'), { recursive: true });
      const shim = join(directory, 'shim');
      await copyFile(testShim() ?? '', shim);
      await chmod(shim, 0o755);
      const image = join(directory, 'boot-sector');
      await writeFile(image, bootSector());
      for (const path of [directory, join(directory, 'root'), image]) await chown(path, stranger, stranger);
      const asStranger = (command: readonly string[], stdin = '') =>
        run('setpriv', [`--reuid=${stranger}`, `--regid=${stranger}`, '--clear-groups', '--', ...command], {
          timeoutMs: 60_000,
          stdin,
        }).then(
          () => 0,
          (error) => (error as ProcessError).exitCode,
        );
      if ((await asStranger(['unshare', '-Ur', 'true'])) !== 0)
        return skip('this host has no user namespaces for users');
      const qemu = '/usr/bin/qemu-system-x86_64';
      const spec = shimSpec(
        { shim, userNamespace: true, readOnly: await programPaths(qemu, never) },
        {
          argv: [qemu, ...bootArguments('tcg', image)],
          confinement: { uid: null, groups: [], fileBytesMax: 1 << 20 },
          cgroupFiles: [],
          cwd: directory,
          statusFile: join(directory, 'status.json'),
          diesWithShim: true,
          root: join(directory, 'root'),
          readOnly: [],
          writable: [directory],
        },
      );
      expect(await asStranger([shim], `${spec}${goByte}`)).toBe(bootedExitCode);
      expect(await readFile(join(directory, 'status.json'), 'utf8')).toBe(`{"exitCode":33,"signal":null}\n`);
      // A daemon that dies before it has recorded the process starts nothing.
      expect(await asStranger([shim], spec)).not.toBe(bootedExitCode);
    },
  );
});
