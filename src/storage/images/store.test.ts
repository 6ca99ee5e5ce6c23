import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CacheLayout, StateLayout } from '../layout.ts';
import { copySparse, importFile } from './importing.ts';
import { ImageStore } from './store.ts';

const never = new AbortController().signal;

let dir: string;
let state: StateLayout;
let cache: CacheLayout;
let store: ImageStore;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'flotilla-images-'));
  state = new StateLayout(join(dir, 'state'));
  cache = new CacheLayout(join(dir, 'cache'));
  store = new ImageStore({ state, cache });
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;

/** Puts an image into the cache like set-up: a new directory that replaces the old one. */
async function offer(name: string, content: string, changes: object = {}): Promise<void> {
  const record = {
    name,
    digest: digestOf(content),
    rootMib: 32,
    memoryMibMin: 64,
    createdAt: '2026-01-01T00:00:00Z',
  };
  await rm(cache.image(name), { recursive: true, force: true });
  await mkdir(cache.image(name), { recursive: true });
  await writeFile(join(cache.image(name), 'root.ext4'), content);
  await writeFile(
    join(cache.image(name), 'image.json'),
    JSON.stringify({ ...record, inputsHash: 'x', ...changes }),
  );
}

async function offerKit(kernel: string, initrd: string): Promise<string> {
  const digest = digestOf(kernel + initrd);
  await rm(cache.bootKit, { recursive: true, force: true });
  await mkdir(cache.bootKit, { recursive: true });
  await writeFile(join(cache.bootKit, 'kernel'), kernel);
  await writeFile(join(cache.bootKit, 'initrd'), initrd);
  const record = { kernelRelease: '6.1.0', kernelArgs: '', agentVersion: '1', digest };
  const digests = { kernelDigest: digestOf(kernel), initrdDigest: digestOf(initrd) };
  await writeFile(join(cache.bootKit, 'kit.json'), JSON.stringify({ ...record, ...digests }));
  return digest;
}

const modeOf = async (path: string) => (await stat(path)).mode & 0o7777;

describe('images', () => {
  it('imports the cache’s images by link, readable for everyone and read-only', async () => {
    await offer('busybox', 'root');
    await store.sync();
    const blob = state.blob(digestOf('root'));
    expect(await readFile(blob, 'utf8')).toBe('root');
    expect((await stat(blob)).ino).toBe((await stat(join(cache.image('busybox'), 'root.ext4'))).ino);
    expect(await modeOf(blob)).toBe(0o444);
    expect(await store.named('default', 'busybox', never)).toEqual({
      name: 'busybox',
      digest: digestOf('root'),
      rootMib: 32,
      memoryMibMin: 64,
      createdAt: '2026-01-01T00:00:00Z',
      tenant: null,
      isBuiltIn: true,
      kernel: 'host',
      kernelRelease: null,
    });
  });

  it('opens the directories on the way to the blobs whatever the umask', async () => {
    const umask = process.umask(0o077);
    try {
      await store.sync();
    } finally {
      process.umask(umask);
    }
    for (const path of [dirname(state.blobs), state.boot]) expect(await modeOf(path)).toBe(0o755);
  });

  it('lets VMMs pass to the blobs without listing them', async () => {
    await store.sync();
    expect(await modeOf(state.blobs)).toBe(0o711);
  });

  it('is cancelled atomically when the daemon ends', async () => {
    await offer('busybox', 'root');
    const reason = new Error('shutting down');
    await expect(store.sync({ signal: AbortSignal.abort(reason) })).rejects.toThrow('shutting down');
    expect(await readdir(state.blobs)).toEqual([]);
    await store.sync();
    expect((await store.named('default', 'busybox', never))?.digest).toBe(digestOf('root'));
  });

  it('survives the cache', async () => {
    await offer('busybox', 'root');
    await store.sync();
    await rm(cache.root, { recursive: true });
    await store.sync();
    expect((await store.named('default', 'busybox', never))?.digest).toBe(digestOf('root'));
    expect(await readFile(state.blob(digestOf('root')), 'utf8')).toBe('root');
  });

  it('finds an image made after the last sync, once for many callers', async () => {
    await store.sync();
    await offer('debian-12', 'root');
    const found = await Promise.all(
      Array.from({ length: 8 }, () => store.named('default', 'debian-12', never)),
    );
    expect(new Set(found.map((image) => image?.digest))).toEqual(new Set([digestOf('root')]));
    expect(await readdir(state.blobs)).toHaveLength(1);
  });

  it('changes nothing when synced again', async () => {
    await offer('busybox', 'root');
    await store.sync();
    const before = await stat(state.imageName('busybox'));
    await store.sync();
    expect((await stat(state.imageName('busybox'))).ino).toBe(before.ino);
  });

  it('moves the name to a newer build and keeps the older blob', async () => {
    await offer('busybox', 'old');
    await store.sync();
    await offer('busybox', 'new');
    await store.sync();
    expect((await store.named('default', 'busybox', never))?.digest).toBe(digestOf('new'));
    expect(await readFile(state.blob(digestOf('old')), 'utf8')).toBe('old');
  });

  it('imports a lost blob again', async () => {
    await offer('busybox', 'root');
    await store.sync();
    await rm(state.blob(digestOf('root')));
    expect(await store.list('default')).toEqual([]);
    expect((await store.named('default', 'busybox', never))?.digest).toBe(digestOf('root'));
  });

  it('removes leftovers of an interrupted import', async () => {
    await mkdir(state.blobs, { recursive: true });
    await mkdir(join(state.boot, '.import-dead'), { recursive: true });
    await writeFile(join(state.blobs, '.import-dead'), 'half');
    await store.sync();
    expect(await readdir(state.blobs)).toEqual([]);
    expect(await readdir(state.boot)).toEqual([]);
  });

  it('refuses content that does not match its record, and imports the rest', async () => {
    await offer('broken', 'root', { digest: digestOf('other') });
    await offer('sound', 'sound');
    await expect(store.sync()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('import image broken'),
      hint: expect.stringContaining('./flotilla setup'),
    });
    expect((await store.list('default')).map((image) => image.name)).toEqual(['sound']);
    expect(await readdir(state.blobs)).toEqual([digestOf('sound').slice('sha256:'.length)]);
  });

  it('refuses a damaged record and one under another name', async () => {
    await offer('one', 'root', { rootMib: 'many' });
    await expect(store.sync()).rejects.toMatchObject({ code: 'internal' });
    await offer('one', 'root', { name: 'two' });
    await expect(store.sync()).rejects.toThrow('holds the image two');
  });

  it('lists by name', async () => {
    await offer('busybox', 'b');
    await offer('alpine', 'a');
    await store.sync();
    expect((await store.list('default')).map((image) => image.name)).toEqual(['alpine', 'busybox']);
  });

  it.each([
    '',
    '../../etc/passwd',
    'a/b',
    'A',
    '.hidden',
    'a..b',
    'a/../b',
    '/a',
    'a:',
    'a//b',
    'x'.repeat(241),
  ])('finds nothing under the impossible name %j', async (name) => {
    expect(await store.named('default', name, never)).toBeNull();
  });

  it('lists nothing before anything is there', async () => {
    expect(await store.list('default')).toEqual([]);
  });
});

describe('boot kits', () => {
  it('imports the kit and returns paths in the state directory', async () => {
    const digest = await offerKit('kernel', 'initrd');
    const kit = await store.bootKit(digestOf('root'), never);
    expect(kit).toEqual({
      kernelPath: join(state.bootKit(digest), 'kernel'),
      initrdPath: join(state.bootKit(digest), 'initrd'),
      kernelRelease: '6.1.0',
      kernelArgs: '',
      needsAcpi: true,
    });
    expect(await readFile(kit.kernelPath, 'utf8')).toBe('kernel');
    expect(await modeOf(kit.initrdPath)).toBe(0o444);
    expect(await modeOf(dirname(kit.initrdPath))).toBe(0o755);
  });

  it('uses a newer kit after the next sync and keeps the older', async () => {
    const old = await offerKit('kernel', 'old');
    const known = () => store.knownBootKit(digestOf('root'));
    expect(known()).toBeNull();
    await store.sync();
    const next = await offerKit('kernel', 'new');
    expect((await store.bootKit(digestOf('root'), never)).initrdPath).toBe(
      join(state.bootKit(old), 'initrd'),
    );
    expect(known()?.initrdPath).toBe(join(state.bootKit(old), 'initrd'));
    await store.sync();
    expect(known()).toBeNull();
    expect((await store.bootKit(digestOf('root'), never)).initrdPath).toBe(
      join(state.bootKit(next), 'initrd'),
    );
    expect(await readFile(join(state.bootKit(old), 'initrd'), 'utf8')).toBe('old');
  });

  it('leaves nothing of a kit whose files do not match their digests', async () => {
    await offerKit('kernel', 'initrd');
    await writeFile(join(cache.bootKit, 'initrd'), 'changed');
    await expect(store.bootKit(digestOf('root'), never)).rejects.toMatchObject({ code: 'unavailable' });
    expect(await readdir(state.boot)).toEqual([]);
  });

  it('hints at set-up when there is none', async () => {
    await expect(store.bootKit(digestOf('root'), never)).rejects.toMatchObject({
      code: 'unavailable',
      hint: expect.stringContaining('./flotilla setup'),
    });
  });
});

describe('importing', () => {
  it('copies with holes', async () => {
    const source = join(dir, 'source');
    await writeFile(source, Buffer.concat([Buffer.alloc(4 << 20), Buffer.from('end')]));
    await copySparse(source, join(dir, 'copy'));
    const copy = await stat(join(dir, 'copy'));
    expect(copy.size).toBe((4 << 20) + 3);
    expect(copy.blocks * 512).toBeLessThan(1 << 20);
  });

  it('copies from another file system', async (test) => {
    const other = await mkdtemp('/dev/shm/flotilla-images-').catch(() => null);
    if (other === null) return test.skip('there is no /dev/shm');
    try {
      const source = join(other, 'root');
      await writeFile(source, 'root');
      if ((await stat(source)).dev === (await stat(dir)).dev)
        return test.skip('/dev/shm is no other file system');
      await importFile(source, join(dir, 'imported'), digestOf('root'));
      expect(await readFile(join(dir, 'imported'), 'utf8')).toBe('root');
      expect(await modeOf(join(dir, 'imported'))).toBe(0o444);
    } finally {
      await rm(other, { recursive: true });
    }
  });

  it('leaves nothing when the source is gone', async () => {
    await chmod(dir, 0o755);
    await expect(importFile(join(dir, 'none'), join(dir, 'target'), digestOf(''))).rejects.toThrow();
    expect(await readdir(dir)).not.toContain('target');
  });
});
