/**
 * Either all of an archive becomes the image, or nothing, wherever its parts are split, cut or followed by
 * other data.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ImageImport } from '../../core/ports/images.ts';
import { shortId } from '../../lib/ids.ts';
import { CacheLayout, StateLayout } from '../layout.ts';
import { offerImageBuilder } from '../testing/image-builder.ts';
import { entry, tarEnd } from '../testing/tar.ts';
import { ImageStore } from './store.ts';

let dir: string;
let state: StateLayout;
let store: ImageStore;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'flotilla-whole-'));
  state = new StateLayout(join(dir, 'state'));
  const cache = new CacheLayout(join(dir, 'cache'));
  await offerImageBuilder(cache);
  store = new ImageStore({ state, cache });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const never = new AbortController().signal;

/** The names in the root directory of the image made from the archive. */
async function rootOf(archive: Uint8Array): Promise<readonly string[]> {
  const id = shortId();
  const request: ImageImport = {
    ...{ tenant: 'one', name: `image-${id}`, kernel: 'host', memoryMibMin: 96 },
    source: { kind: 'upload' },
  };
  const chunks = async function* () {
    yield archive;
  };
  try {
    await store.receive(id, chunks(), never);
    await store.build(id, request, never);
    const { digest } = await store.publish(id, request);
    return execFileSync('debugfs', ['-R', 'ls -p /', state.blob(digest)], { stdio: 'pipe' })
      .toString()
      .split('\n')
      .map((line) => line.split('/')[5] ?? '');
  } finally {
    await store.discard(id);
  }
}

const program = entry('app', { content: 'x' });
/** Zeros, so that the data before the cut looks like the end of an archive. */
const zeros = entry('zeros', { content: '\0'.repeat(4096) });
const important = entry('important', { content: 'data' });
const tar = Buffer.concat([program, zeros, important, tarEnd]);
const cut = program.length + zeros.length;
const halves = [tar.subarray(0, cut), tar.subarray(cut)] as const;

const packers = ['gzip', 'zstd', 'xz', 'bzip2'] as const;
type Packer = (typeof packers)[number];
const pack = (packer: Packer, data: Uint8Array) => execFileSync(packer, ['-c'], { input: data });
/** A zstd frame that contains nothing of the archive. */
const skippable = Buffer.concat([Buffer.from('5a2a4d1804000000', 'hex'), Buffer.from('skip')]);

describe.each(packers)('%s', (packer) => {
  it('in two parts, the first ending between files', async () => {
    const parts = Buffer.concat(halves.map((half) => pack(packer, half)));
    expect(await rootOf(parts)).toContain('important');
  });

  it.each([
    ['without its second part', () => pack(packer, halves[0])],
    ['with half of its second part', () => cutOff(packer)],
    ['with noise behind it', () => Buffer.concat([pack(packer, tar), Buffer.from('noise')])],
    ['with a plain archive behind it', () => Buffer.concat([pack(packer, tar), tar])],
    ['with another archive in a second part', () => Buffer.concat([pack(packer, tar), pack(packer, tar)])],
    ['with a changed byte in it', () => changed(pack(packer, tar))],
  ])('%s is refused', async (_, make) => {
    await expect(rootOf(make())).rejects.toMatchObject({ code: 'invalid' });
  });
});

function cutOff(packer: Packer): Buffer {
  const second = pack(packer, halves[1]);
  return Buffer.concat([pack(packer, halves[0]), second.subarray(0, second.length / 2)]);
}

function changed(packed: Buffer): Buffer {
  const copy = Buffer.from(packed);
  const at = Math.floor(copy.length / 2);
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

describe('skippable zstd frames', () => {
  it.each([
    ['before the first', () => Buffer.concat([skippable, pack('zstd', tar)])],
    ['between two', () => Buffer.concat([pack('zstd', halves[0]), skippable, pack('zstd', halves[1])])],
    ['after the last', () => Buffer.concat([pack('zstd', tar), skippable])],
  ])('%s are skipped', async (_, make) => {
    expect(await rootOf(make())).toContain('important');
  });
});

describe('a plain archive', () => {
  it('with zeros after its end is complete', async () => {
    expect(await rootOf(Buffer.concat([tar, Buffer.alloc(20_480)]))).toContain('important');
  });

  it.each([
    ['cut between two files, behind zeros', () => tar.subarray(0, cut)],
    ['cut in a header', () => tar.subarray(0, cut + 100)],
    ['cut in a file', () => tar.subarray(0, cut + 514)],
    ['cut in the padding', () => tar.subarray(0, cut + 600)],
    ['cut before its end', () => tar.subarray(0, tar.length - 1024)],
    ['cut in its end', () => tar.subarray(0, tar.length - 512)],
    ['cut after a long name', () => Buffer.concat([program, longName, Buffer.alloc(0)])],
    ['followed by another', () => Buffer.concat([tar, tar])],
    ['followed by noise', () => Buffer.concat([tar, Buffer.alloc(512, 'noise')])],
    ['followed by a byte, far behind', () => Buffer.concat([tar, Buffer.alloc(1 << 20), Buffer.from('x')])],
    ['with a damaged header', () => changedHeader()],
  ])('%s is refused', async (_, make) => {
    await expect(rootOf(make())).rejects.toMatchObject({ code: 'invalid' });
  });

  it('reports data after its end', async () => {
    await expect(rootOf(Buffer.concat([tar, tar]))).rejects.toMatchObject({
      message: 'the archive has data after its end',
      hint: expect.stringContaining('tar --concatenate'),
    });
  });

  it('leaves nothing behind when it is refused', async () => {
    await expect(rootOf(tar.subarray(0, cut))).rejects.toMatchObject({ message: 'the archive is cut off' });
    expect((await readdir(state.images)).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

const longName = entry('././@LongLink', { type: 'L', content: `${'n'.repeat(120)}\0` });

function changedHeader(): Buffer {
  const copy = Buffer.from(tar);
  copy.write('X', cut + 120);
  return copy;
}
