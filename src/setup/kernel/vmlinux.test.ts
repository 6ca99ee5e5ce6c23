import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../../lib/process.ts';
import { fakeVmlinux, makeBzImage, zstdPayload } from '../testing.ts';
import { extractVmlinux, findPayload } from './vmlinux.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'flotilla-vmlinux-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('findPayload', () => {
  const find = async (image: Buffer) => {
    await writeFile(join(dir, 'bzImage'), image);
    const { compression, start, end } = await findPayload(join(dir, 'bzImage'));
    return { compression, data: image.subarray(start, end) };
  };

  it('excludes the size that the build appends', async () => {
    const payload = zstdPayload(fakeVmlinux);
    const found = await find(makeBzImage(payload));
    expect(found.compression).toBe('zstd');
    expect(found.data.equals(payload.subarray(0, -4))).toBe(true);
  });

  it('treats zero setup sectors as four', async () => {
    const image = makeBzImage(zstdPayload(fakeVmlinux), { setupSectors: 0 });
    expect((await find(image)).compression).toBe('zstd');
  });

  it('keeps a whole gzip payload, which contains its size', async () => {
    const payload = gzipSync(fakeVmlinux);
    expect((await find(makeBzImage(payload))).data.equals(payload)).toBe(true);
  });

  it.each([
    ['has no setup header', Buffer.alloc(4096)],
    ['has no setup header', Buffer.alloc(10)],
    ['boot protocol 0x207', makeBzImage(zstdPayload(fakeVmlinux), { version: 0x0207 })],
    ['cut off', makeBzImage(zstdPayload(fakeVmlinux)).subarray(0, -1)],
    ['unknown compression', makeBzImage(Buffer.from('not compressed at all'))],
    ['unknown compression', makeBzImage(Buffer.alloc(0))],
  ])('refuses an image that is not a kernel: %s', async (reason, image) => {
    await expect(find(image)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining(reason),
    });
  });
});

describe.each(['signed', 'hostile'] as const)('extractVmlinux of %s files', (trust) => {
  const extract = async (payload: Buffer) => {
    const target = join(dir, 'vmlinux');
    await writeFile(join(dir, 'bzImage'), makeBzImage(payload));
    const options = { env: process.env, signal: AbortSignal.timeout(30_000), trust };
    await extractVmlinux(join(dir, 'bzImage'), target, options);
    return readFile(target);
  };

  it('unpacks gzip and zstd', async () => {
    expect((await extract(gzipSync(fakeVmlinux))).equals(fakeVmlinux)).toBe(true);
    expect((await extract(zstdPayload(fakeVmlinux))).equals(fakeVmlinux)).toBe(true);
  });

  it.each([
    ['lz4', ['-l', '-q', 'plain', 'packed']],
    ['xz', ['-k', '-S', '.packed', 'plain']],
  ])('unpacks %s', async (program, args) => {
    await writeFile(join(dir, 'plain'), fakeVmlinux);
    await run(program, args, { cwd: dir, timeoutMs: 10_000 });
    const packed = (await readdir(dir)).find((name) => name.endsWith('packed')) ?? '';
    const payload = Buffer.concat([await readFile(join(dir, packed)), Buffer.alloc(4)]);
    expect((await extract(payload)).equals(fakeVmlinux)).toBe(true);
  });

  it.each([
    ['gzip', (data: Buffer) => gzipSync(data, { level: 1 })],
    ['zstd', zstdPayload],
  ])('unpacks %s without blocking the event loop', async (_, pack) => {
    const payload = pack(Buffer.concat([fakeVmlinux, Buffer.alloc(128 * 2 ** 20)]));
    await writeFile(join(dir, 'bzImage'), makeBzImage(payload));
    const options = { env: process.env, signal: AbortSignal.timeout(30_000), trust };
    let turns = 0;
    const turn = setInterval(() => {
      turns += 1;
    }, 1);
    await extractVmlinux(join(dir, 'bzImage'), join(dir, 'vmlinux'), options);
    clearInterval(turn);
    expect(turns).toBeGreaterThan(5);
    expect((await stat(join(dir, 'vmlinux'))).size).toBe(fakeVmlinux.length + 128 * 2 ** 20);
  });

  it('refuses a payload that is not an ELF file', async () => {
    await expect(extract(gzipSync(Buffer.from('#!/bin/sh')))).rejects.toMatchObject({ code: 'unsupported' });
  });
});
