/**
 * The first start of a machine, in which the guest grows its root file system to the size of its disk; and
 * interruptions of it.
 */
import { statSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Machine } from '../../sdk/src/index.ts';
import { diskMibMax } from '../../src/core/machines/spec.ts';
import { startTestHost, type TestHost } from '../support/host.ts';

vi.setConfig({ testTimeout: 400_000, hookTimeout: 400_000 });

let host: TestHost;
beforeAll(async () => {
  host = await startTestHost();
});
afterEach(async () => {
  const { machines } = await host.client.machines.list({ limit: 1000 });
  for (const { id } of machines) await host.client.machines.delete(id, { force: true });
});
afterAll(() => host.close());

/** Uses the smallest memory for the image and the disk. */
const create = (diskMib: number): Promise<Machine> =>
  host.client.machines.create({
    name: 'big',
    vcpu_count: 1,
    mem_size_mib: 96 + 8 * Math.floor(diskMib / (1024 * 1024)),
    image: 'busybox',
    disk_size_mib: diskMib,
  });

async function output(script: string): Promise<string> {
  return (await host.client.machines.exec('big', { command: ['sh', '-c', script], timeout: 120 })).stdout;
}

/** The file system fills its disk, and the guest's kernel has reported no error. */
async function expectWhole(diskMib: number): Promise<void> {
  const sizeMib = Number(await output("df -m / | awk 'END { print $2 }'"));
  expect(sizeMib).toBeGreaterThan(diskMib * 0.95);
  expect(await output('head -c 8388608 /dev/zero > /root/filled && sync && stat -c %s /root/filled')).toBe(
    '8388608\n',
  );
  expect(await output("dmesg | grep -E 'EXT4-fs (error|warning)|kernel BUG|Oops' || true")).toBe('');
}

test.each([1000, diskMibMax])('a disk of %i MiB is filled by its file system', async (diskMib) => {
  await create(diskMib);
  expect(await host.client.machines.start('big')).toMatchObject({ status: 'running' });
  await expectWhole(diskMib);
});

test('a disk larger than any start could fill is refused at create', async () => {
  await expect(create(diskMibMax + 1)).rejects.toMatchObject({ status: 400 });
});

describe('interrupted while it grows', () => {
  const diskMib = 512 * 1024;
  const mib = 1024 * 1024;

  /** Begins to start the machine, and waits until the guest has written this much to its disk. */
  async function startUntilWritten(
    bytes: number,
  ): Promise<{ readonly pid: number; readonly start: Promise<unknown> }> {
    const { rootfs_path: disk } = await host.client.machines.get('big');
    const before = statSync(disk).blocks * 512;
    const start = host.client.machines.start('big').catch((error: unknown) => error);
    await vi.waitUntil(() => statSync(disk).blocks * 512 >= before + bytes, {
      timeout: 100_000,
      interval: 1,
    });
    const { pid } = await host.client.machines.get('big');
    return { pid: pid ?? -1, start };
  }

  test('by repeated deaths of its VMM: the next start finds it intact', async () => {
    await create(diskMib);
    for (const bytes of [mib / 4, 3 * mib]) {
      const { pid, start } = await startUntilWritten(bytes);
      process.kill(pid, 'SIGKILL');
      expect(await start).toBeInstanceOf(Error);
    }
    expect(await host.client.machines.start('big')).toMatchObject({ status: 'running' });
    await expectWhole(diskMib);
  });

  test('by a stop: the next start finds it intact', async () => {
    await create(diskMib);
    const { start } = await startUntilWritten(mib);
    expect(await host.client.machines.stop('big')).toMatchObject({ status: 'stopped' });
    await start;
    expect(await host.client.machines.start('big')).toMatchObject({ status: 'running' });
    await expectWhole(diskMib);
  });
});
