/** The engine contract on the real QEMU, and QEMU's own features. Needs set-up's kernel. */
import { statSync, watch } from 'node:fs';
import { chown, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { EngineHandle, ExitFacts } from '../../core/ports/engine.ts';
import { abortable, deadline } from '../../lib/abort.ts';
import { shortId } from '../../lib/ids.ts';
import { run } from '../../lib/process.ts';
import { engineContract } from '../engine.contract.ts';
import { makeQemuFixture, type QemuFixture, testUidBase } from '../testing/qemu-fixture.ts';
import type { GuestBehaviour } from '../testing/tiny-guest.ts';
import type { QemuDriver } from './driver.ts';
import { RunDirectory } from './run-directory.ts';
import { consoleLimits } from './tail-file.ts';

// Guests boot under TCG, perhaps on a busy host.
vi.setConfig({ testTimeout: 120_000 });

engineContract('qemu', makeQemuFixture);

const never = new AbortController().signal;

/** Waits until `isThere` holds, checking again whenever the directory changes. */
async function untilChanged(directory: string, isThere: () => Promise<boolean>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const limit = deadline(100_000, () => new Error(`nothing of the kind came to ${directory}`));
  const look = () => void isThere().then((is) => is && resolve(), reject);
  const watcher = watch(directory, look);
  try {
    look();
    await abortable(promise, limit.signal);
  } finally {
    watcher.close();
    limit.clear();
  }
}

function exitOf(driver: QemuDriver, handle: EngineHandle): Promise<ExitFacts> {
  const { promise, resolve } = Promise.withResolvers<ExitFacts>();
  driver.onExit(handle, resolve);
  return promise;
}

describe('QemuDriver', () => {
  let fixture: QemuFixture;
  let driver: QemuDriver;
  const made: string[] = [];

  const launch = async (behaviour: GuestBehaviour = 'idle', incarnation = shortId()) => {
    made.push(incarnation);
    return await driver.launch(fixture.spec(incarnation, 7, behaviour), never);
  };

  beforeAll(async () => {
    fixture = await makeQemuFixture();
    driver = fixture.makeDriver();
  });
  afterEach(async () => {
    for (const incarnation of made.splice(0)) await driver.destroy(incarnation, never);
  });
  afterAll(async () => {
    await driver.close();
    const leftovers = await fixture.leftovers();
    await fixture.close();
    expect(leftovers).toEqual([]);
  });

  it('runs QEMU with an empty environment, no rights, and in its own session', async () => {
    const { pid } = await launch();
    const proc = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8');
    expect(await proc('environ')).toBe('');
    const status = await proc('status');
    for (const set of ['CapEff', 'CapPrm', 'CapInh']) expect(status).toMatch(`${set}:\t0000000000000000`);
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    expect(status).toMatch(/^Seccomp:\t2$/m);
    if (testUidBase !== null) {
      const uid = testUidBase + 7;
      expect(status).toMatch(`Uid:\t${uid}\t${uid}\t${uid}\t${uid}`);
      expect(status).toMatch(`Gid:\t${uid}\t${uid}\t${uid}\t${uid}`);
      expect(status).toMatch(/^Groups:\s*$/m);
      expect(status).toMatch(/^CapBnd:\t0+$/m);
    }
    expect(await proc('limits')).toMatch(/Max core file size\s+0\s+0/);
    const fields = (await proc('stat')).replace(/^.*\) /, '').split(' ');
    // The session of its parent, the launch shim, or its own.
    expect([fields[1], String(pid)]).toContain(fields[3]);
  });

  it('restores a guest that goes on where it was, and nothing from a damaged or foreign state', async () => {
    const directory = await fixture.directory();
    const restore = async (incarnation = shortId()) => {
      made.push(incarnation);
      const source = { kind: 'restore' as const, directory };
      return await driver.launch({ ...fixture.spec(incarnation, 8, 'count'), source }, never);
    };
    const counted = async (handle: EngineHandle): Promise<readonly number[]> => {
      const text = await readFile(new RunDirectory(fixture.layout, handle.incarnation).consoleFile, 'utf8');
      return [...text.matchAll(/^count (\d+)\r?$/gm)].map(([, n]) => Number(n));
    };
    const original = await launch('count');
    await untilChanged(
      new RunDirectory(fixture.layout, original.incarnation).path,
      async () => (await counted(original)).length >= 3,
    );
    await driver.pause.pause(original, never);
    await driver.snapshots.save(original, directory, never);
    const last = (await counted(original)).at(-1) ?? Number.NaN;
    await driver.destroy(original.incarnation, never);

    const copy = await restore();
    expect(copy.kernelArgs).toContain('flotilla.test=count');
    await driver.pause.resume(copy, never);
    await untilChanged(
      new RunDirectory(fixture.layout, copy.incarnation).path,
      async () => (await counted(copy)).length >= 2,
    );
    // A number may be lost that was on its way to the console.
    expect([last + 1, last + 2]).toContain((await counted(copy))[0]);

    const living = await driver.listLiving(never);
    const state = join(directory, 'state');
    const bytes = await readFile(state);
    bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
    await writeFile(state, bytes);
    await expect(restore()).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('damaged'),
    });
    await writeFile(state, bytes.subarray(0, bytes.length >> 1));
    await expect(restore()).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('damaged'),
    });
    const manifest = join(directory, 'manifest.json');
    const saved = JSON.parse(await readFile(manifest, 'utf8')) as object;
    await writeFile(manifest, JSON.stringify({ ...saved, qemuVersion: '6.9.1' }));
    await expect(restore()).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('QEMU 6.9.1'),
    });
    await writeFile(manifest, '{');
    await expect(restore()).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('damaged'),
    });
    expect(await driver.listLiving(never)).toEqual(living);
  });

  it('a guest whose memory could not be saved goes on at once, and is saved later', async () => {
    const handle = await launch('count');
    const { incarnation } = handle;
    const run = new RunDirectory(fixture.layout, incarnation);
    const counted = async () => (await readFile(run.consoleFile, 'utf8')).split('count').length - 1;
    const goesOn = async () => {
      await driver.pause.resume(handle, never);
      const before = await counted();
      // Time enough for the end of a migration that was not waited for.
      await untilChanged(run.path, async () => (await counted()) > before + 3);
      expect(await driver.inspect(handle, never)).toEqual({ state: 'running' });
      await driver.pause.pause(handle, never);
    };
    await driver.pause.pause(handle, never);
    const directory = await fixture.directory();
    const nowhere = join(directory, 'nowhere');
    await expect(driver.snapshots.save(handle, nowhere, never)).rejects.toMatchObject({ code: 'ENOENT' });
    await goesOn();

    const stop = new AbortController();
    const watcher = watch(directory, (_, name) => name === 'state' && stop.abort(new Error('enough')));
    const interrupted = driver.snapshots.save(handle, directory, stop.signal);
    await expect(interrupted).rejects.toThrow('enough');
    watcher.close();
    expect(await readdir(directory)).not.toContain('manifest.json');
    expect(await readdir(run.path)).not.toContain('state.sock');
    await goesOn();

    await driver.snapshots.save(handle, directory, never);
    expect((await readdir(directory)).sort()).toEqual(['manifest.json', 'state']);
  });

  it('copies memory and disk of one moment of a guest that goes on', async () => {
    const directory = await fixture.directory();
    const [base, disk, copied] = ['base', 'disk', 'copied'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    await writeFile(base, '');
    await truncate(base, 32 << 20);
    const overlay = (path: string) =>
      run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', base, path], { timeoutMs: 10_000 });
    await overlay(disk);
    await overlay(copied);
    const write = ['-c', 'write -q -P 7 1M 20M', disk];
    await run('qemu-io', write, { timeoutMs: 10_000 });
    if (testUidBase !== null) await chown(disk, testUidBase + 7, testUidBase + 7);
    const incarnation = shortId();
    made.push(incarnation);
    const rootDisk = { path: disk, format: 'qcow2' as const, readOnly: false, bases: [base] };
    const handle = await driver.launch(
      { ...fixture.spec(incarnation, 7, 'count'), disks: [rootDisk] },
      never,
    );
    const runDirectory = new RunDirectory(fixture.layout, incarnation);
    const counted = async (of = runDirectory) =>
      [...(await readFile(of.consoleFile, 'utf8')).matchAll(/^count (\d+)\r?$/gm)].map(([, n]) => Number(n));
    await untilChanged(runDirectory.path, async () => (await counted()).length >= 3);
    // Repeated, as after a crash; then of a paused one.
    for (const isPaused of [false, false, true]) {
      if (isPaused) await driver.pause.pause(handle, never);
      const before = (await counted()).at(-1) ?? 0;
      const { pausedMs } = await driver.snapshots.capture(
        handle,
        { memoryDirectory: directory, disk: copied },
        never,
      );
      expect(pausedMs > 0).toBe(!isPaused);
      expect(await driver.inspect(handle, never)).toEqual(
        isPaused ? { state: 'paused', reason: 'on_request' } : { state: 'running' },
      );
      if (!isPaused)
        await untilChanged(runDirectory.path, async () => ((await counted()).at(-1) ?? 0) > before + 1);
      await run('qemu-img', ['compare', '-U', '-q', disk, copied], { timeoutMs: 10_000 });
      expect(await readdir(runDirectory.path)).not.toContainEqual(
        expect.stringMatching(/^disk-copy-|^state/),
      );
    }
    await driver.pause.resume(handle, never);
    const last = (await counted()).at(-1) ?? 0;
    await untilChanged(runDirectory.path, async () => ((await counted()).at(-1) ?? 0) > last);
    await driver.destroy(incarnation, never);

    if (testUidBase !== null) await chown(copied, testUidBase + 8, testUidBase + 8);
    const other = shortId();
    made.push(other);
    const spec = { ...fixture.spec(other, 8, 'count'), disks: [{ ...rootDisk, path: copied }] };
    const copy = await driver.launch({ ...spec, source: { kind: 'restore', directory } }, never);
    await driver.pause.resume(copy, never);
    const copyDirectory = new RunDirectory(fixture.layout, other);
    await untilChanged(copyDirectory.path, async () => (await counted(copyDirectory)).length >= 2);
    expect((await counted(copyDirectory))[0]).toBeGreaterThan(3);
    await driver.destroy(other, never);
  });

  it('a copy that fails or is given up leaves the guest running, and no job', async () => {
    const directory = await fixture.directory();
    const [disk, copied] = [join(directory, 'disk'), join(directory, 'copied')];
    for (const path of [disk, copied])
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, '32M'], { timeoutMs: 10_000 });
    if (testUidBase !== null) await chown(disk, testUidBase + 7, testUidBase + 7);
    const incarnation = shortId();
    made.push(incarnation);
    const rootDisk = { path: disk, format: 'qcow2' as const, readOnly: false, bases: [] };
    const handle = await driver.launch(
      { ...fixture.spec(incarnation, 7, 'count'), disks: [rootDisk] },
      never,
    );
    const running = { state: 'running' };
    const nowhere = { memoryDirectory: join(directory, 'nowhere'), disk: copied };
    await expect(driver.snapshots.capture(handle, nowhere, never)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await driver.inspect(handle, never)).toEqual(running);

    const stop = new AbortController();
    const watcher = watch(directory, (_, name) => name === 'state' && stop.abort(new Error('enough')));
    const request = { memoryDirectory: directory, disk: copied };
    await expect(driver.snapshots.capture(handle, request, stop.signal)).rejects.toThrow('enough');
    watcher.close();
    expect(await driver.inspect(handle, never)).toEqual(running);
    expect(await readdir(directory)).not.toContain('manifest.json');
    await driver.snapshots.abandonCapture(handle, true, never);

    // Without memory, the guest is not paused at all.
    const { pausedMs } = await driver.snapshots.capture(
      handle,
      { memoryDirectory: null, disk: copied },
      never,
    );
    expect(pausedMs).toBe(0);
    expect(await driver.inspect(handle, never)).toEqual(running);
    await driver.destroy(incarnation, never);
  });

  it('launches again what a daemon that ended has left half loaded', async () => {
    const directory = await fixture.directory();
    const original = await launch('count');
    await driver.pause.pause(original, never);
    await driver.snapshots.save(original, directory, never);
    await driver.destroy(original.incarnation, never);
    const incarnation = shortId();
    made.push(incarnation);
    const source = { kind: 'restore' as const, directory };
    const spec = { ...fixture.spec(incarnation, 8, 'count'), source };
    const half = await driver.launch(spec, never);
    const run = new RunDirectory(fixture.layout, incarnation);
    const record = await run.readRecord();
    if (record === null) throw new Error('no record');
    expect(record.restoredFrom).toBe(original.incarnation);
    expect((await driver.launch(spec, never)).pid).toBe(half.pid);

    // What the record says until everything is loaded.
    await run.writeRecord({ ...record, restoredFrom: null });
    const whole = await driver.launch(spec, never);
    expect(whole.pid).not.toBe(half.pid);
    expect(whole.restoredFrom).toBe(original.incarnation);
    await driver.pause.resume(whole, never);
    expect(await driver.inspect(whole, never)).toEqual({ state: 'running' });
  });

  it('keeps its records where the VMM cannot replace them', async () => {
    const handle = await launch();
    const directory = fixture.layout.runDir(handle.incarnation);
    const uid = process.getuid?.();
    const record = await stat(join(directory, 'vmm.json'));
    expect([record.uid, record.mode & 0o777]).toEqual([uid, 0o600]);
    const mode = testUidBase === null ? 0o700 : 0o1770;
    const found = await stat(directory);
    expect([found.uid, found.mode & 0o7777]).toEqual([uid, mode]);
  });

  it('reports a power-off that happened without a daemon', async () => {
    const handle = await launch('poweroff');
    await driver.close();
    const { consoleFile, path } = new RunDirectory(fixture.layout, handle.incarnation);
    await untilChanged(path, async () => (await readFile(consoleFile, 'utf8')).includes('Power down'));
    driver = fixture.makeDriver();
    expect(await exitOf(driver, handle)).toMatchObject({ kind: 'powered_off' });
  });

  it('finds and ends a VMM whose record was never written', async () => {
    const handle = await launch();
    await driver.close();
    const record = join(new RunDirectory(fixture.layout, handle.incarnation).path, 'vmm.json');
    await rm(record, { force: true });
    driver = fixture.makeDriver();
    // What it was booted with is known from the record alone.
    expect(await driver.find(handle.incarnation, never)).toEqual({ ...handle, kernelArgs: null });
    await driver.close();
    await rm(record, { force: true });
    driver = fixture.makeDriver();
    await driver.destroy(handle.incarnation, never);
    expect(await fixture.countVmms(handle.incarnation)).toBe(0);
  });

  it('reports an unresponsive VMM as running, and can still end it', async () => {
    const hung = await launch();
    const other = await launch();
    process.kill(Number(hung.pid), 'SIGSTOP');
    expect(await driver.inspect(other, never)).toEqual({ state: 'running' });
    expect(await driver.inspect(hung, never)).toEqual({ state: 'running' });
    await driver.stop(hung, never);
    expect(await fixture.countVmms(hung.incarnation)).toBe(0);
    expect(await driver.inspect(other, never)).toEqual({ state: 'running' });
  });

  it('bounds the console of a guest that never stops printing', async () => {
    const handle = await launch('chatter');
    const { consoleFile, path } = new RunDirectory(fixture.layout, handle.incarnation);
    let largest = 0;
    await untilChanged(path, async () => {
      // In one synchronous call: two concurrent stats could complete in the wrong order.
      const { size } = statSync(consoleFile);
      const isCut = size < largest;
      largest = Math.max(largest, size);
      return isCut;
    });
    // Only trimming makes it smaller.
    expect(largest).toBeGreaterThan(consoleLimits.bytesKept);
    const { size, blocks } = await stat(consoleFile);
    expect(blocks * 512).toBeGreaterThanOrEqual(size - 4096);
    await driver.stop(handle, never);
    const tail = Buffer.from(
      (await driver.console.read(handle.incarnation, 64 * 1024, never)).bytes,
    ).toString();
    expect(tail).not.toContain('\0');
    expect(tail).toMatch(/(?:a line of some sixty bytes that fills the console of this guest\r?\n){100}/);
  });

  it('reports why QEMU did not start and leaves nothing behind', async () => {
    const incarnation = shortId();
    const disk = {
      path: join(fixture.layout.root, 'no-such-disk'),
      format: 'raw',
      readOnly: false,
      bases: [],
    } as const;
    const spec = { ...fixture.spec(incarnation, 1, 'idle'), disks: [disk] };
    await expect(driver.launch(spec, never)).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringMatching(/no-such-disk.*no such file/i),
    });
    expect(await readdir(fixture.layout.run)).not.toContain(incarnation);
    expect(await fixture.countVmms(incarnation)).toBe(0);
  });

  it('refuses more than this host can give', async () => {
    const spec = { ...fixture.spec(shortId(), 1, 'idle'), vcpuCount: 1000 };
    await expect(driver.launch(spec, never)).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('is unsupported without QEMU, and says what to do', async () => {
    const bare = fixture.makeDriver({ binary: '/nonexistent/qemu-system-x86_64' });
    expect(await bare.probe()).toMatchObject({ isAvailable: false, accelerator: null });
    await expect(bare.launch(fixture.spec(shortId(), 1, 'idle'), never)).rejects.toMatchObject({
      code: 'unsupported',
      hint: 'run ./flotilla setup',
    });
    await bare.close();
  });
});
