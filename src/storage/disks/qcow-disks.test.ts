import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../../lib/process.ts';
import { StateLayout } from '../layout.ts';
import { QcowDisks } from './qcow-disks.ts';
import { RecordFiles } from './records.ts';

const never = new AbortController().signal;

const imageDigest = `sha256:${'ab'.repeat(32)}`;
const imageMib = 2;
const isRoot = process.getuid?.() === 0;

let directory: string;
let layout: StateLayout;
let disks: QcowDisks;
/** Clean-up that must run before the directory can be removed. */
let cleanups: (() => void)[];

beforeEach(async () => {
  cleanups = [];
  directory = await mkdtemp(join(tmpdir(), 'flotilla-disks-'));
  // Like the real state directory: others can pass through it.
  await chmod(directory, 0o711);
  layout = new StateLayout(directory);
  disks = new QcowDisks({ layout, uidBase: null });
  await mkdir(layout.blobs, { recursive: true });
  await writeFile(layout.blob(imageDigest), randomBytes(imageMib * 1024 * 1024), { mode: 0o444 });
});
afterEach(async () => {
  for (const cleanup of cleanups) cleanup();
  await rm(directory, { recursive: true, force: true });
});

const request = (changes: object = {}) => ({
  machineId: 'machine00001',
  slot: 7,
  imageDigest,
  diskMib: 64,
  ...changes,
});

async function describeDisk(path: string): Promise<Record<string, unknown>> {
  const { stdout } = await run('qemu-img', ['info', '--output=json', path], { timeoutMs: 10_000 });
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe('prepare', () => {
  it('makes a valid qcow2 of the requested size on the image', async () => {
    const record = await disks.prepare(request(), never);
    expect(record).toEqual({
      path: layout.disk('machine00001'),
      format: 'qcow2',
      bases: [layout.blob(request().imageDigest)],
    });
    expect(disks.locate('machine00001', request().imageDigest)).toEqual(record);
    expect(await describeDisk(record.path)).toMatchObject({
      format: 'qcow2',
      'virtual-size': 64 * 1024 * 1024,
      'full-backing-filename': layout.blob(imageDigest),
      'backing-filename-format': 'raw',
    });
    await run('qemu-img', ['check', '-q', record.path], { timeoutMs: 10_000 });
    expect(await readdir(layout.diskDir('machine00001'))).toEqual(['root.qcow2']);
  });

  it('makes the next disk of this size on this image without qemu-img, and the same', async () => {
    const [log, program] = [join(directory, 'calls'), join(directory, 'counted')];
    await writeFile(program, `#!/bin/sh\necho >> ${log}\nexec qemu-img "$@"\n`, { mode: 0o755 });
    const counted = new QcowDisks({ layout, uidBase: null, qemuImg: program });
    const calls = async () => (await readFile(log, 'utf8')).length;
    const first = await counted.prepare(request({ machineId: 'machine00001' }), never);
    const second = await counted.prepare(request({ machineId: 'machine00002' }), never);
    expect(await calls()).toBe(1);
    expect((await readFile(second.path)).equals(await readFile(first.path))).toBe(true);
    expect((await stat(second.path)).mode & 0o777).toBe(0o600);
    // What one machine writes is not in the next.
    await writeFile(first.path, 'what the guest wrote');
    const third = await counted.prepare(request({ machineId: 'machine00003' }), never);
    expect((await readFile(third.path)).equals(await readFile(second.path))).toBe(true);
    await counted.prepare(request({ machineId: 'machine00004', diskMib: 65 }), never);
    expect(await calls()).toBe(2);
    const other = `sha256:${'cd'.repeat(32)}`;
    await writeFile(layout.blob(other), randomBytes(1024 * 1024), { mode: 0o444 });
    const fourth = await counted.prepare(request({ machineId: 'machine00005', imageDigest: other }), never);
    expect(await describeDisk(fourth.path)).toMatchObject({ 'full-backing-filename': layout.blob(other) });
  });

  it('shows the image through the disk', async () => {
    const { path } = await disks.prepare(request(), never);
    const flat = join(directory, 'flat.raw');
    await run('qemu-img', ['convert', '-O', 'raw', path, flat], { timeoutMs: 10_000 });
    const image = await readFile(layout.blob(imageDigest));
    expect((await readFile(flat)).subarray(0, image.length).equals(image)).toBe(true);
  });

  it('keeps an existing disk, whatever is requested', async () => {
    const { path } = await disks.prepare(request(), never);
    await writeFile(path, 'what the guest wrote');
    await disks.prepare(request({ diskMib: 128 }), never);
    expect(await readFile(path, 'utf8')).toBe('what the guest wrote');
  });

  it('takes exactly the image size', async () => {
    const { path } = await disks.prepare(request({ diskMib: imageMib }), never);
    expect(await describeDisk(path)).toMatchObject({ 'virtual-size': imageMib * 1024 * 1024 });
  });

  it('removes the leftovers of a crash, with and without a disk', async () => {
    const machineDir = layout.diskDir('machine00001');
    await mkdir(machineDir, { recursive: true });
    await writeFile(join(machineDir, '.tmp-abcdefghijkl'), 'half a disk');
    await disks.prepare(request(), never);
    expect(await readdir(machineDir)).toEqual(['root.qcow2']);
    await writeFile(join(machineDir, '.tmp-abcdefghijkl'), 'half a disk');
    await disks.prepare(request(), never);
    expect(await readdir(machineDir)).toEqual(['root.qcow2']);
  });

  it('lets others pass to the disk, but not list or read it, whatever the umask', async () => {
    const before = process.umask(0o077);
    cleanups.push(() => process.umask(before));
    const { path } = await disks.prepare(request(), never);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(layout.diskDir('machine00001'))).mode & 0o777).toBe(0o711);
    expect((await stat(layout.disks)).mode & 0o777).toBe(0o711);
  });

  it.runIf(isRoot)('gives the disk to the slot’s user, who alone can open it (needs root)', async () => {
    const owned = new QcowDisks({ layout, uidBase: 700_000 });
    const { path } = await owned.prepare(request(), never);
    expect(await stat(path)).toMatchObject({ uid: 700_007, gid: 700_007 });
    const read = (uid: number) =>
      execFileSync('/usr/bin/head', ['-c', '4', path], {
        uid,
        gid: uid,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    expect(read(700_007).toString('latin1')).toBe('QFI\xfb');
    expect(() => read(700_008)).toThrow();
  });

  it.runIf(isRoot)('hands over an existing disk (needs root)', async () => {
    await disks.prepare(request(), never);
    const { path } = await new QcowDisks({ layout, uidBase: 700_000 }).prepare(request(), never);
    expect(await stat(path)).toMatchObject({ uid: 700_007, gid: 700_007 });
  });
});

describe('grow', () => {
  const mib = 1024 * 1024;

  it('enlarges a disk, keeps its content, and does nothing if it is large enough', async () => {
    const { path } = await disks.prepare(request(), never);
    await disks.grow(request({ diskMib: 200 }), never);
    expect(await describeDisk(path)).toMatchObject({
      'virtual-size': 200 * mib,
      'full-backing-filename': layout.blob(imageDigest),
    });
    await run('qemu-img', ['check', '-q', path], { timeoutMs: 10_000 });
    const flat = join(directory, 'flat.raw');
    await run('qemu-img', ['convert', '-O', 'raw', path, flat], { timeoutMs: 10_000 });
    const image = await readFile(layout.blob(imageDigest));
    expect((await readFile(flat)).subarray(0, image.length).equals(image)).toBe(true);
    const before = await readFile(path);
    await disks.grow(request({ diskMib: 64 }), never);
    expect((await readFile(path)).equals(before)).toBe(true);
  });

  it('opens no file that the header names, because the guest controls it', async () => {
    const { path } = await disks.prepare(request(), never);
    const forged = [
      'create',
      '-q',
      '-u',
      '-f',
      'qcow2',
      '-F',
      'raw',
      '-b',
      '/proc/self/nothing',
      path,
      '64M',
    ];
    await run('qemu-img', forged, { timeoutMs: 10_000 });
    await disks.grow(request({ diskMib: 128 }), never);
    expect((await readFile(path)).readBigUInt64BE(24)).toBe(BigInt(128 * mib));
    const victim = join(directory, 'victim');
    const external = [
      'create',
      '-q',
      '-f',
      'qcow2',
      '-o',
      `data_file=${victim},data_file_raw=on`,
      path,
      '64M',
    ];
    await run('qemu-img', external, { timeoutMs: 10_000 });
    const before = await readFile(victim);
    await expect(disks.grow(request({ diskMib: 256 }), never)).rejects.toMatchObject({
      code: 'engine',
      message: expect.stringContaining('damaged'),
    });
    expect((await readFile(victim)).equals(before)).toBe(true);
  });

  it.each(['', 'no disk', 'QFI\xfb'])('refuses an invalid disk: %j', async (text) => {
    const { path } = await disks.prepare(request(), never);
    await writeFile(path, text, 'latin1');
    await expect(disks.grow(request(), never)).rejects.toMatchObject({ code: 'engine' });
  });
});

describe('qemu-img', () => {
  it.runIf(isRoot)('runs as the machine’s user, without capabilities (needs root)', async () => {
    const telling = join(directory, 'telling');
    const script =
      '#!/bin/sh\necho "uid $(id -u) $(grep -E "CapEff|NoNewPrivs" /proc/self/status | tr -d "\\n\\t")" >&2\nexit 1\n';
    await writeFile(telling, script, { mode: 0o755 });
    const owned = new QcowDisks({ layout, uidBase: 700_000, qemuImg: telling });
    await expect(owned.prepare(request(), never)).rejects.toMatchObject({
      message: expect.stringMatching(/uid 700007 CapEff:0{16}NoNewPrivs:1/),
    });
  });

  it('never opens a disk that a VMM has written, because its header may name any host file', async () => {
    const { path } = await disks.prepare(request(), never);
    const forged = [
      'create',
      '-q',
      '-u',
      '-f',
      'qcow2',
      '-F',
      'raw',
      '-b',
      join(directory, 'secret'),
      path,
      '64M',
    ];
    await run('qemu-img', forged, { timeoutMs: 10_000 });
    expect(await describeDisk(path)).toMatchObject({ 'backing-filename': join(directory, 'secret') });
    const called = join(directory, 'called');
    const marking = join(directory, 'marking');
    await writeFile(marking, `#!/bin/sh\n: >${called}\n`, { mode: 0o755 });
    const later = new QcowDisks({ layout, uidBase: null, qemuImg: marking });
    await later.prepare(request(), never);
    await later.prepare(request({ diskMib: 128 }), never);
    expect(await later.list(never)).toEqual(['machine00001']);
    await later.remove('machine00001', never);
    expect(await readdir(directory)).not.toContain('called');
  });
});

describe('prepare refuses', () => {
  /** A failed attempt leaves nothing. */
  const expectNothing = async () => expect(await disks.list(never)).toEqual([]);

  it('a disk smaller than its image', async () => {
    await expect(disks.prepare(request({ diskMib: 1 }), never)).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringMatching(/1 MiB is smaller than its image, which needs 2 MiB/),
    });
    await expectNothing();
  });

  it('a missing image', async () => {
    const gone = `sha256:${'cd'.repeat(32)}`;
    await expect(disks.prepare(request({ imageDigest: gone }), never)).rejects.toMatchObject({
      code: 'not_found',
    });
    await expectNothing();
  });

  it('a host without qemu-img, and says what to do', async () => {
    const bare = new QcowDisks({ layout, uidBase: null, qemuImg: join(directory, 'no-qemu-img') });
    await expect(bare.prepare(request(), never)).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringContaining('./flotilla setup'),
    });
    await expectNothing();
  });

  it('when qemu-img fails, and keeps its message', async () => {
    const failing = join(directory, 'failing');
    await writeFile(failing, '#!/bin/sh\necho "the moon is full" >&2\nexit 1\n', { mode: 0o755 });
    const broken = new QcowDisks({ layout, uidBase: null, qemuImg: failing });
    await expect(broken.prepare(request(), never)).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('the moon is full'),
    });
    await expectNothing();
  });

  it('when the file system is full, and leaves it unchanged', async ({ skip }) => {
    await mkdir(layout.disks);
    try {
      // Two pages: enough for the directories, but not for the 192 KiB of an empty qcow2.
      const args = ['-t', 'tmpfs', '-o', 'size=8k', 'flotilla-test', layout.disks];
      execFileSync('mount', args, { stdio: 'ignore' });
    } catch {
      skip('this user or container may not mount a small file system');
    }
    cleanups.push(() => execFileSync('umount', [layout.disks]));
    await expect(disks.prepare(request(), never)).rejects.toMatchObject({ code: 'exhausted' });
    await expectNothing();
  });

  it('names that lead outside the directory', async () => {
    await expect(async () => disks.prepare(request({ machineId: '../images' }), never)).rejects.toThrow(
      'machine id',
    );
    await expect(async () => disks.remove('..', never)).rejects.toThrow('machine id');
  });
});

describe('remove and list', () => {
  it('removes the disk even while its record is written concurrently', async () => {
    const { path } = await disks.prepare(request(), never);
    let isOver = false;
    let written = 0;
    const writing = (async () => {
      while (!isOver && written < 500) {
        const record = writeFile(join(path, '..', `record-${written}`), 'x');
        if (!(await record.then(() => true).catch(() => false))) return;
        written += 1;
      }
    })();
    await disks.remove('machine00001', never);
    isOver = true;
    await writing;
    expect(await disks.list(never)).toEqual([]);
    expect(written).toBeGreaterThan(0);
  });

  it('removes the whole disk, and accepts a missing one', async () => {
    await disks.prepare(request(), never);
    await disks.prepare(request({ machineId: 'machine00002' }), never);
    expect([...(await disks.list(never))].sort()).toEqual(['machine00001', 'machine00002']);
    await disks.remove('machine00001', never);
    await disks.remove('machine00001', never);
    expect(await disks.list(never)).toEqual(['machine00002']);
    expect((await stat(layout.blob(imageDigest))).size).toBe(imageMib * 1024 * 1024);
  });

  it('lists no directory with a name that no machine can have', async () => {
    await disks.prepare(request(), never);
    await mkdir(join(layout.disks, 'lost+found'), { mode: 0o700 });
    await writeFile(join(layout.disks, 'README'), '');
    expect(await disks.list(never)).toEqual(['machine00001']);
    const found = await new RecordFiles(layout).list();
    expect(found).toEqual([{ machineId: 'machine00001', hasRecord: false, machine: null }]);
  });

  it('lists nothing before the first disk', async () => {
    expect(await disks.list(never)).toEqual([]);
  });

  it('lists a machine with only leftovers here, so that they can be removed', async () => {
    await mkdir(layout.diskDir('machine00003'), { recursive: true });
    await writeFile(join(layout.diskDir('machine00003'), '.tmp-abcdefghijkl'), '');
    expect(await disks.list(never)).toEqual(['machine00003']);
    await disks.remove('machine00003', never);
    expect(await disks.list(never)).toEqual([]);
  });
});
