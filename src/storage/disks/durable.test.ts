import type * as FilePromises from 'node:fs/promises';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { StateLayout } from '../layout.ts';
import { QcowDisks } from './qcow-disks.ts';

/** File system calls, in order. */
const calls = vi.hoisted(() => [] as string[]);
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof FilePromises>();
  const { recording } = await import('../../lib/testing/recorded-files.ts');
  return recording(real, calls);
});

it('a disk is synced before it gets its name, and its directory afterwards', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'flotilla-durable-'));
  try {
    const layout = new StateLayout(dir);
    const imageDigest = `sha256:${'ab'.repeat(32)}`;
    await mkdir(layout.blobs, { recursive: true });
    await writeFile(layout.blob(imageDigest), Buffer.alloc(1 << 20));
    const disks = new QcowDisks({ layout, uidBase: null });
    calls.length = 0;
    const request = { machineId: 'machine00001', slot: 0, imageDigest, diskMib: 4 };
    const { path } = await disks.prepare(request, new AbortController().signal);
    const [temporary = ''] = calls.map((call) => call.split(' ')[1]);
    expect(basename(temporary)).toMatch(/^\.tmp-/);
    const machine = layout.diskDir('machine00001');
    expect(calls).toEqual([
      `sync ${temporary}`,
      `rename ${temporary} ${path}`,
      `sync ${machine}`,
      `sync ${layout.disks}`,
    ]);
  } finally {
    await rm(dir, { recursive: true });
  }
});
