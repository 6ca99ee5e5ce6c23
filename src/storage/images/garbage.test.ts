import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../../lib/process.ts';
import { CacheLayout, StateLayout } from '../layout.ts';
import { garbageAgeMsMin } from './garbage.ts';
import { ImageStore } from './store.ts';

const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const never = new AbortController().signal;
const nobody = new Set<string>();

let dir: string;
let state: StateLayout;
let cache: CacheLayout;
let store: ImageStore;
let now: number;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'flotilla-garbage-'));
  state = new StateLayout(join(dir, 'state'));
  cache = new CacheLayout(join(dir, 'cache'));
  now = Date.now() + garbageAgeMsMin + 60_000;
  store = new ImageStore({ state, cache, now: () => now });
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Makes an image in the cache like set-up, and imports it. */
async function makeImage(content: string): Promise<string> {
  await rm(cache.image('busybox'), { recursive: true, force: true });
  await mkdir(cache.image('busybox'), { recursive: true });
  await writeFile(join(cache.image('busybox'), 'root.ext4'), content);
  const facts = { rootMib: 32, memoryMibMin: 64, createdAt: '2026-01-01T00:00:00Z' };
  const record = { name: 'busybox', digest: digestOf(content), ...facts };
  await writeFile(join(cache.image('busybox'), 'image.json'), JSON.stringify(record));
  await store.sync();
  return digestOf(content);
}

async function makeKit(content: string): Promise<string> {
  await rm(cache.bootKit, { recursive: true, force: true });
  await mkdir(cache.bootKit, { recursive: true });
  for (const name of ['kernel', 'initrd']) await writeFile(join(cache.bootKit, name), content);
  const digests = { kernelDigest: digestOf(content), initrdDigest: digestOf(content) };
  const record = {
    digest: digestOf(`kit ${content}`),
    kernelRelease: content,
    kernelArgs: '',
    agentVersion: '1',
  };
  await writeFile(join(cache.bootKit, 'kit.json'), JSON.stringify({ ...record, ...digests }));
  await store.sync();
  return record.digest;
}

const blobs = async () => (await readdir(state.blobs)).map((name) => `sha256:${name}`).sort();

describe('root file systems', () => {
  it('of a rebuilt image are removed when no machine uses them', async () => {
    const [old, present] = [await makeImage('old'), await makeImage('present')];
    expect(await store.collect(new Set([old]))).toEqual([]);
    expect(await store.collect(nobody)).toEqual([{ kind: 'blob', digest: old, bytes: 3 }]);
    expect(await blobs()).toEqual([present]);
    expect((await store.named('default', 'busybox', never))?.digest).toBe(present);
    expect(await store.collect(nobody)).toEqual([]);
  });

  it('stay while they are young, because a creation may have resolved to one', async () => {
    const old = await makeImage('old');
    await makeImage('present');
    now -= garbageAgeMsMin;
    expect(await store.collect(nobody)).toEqual([]);
    expect(await blobs()).toContain(old);
  });

  it('stay while an orphan disk depends on them', async () => {
    const old = await makeImage('old');
    await makeImage('present');
    await mkdir(state.diskDir('lost'), { recursive: true });
    const args = [
      'create',
      '-q',
      '-u',
      '-f',
      'qcow2',
      '-F',
      'raw',
      '-b',
      state.blob(old),
      state.disk('lost'),
      '1M',
    ];
    await run('qemu-img', args, { timeoutMs: 10_000 });
    expect(await store.collect(nobody)).toEqual([]);
    // An invalid header must not cause a failure.
    await writeFile(
      state.disk('lost'),
      Buffer.concat([Buffer.from('514649fb00000003', 'hex'), Buffer.alloc(200, 255)]),
    );
    expect(await store.collect(nobody)).toEqual([{ kind: 'blob', digest: old, bytes: 3 }]);
  });

  it('stay when a record cannot be read', async () => {
    await makeImage('old');
    await makeImage('present');
    await writeFile(state.imageName('damaged'), '{');
    const later = new ImageStore({ state, cache, now: () => now });
    expect(await later.collect(nobody)).toEqual([]);
    expect(await blobs()).toHaveLength(2);
  });
});

describe('boot kits', () => {
  it('are removed an hour after set-up has made another', async () => {
    const [old, present] = [await makeKit('old'), await makeKit('present')];
    now -= garbageAgeMsMin;
    expect(await store.collect(nobody)).toEqual([]);
    now += garbageAgeMsMin;
    expect(await store.collect(nobody)).toMatchObject([{ kind: 'boot_kit', digest: old }]);
    expect(await store.bootKit(digestOf('any'), never)).toMatchObject({ kernelRelease: 'present' });
    expect((await readdir(state.boot)).sort()).toEqual(['current.json', present.slice(7)].sort());
  });

  it('stay while a running VMM was started with one', async () => {
    const old = await makeKit('old');
    await makeKit('present');
    const vmm = spawn('tail', ['-f', join(state.bootKit(old), 'kernel')], { stdio: 'ignore' });
    try {
      expect(await store.collect(nobody)).toEqual([]);
    } finally {
      vmm.kill('SIGKILL');
      await new Promise((resolve) => vmm.once('close', resolve));
    }
    expect(await store.collect(nobody)).toHaveLength(1);
  });
});
