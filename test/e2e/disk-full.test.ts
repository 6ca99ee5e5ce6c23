/**
 * A disk that fills up under a daemon and a real guest: a small file system mounted for this file (as root).
 */
import { execFileSync } from 'node:child_process';
import { existsSync, statfsSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, open, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type { Machine } from '../../sdk/src/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { readConfig } from '../../src/main/config.ts';
import { reserveBytesMax } from '../../src/store/reserve.ts';
import { startTestHost, type TestHost } from '../support/host.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const mib = 1024 * 1024;
/** Kernel, image and reserve take about 90 MiB, the machines a few. */
const diskMib = 320;

let directory: string;
let disk: string;
let host: TestHost;
const warnings: string[] = [];
const notes: string[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'd-'));
  // The VMMs' users must be able to pass through.
  await chmod(directory, 0o711);
  disk = join(directory, 'disk');
  await mkdir(disk);
  mount(disk);
  const log = {
    ...silentLog,
    warn: (_: object, message: string) => void warnings.push(message),
    info: (_: object, message: string) => void notes.push(message),
  };
  host = await startTestHost({ FLOTILLA_CACHE_DIR: await smallCache() }, { parent: disk, log });
});

afterEach(async () => {
  await empty();
  const { machines } = await host.client.machines.list({ limit: 1000 });
  for (const { id } of machines) await host.client.machines.delete(id, { force: true });
  await vi.waitUntil(isReserveWhole, { timeout: 60_000, interval: 1_000 });
});

afterAll(async () => {
  try {
    await host?.close();
  } finally {
    execFileSync('umount', [disk]);
    await rm(directory, { recursive: true });
  }
});

function mount(path: string): void {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskMib}m,mode=0711`, 'flotilla-test', path]);
  } catch (error) {
    throw new Error('this test mounts a small file system, for which it has to run as root', {
      cause: error,
    });
  }
}

/** The cache without images that are too large for the disk. */
async function smallCache(): Promise<string> {
  const { cacheDir } = readConfig(process.env);
  const cache = join(directory, 'cache');
  await mkdir(join(cache, 'images'), { recursive: true });
  await symlink(join(cacheDir, 'boot'), join(cache, 'boot'));
  await symlink(join(cacheDir, 'images', 'busybox'), join(cache, 'images', 'busybox'));
  return cache;
}

const freeMib = () => {
  const { bavail, bsize } = statfsSync(disk);
  return Math.floor((bavail * bsize) / mib);
};
const filler = () => join(disk, 'filler');
const empty = () => rm(filler(), { force: true });

/** Writes until only this much is free; 0: until no byte can be written. */
async function fill(leaveMib = 0): Promise<void> {
  const handle = await open(filler(), 'a');
  const chunk = Buffer.alloc(leaveMib === 0 ? 4096 : mib);
  const bulk = Buffer.alloc(mib);
  try {
    while (freeMib() > leaveMib + 1) await handle.writeFile(bulk);
    while (leaveMib === 0 || freeMib() > leaveMib) await handle.writeFile(chunk);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  } finally {
    await handle.close();
  }
}

const create = (name: string) =>
  host.client.machines.create({ name, vcpu_count: 1, mem_size_mib: 128, image: 'busybox' });

const reserveBytes = () => {
  const { reserveFile } = host.daemon.flotilla.layout;
  return existsSync(reserveFile) ? statSync(reserveFile).blocks * 512 : 0;
};

/** Whether the reserve is complete after a write, which makes the store check it. */
async function isReserveWhole(): Promise<boolean> {
  await host.client.machines.delete((await create('any')).id);
  return reserveBytes() === reserveBytesMax;
}

async function expectAlive(): Promise<void> {
  expect(await host.client.health()).toMatchObject({ status: expect.any(String) });
}

const isExhausted = { status: 503, code: 'RESOURCE_EXHAUSTED', hint: expect.stringContaining('space') };

async function namesBelow(path: string): Promise<readonly string[]> {
  return (await readdir(path, { recursive: true })).sort();
}

test('a create on a full disk is refused and leaves nothing; get, list, stop and delete still work', async () => {
  const { id } = await create('before');
  await host.client.machines.start(id);
  const { layout } = host.daemon.flotilla;
  const disks = await namesBelow(layout.disks);
  await fill();
  for (let n = 0; n < 3; n++) await expect(create(`no-${n}`)).rejects.toMatchObject(isExhausted);
  expect((await host.client.machines.list()).machines.map(({ name }) => name)).toEqual(['before']);
  expect(await host.daemon.flotilla.store.operations.open(host.daemon.flotilla.owner.hostId)).toEqual([]);
  expect(await namesBelow(layout.disks)).toEqual(disks);
  expect(await host.client.machines.get(id)).toMatchObject({ status: 'running', failure: null });
  expect(await host.client.machines.stop(id)).toMatchObject({ status: 'stopped', failure: null });
  await host.client.machines.delete(id);
  expect(await namesBelow(layout.disks)).toEqual([]);
  await expectAlive();
});

test('an image without enough space is not imported, not even partly, and is imported when there is space', async () => {
  const { layout } = host.daemon.flotilla;
  const [image] = await host.daemon.flotilla.images.list('default');
  if (image === undefined) throw new Error('the image was brought in for the test before');
  await rm(layout.imageName(image.name));
  await rm(layout.blob(image.digest));
  await fill();
  await expect(create('web')).rejects.toMatchObject(isExhausted);
  expect(await readdir(layout.blobs)).toEqual([]);
  expect(await readdir(layout.imageNames)).toEqual([]);
  expect((await host.client.machines.list()).total).toBe(0);
  await empty();
  expect(await create('web')).toMatchObject({ image: 'busybox' });
});

test('a start on a full disk fails with the reason, leaves no process, and works when there is space', async () => {
  const { id } = await create('web');
  await fill();
  await expect(host.client.machines.start(id)).rejects.toMatchObject(isExhausted);
  expect(await host.client.machines.get(id)).toMatchObject({
    status: 'failed',
    pid: null,
    failure: { code: 'exhausted', message: expect.stringContaining('full') },
  });
  expect(await readdir(host.daemon.flotilla.layout.run)).toEqual([]);
  await empty();
  expect(await host.client.machines.start(id)).toMatchObject({ status: 'running', failure: null });
});

test('the reserve is released for records and refilled when there is space', async () => {
  expect(await isReserveWhole()).toBe(true);
  const told = { warnings: warnings.length, notes: notes.length };
  await fill();
  for (let n = 0; n < 2; n++) await expect(create('web')).rejects.toMatchObject(isExhausted);
  expect(reserveBytes()).toBeLessThan(reserveBytesMax);
  expect(warnings.slice(told.warnings).filter((line) => line.includes('reserve'))).toHaveLength(1);
  await empty();
  await vi.waitUntil(isReserveWhole, { timeout: 60_000, interval: 1_000 });
  expect(notes.slice(told.notes).filter((line) => line.includes('reserve'))).toHaveLength(1);
});

test('even with the reserve used up, machines are shown, used, stopped and deleted', async () => {
  const { id } = await create('web');
  await host.client.machines.start(id);
  for (let n = 0; n < 12; n++) {
    await fill();
    await expect(create(`no-${n}`)).rejects.toMatchObject(isExhausted);
  }
  expect(reserveBytes()).toBe(0);
  expect(await host.client.machines.get(id)).toMatchObject({ status: 'running' });
  expect(await host.client.machines.exec(id, { command: ['echo', 'here'] })).toMatchObject({
    stdout: 'here\n',
  });
  expect((await host.client.machines.list()).total).toBe(1);
  expect(await host.client.machines.stop(id)).toMatchObject({ status: 'stopped' });
  await host.client.machines.delete(id);
  expect(await host.daemon.flotilla.store.operations.open(host.daemon.flotilla.owner.hostId)).toEqual([]);
  await expectAlive();
});

test('a guest that finds the disk full is paused with that reason, and resumes by itself when there is space', async () => {
  const { id, pid } = await create('web').then((machine) => host.client.machines.start(machine.id));
  await fill(24);
  const write = 'dd if=/dev/urandom of=/root/big bs=1M count=48 && sync && echo whole > /root/done';
  await host.client.machines.exec(id, {
    command: ['sh', '-c', `(${write}) </dev/null >/dev/null 2>&1 &`],
  });
  const { reconciler } = host.daemon.flotilla;
  const seen = await lookUntil(id, (failure) => failure !== null);
  expect(seen).toMatchObject({ status: 'running', pid, failure: { code: 'disk_full' } });
  expect(freeMib()).toBeLessThan(24);
  await reconciler.run();
  expect(await host.client.machines.get(id)).toMatchObject({ failure: { code: 'disk_full' } });

  await empty();
  await lookUntil(id, (failure) => failure === null);
  await vi.waitUntil(
    async () => (await host.client.machines.exec(id, { command: ['cat', '/root/done'] })).exit_code === 0,
    { timeout: 120_000, interval: 500 },
  );
  expect(await host.client.machines.exec(id, { command: ['stat', '-c', '%s', '/root/big'] })).toMatchObject({
    stdout: `${48 * mib}\n`,
  });
  expect(await host.client.machines.get(id)).toMatchObject({ status: 'running', pid, failure: null });
});

/** The API's answer has more fields than the client's type. */
type ShownMachine = Machine & { readonly failure: unknown };

/** Makes the daemon reconcile, like its timer, until the machine is in the expected state. */
async function lookUntil(id: string, isSo: (failure: unknown) => boolean): Promise<Machine> {
  return vi.waitUntil(
    async () => {
      await host.daemon.flotilla.reconciler.run();
      const machine = await host.client.machines.get(id);
      return isSo((machine as ShownMachine).failure) ? machine : null;
    },
    { timeout: 120_000, interval: 250 },
  );
}
