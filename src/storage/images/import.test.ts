import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmod,
  chown,
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../core/errors.ts';
import type { Image, ImageImport, ImageSource } from '../../core/ports/images.ts';
import { fileDigest } from '../../lib/digest.ts';
import { shortId } from '../../lib/ids.ts';
import { silentLog } from '../../lib/log.ts';
import { run } from '../../lib/process.ts';
import { CacheLayout, StateLayout } from '../layout.ts';
import { offerImageBuilder } from '../testing/image-builder.ts';
import { entry, pax, tarEnd } from '../testing/tar.ts';
import type { ImportLimits, MakeBootKit } from './making.ts';
import { ImageStore } from './store.ts';

let dir: string;
let state: StateLayout;
let cache: CacheLayout;
let store: ImageStore;
beforeEach(async () => {
  dir = await mkdtemp(join(await realpath(tmpdir()), 'flotilla-import-'));
  state = new StateLayout(join(dir, 'state'));
  cache = new CacheLayout(join(dir, 'cache'));
  await offerImageBuilder(cache);
  store = open();
  await store.sync();
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const open = (limits: Partial<ImportLimits> = {}, makeBootKit?: MakeBootKit) =>
  new ImageStore({ state, cache, limits, ...(makeBootKit ? { makeBootKit } : {}) });
const never = new AbortController().signal;
const sha256 = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;

type Source = ImageSource | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Uint8Array> };
interface Import extends Omit<ImageImport, 'source'> {
  readonly source: Source;
}

/** All parts of an import, as core runs them. */
async function importInto(into: ImageStore, given: Import, signal: AbortSignal): Promise<Image> {
  const id = shortId();
  const { source, ...rest } = given;
  const kept = { ...rest, source: source.kind === 'stream' ? ({ kind: 'upload' } as const) : source };
  await into.requireFree(given.tenant, given.name);
  try {
    if (source.kind === 'stream') await into.receive(id, source.chunks, signal);
    await into.build(id, kept, signal);
    return await into.publish(id, kept);
  } finally {
    await into.discard(id);
  }
}

const request = (source: Source, changes: Partial<Import> = {}): Import => ({
  tenant: 'one',
  name: 'tiny',
  kernel: 'host',
  memoryMibMin: 96,
  source,
  ...changes,
});
const stream = (...chunks: readonly Uint8Array[]): Source => ({
  kind: 'stream',
  chunks: (async function* () {
    yield* chunks;
  })(),
});

/** A root directory with a program, in `<dir>/root`. */
async function makeRoot(name = 'root'): Promise<string> {
  const root = join(dir, name);
  await mkdir(join(root, 'bin'), { recursive: true });
  await writeFile(join(root, 'bin/sh'), '#!/nothing\n', { mode: 0o755 });
  return root;
}

async function tarOf(root: string, ...options: readonly string[]): Promise<Buffer> {
  const file = join(dir, 'archive.tar');
  await run('tar', ['-cf', file, ...options, '-C', root, '.'], { timeoutMs: 30_000 });
  return readFile(file);
}

const end = tarEnd;
const deepPath = (levels: number) => Array.from({ length: levels }, () => 'a').join('/');
/** A directory below many others. */
const deep = (levels: number) => [pax({ path: `${deepPath(levels)}/` }), entry('a/', { type: '5' })];
const program = [entry('bin/', { type: '5' }), entry('bin/sh', { content: 'x' })];

/** What debugfs says about the image, without mounting it. */
async function inspect(image: Image, command: string): Promise<string> {
  return (await run('debugfs', ['-R', command, state.blob(image.digest)], { timeoutMs: 30_000 })).stdout;
}

async function expectNothingLeft(): Promise<void> {
  expect(await readdir(state.images)).toEqual(['blobs', 'names', 'tenants']);
  expect(await readdir(state.blobs)).toEqual([]);
  expect(await readdir(state.imageNames)).toEqual([]);
  expect(await readdir(state.tenantImages)).toEqual([]);
  expect(await readdir(state.boot)).toEqual([]);
}

describe('importing a directory', () => {
  it('keeps files, owners, modes and links, under the digest of what was made', async () => {
    const root = await makeRoot();
    await writeFile(join(root, 'owned'), 'hello');
    await chown(join(root, 'owned'), 1234, 4321);
    await chmod(join(root, 'owned'), 0o4750);
    await symlink('/etc/passwd', join(root, 'absolute'));
    await link(join(root, 'owned'), join(root, 'again'));
    const image = await importInto(store, request({ kind: 'directory', path: root }), never);
    expect(image).toMatchObject({
      name: 'tiny',
      tenant: 'one',
      isBuiltIn: false,
      memoryMibMin: 96,
      kernel: 'host',
      kernelRelease: null,
    });
    expect(image.digest).toBe(await fileDigest(state.blob(image.digest)));
    const facts = await stat(state.blob(image.digest));
    expect(facts.size).toBe(image.rootMib * 2 ** 20);
    expect(facts.mode & 0o777).toBe(0o444);
    expect(await inspect(image, 'cat /owned')).toBe('hello');
    expect(await inspect(image, 'stat /owned')).toMatch(
      /Mode:\s+04750[\s\S]*User:\s+1234\s+Group:\s+4321[\s\S]*Links: 2/,
    );
    expect(await inspect(image, 'stat /absolute')).toContain('"/etc/passwd"');
    expect(await store.named('one', 'tiny', never)).toEqual(image);
    expect(await readdir(state.images)).toEqual(['blobs', 'names', 'tenants']);
    await run('e2fsck', ['-fn', state.blob(image.digest)], { timeoutMs: 30_000 });
  });

  it('refuses a socket, which no archive can hold', async () => {
    const root = await makeRoot();
    const server = createServer().listen(join(root, 'sock'));
    await new Promise((resolve) => server.once('listening', resolve));
    await expect(importInto(store, request({ kind: 'directory', path: root }), never)).rejects.toMatchObject({
      code: 'invalid',
      message: './sock in the directory is a socket, which is no file of an image',
      hint: expect.stringContaining('-type s -delete'),
    });
    await new Promise((resolve) => server.close(resolve));
    await expectNothingLeft();
  });

  it('keeps pipes, devices, holes, and times of any century', async () => {
    const root = await makeRoot();
    await run('mkfifo', [join(root, 'pipe')], { timeoutMs: 30_000 });
    await run('mknod', [join(root, 'disk'), 'b', '8', '1'], { timeoutMs: 30_000 });
    await writeFile(join(root, 'late'), '');
    await utimes(join(root, 'late'), 2_524_694_400.5, 2_524_694_400.5);
    await run('touch', ['-d', '@-1000000', join(root, 'bin')], { timeoutMs: 30_000 });
    await writeFile(join(root, 'holes'), 'begin');
    await truncate(join(root, 'holes'), 2 ** 33);
    const image = await importInto(store, request({ kind: 'directory', path: root }), never);
    expect(await inspect(image, 'stat /pipe')).toContain('Type: FIFO');
    expect(await inspect(image, 'stat /disk')).toMatch(/Type: block special[\s\S]*08:01/);
    expect(await inspect(image, 'stat /late')).toMatch(/mtime: 0x967bc780:77359401 -- .* 2050/);
    expect(await inspect(image, 'stat /bin')).toMatch(/mtime: .* 1969/);
    expect(await inspect(image, 'stat /holes')).toMatch(/Size: 8589934592[\s\S]*Blockcount: 128\n/);
    await run('e2fsck', ['-fn', state.blob(image.digest)], { timeoutMs: 30_000 });
  });

  it('follows a link that is the path itself', async () => {
    await symlink(await makeRoot(), join(dir, 'link'));
    await importInto(store, request({ kind: 'directory', path: join(dir, 'link') }), never);
    expect(await store.list('one')).toHaveLength(1);
  });

  it.each([
    ['a relative path', () => 'root', 'absolute path'],
    ['the root of the host', () => '/', 'root of this host'],
    ['what holds the state directory', () => dir, 'state directory'],
    ['the state directory', () => state.root, 'state directory'],
    ['what lies in the state directory', () => state.images, 'state directory'],
    ['the cache directory', () => cache.root, 'cache directory'],
    ['a link to the state directory', () => join(dir, 'link'), 'state directory'],
    ['what is not there', () => join(dir, 'nowhere'), 'cannot be opened'],
    ['a file', () => join(dir, 'root/bin/sh'), 'is not a directory'],
  ])('refuses %s', async (_, pathOf, words) => {
    await makeRoot();
    await symlink(state.root, join(dir, 'link'));
    await expect(
      importInto(store, request({ kind: 'directory', path: pathOf() }), never),
    ).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining(words),
    });
    await expectNothingLeft();
  });

  it('refuses an empty one, and one without programs', async () => {
    await mkdir(join(dir, 'empty/etc'), { recursive: true });
    const add = (path: string) => importInto(store, request({ kind: 'directory', path }), never);
    await expect(add(join(dir, 'empty/etc'))).rejects.toMatchObject({
      message: expect.stringContaining('is empty'),
    });
    await expect(add(join(dir, 'empty'))).rejects.toMatchObject({
      message: 'the root file system has no program: no file in it may be executed',
    });
    await expectNothingLeft();
  });
});

describe('importing an archive', () => {
  it.each([
    ['plain', (tar: Buffer) => tar],
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
    ['xz', (tar: Buffer) => execFileSync('xz', ['-c'], { input: tar })],
    ['bzip2', (tar: Buffer) => execFileSync('bzip2', ['-c'], { input: tar })],
  ])('%s', async (_, pack) => {
    const packed = pack(await tarOf(await makeRoot()));
    // Byte by byte at first: the format is told from the first few.
    const image = await importInto(
      store,
      request(stream(packed.subarray(0, 1), packed.subarray(1, 3), packed.subarray(3))),
      never,
    );
    expect(await inspect(image, 'cat /bin/sh')).toBe('#!/nothing\n');
  });

  it('with extended attributes, which hold what a program may do', async () => {
    const attribute = pax({ 'SCHILY.xattr.user.kind': 'kept!' });
    const tar = [entry('bin/', { type: '5' }), attribute, entry('bin/sh', { content: 'x' }), end];
    const image = await importInto(store, request(stream(...tar)), never);
    expect(await inspect(image, 'ea_list /bin/sh')).toContain('user.kind');
  });

  it('with access control lists, as text or as an attribute', async () => {
    const list = 'user::rw-,user:1000:rwx,group::r--,mask::rw-,other::---';
    const acl = pax({ 'SCHILY.acl.access': list, 'SCHILY.acl.default': list });
    const tar = [acl, entry('bin/', { type: '5' }), entry('bin/sh', { content: 'x' }), end];
    const image = await importInto(store, request(stream(...tar)), never);
    // The size on disk, where only named entries have ids.
    const listed = await inspect(image, 'ea_list /bin');
    expect(listed).toMatch(/system\.posix_acl_access \(28\)[\s\S]*system\.posix_acl_default \(28\)/);
    const named = pax({ 'SCHILY.acl.access': list.replace('1000', 'alice') });
    const refused = importInto(store, request(stream(named, ...program, end), { name: 'other' }), never);
    await expect(refused).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('names "alice" without a number'),
    });
  });

  it('from a file of this host', async () => {
    await tarOf(await makeRoot());
    const image = await importInto(
      store,
      request({ kind: 'tarball', path: join(dir, 'archive.tar') }),
      never,
    );
    expect(await inspect(image, 'ls /bin')).toContain('sh');
    await expect(
      importInto(store, request({ kind: 'tarball', path: join(dir, 'root') }, { name: 'other' }), never),
    ).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining('is not a file') });
  });

  it('lets users of the guest in whatever the archive says of its root', async () => {
    const root = await makeRoot();
    await chmod(root, 0o700);
    const image = await importInto(store, request(stream(await tarOf(root))), never);
    expect(await inspect(image, 'stat /')).toMatch(/Mode:\s+0755/);
  });

  it.each([
    ['nothing', async () => Buffer.alloc(0), /the archive is empty/],
    ['noise', async () => Buffer.alloc(4096, 'noise'), /does not look like a tar archive/],
    [
      'a zip archive',
      async () => Buffer.from('504b030414000000', 'hex'),
      /is a zip archive, which is not supported/,
    ],
    ['a disk', async () => Buffer.from('514649fb00000003', 'hex'), /is a qcow2 disk, which is not supported/],
    [
      'half an archive',
      async () => (await tarOf(await makeRoot())).subarray(0, 1200),
      /cut off|Unexpected EOF/,
    ],
    ['an archive cut between two files', async () => Buffer.concat(program), /is cut off/],
    [
      'half of a gzip',
      async () => gzipSync(await tarOf(await makeRoot())).subarray(0, 90),
      /gzip data is damaged/,
    ],
    [
      'half of a zstd',
      async () => zstdCompressSync(await tarOf(await makeRoot())).subarray(0, 90),
      /zstd data is damaged/,
    ],
    ['only zeros', async () => end, /is empty/],
  ])('refuses %s', async (_, make, words) => {
    await expect(importInto(store, request(stream(await make())), never)).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringMatching(words),
    });
    await expectNothingLeft();
  });

  it('passes on why the sender failed, and leaves nothing', async () => {
    const tar = await tarOf(await makeRoot());
    const source: Source = {
      kind: 'stream',
      chunks: (async function* () {
        yield tar.subarray(0, 600);
        throw new AppError('unavailable', 'the line went dead');
      })(),
    };
    await expect(importInto(store, request(source), never)).rejects.toMatchObject({
      message: 'the line went dead',
    });
    await expectNothingLeft();
  });
});

describe('a hostile archive', () => {
  it.each([
    ['a name that leads out', [entry('../escaped', { content: 'x' })]],
    [
      'an absolute link to what is not there and a file through it',
      () => [entry('out', { type: '2', linkTo: dir }), entry('out/escaped', { content: 'x' })],
    ],
    [
      'a directory that becomes a link',
      () => [
        entry('out/', { type: '5' }),
        entry('out', { type: '2', linkTo: dir }),
        entry('out/escaped', { content: 'x' }),
      ],
    ],
    ['a hard link out', () => [entry('out', { type: '1', linkTo: join(dir, 'secret') })]],
    ['a hard link by dots', [entry('out', { type: '1', linkTo: '../../../../secret' })]],
    [
      'links in a circle',
      [entry('a', { type: '2', linkTo: 'b' }), entry('b', { type: '2', linkTo: 'a' }), entry('a/x')],
    ],
  ])('%s writes and reads nothing elsewhere', async (_, make) => {
    await writeFile(join(dir, 'secret'), 'secret');
    const list = async () =>
      (await readdir(dir, { recursive: true })).filter((name) => !name.startsWith('state/bin'));
    const before = await list();
    const entries = typeof make === 'function' ? make() : make;
    await expect(
      importInto(store, request(stream(...program, ...entries, end)), never),
    ).rejects.toMatchObject({
      code: 'invalid',
    });
    expect(await list()).toEqual(before);
    expect((await stat(join(dir, 'secret'))).nlink).toBe(1);
    await expectNothingLeft();
  });

  it('links that climb above the root lead to the root, as in a guest', async () => {
    const link = entry('out', { type: '2', linkTo: '../../../..' });
    const tar = [...program, link, entry('out/inside', { content: 'x' }), end];
    const before = await readdir(dir);
    const image = await importInto(store, request(stream(...tar)), never);
    expect(await inspect(image, 'cat /inside')).toBe('x');
    expect(await readdir(dir)).toEqual(before);
  });

  it('absolute names land inside', async () => {
    const target = join(dir, 'absolute');
    const image = await importInto(
      store,
      request(stream(...program, entry(target, { content: 'x' }), end)),
      never,
    );
    await expect(stat(target)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await inspect(image, `cat ${target}`)).toBe('x');
  });

  it('device nodes are only the guest’s', async () => {
    const image = await importInto(
      store,
      request(stream(...program, entry('null', { type: '3' }), end)),
      never,
    );
    expect(await inspect(image, 'stat /null')).toContain('Type: character special');
  });

  it('more bytes than the limit, packed small', async () => {
    store = open({ bytesMax: 8 * 2 ** 20 });
    const bomb = gzipSync(
      Buffer.concat([...program, entry('big', { content: '\0'.repeat(16 * 2 ** 20) }), end]),
    );
    expect(bomb.length).toBeLessThan(100_000);
    await expect(importInto(store, request(stream(bomb)), never)).rejects.toMatchObject({
      code: 'invalid',
      message: 'the root file system is larger than 8 MiB',
    });
    await expectNothingLeft();
  });

  it('a file with a hole larger than the limit', async () => {
    store = open({ bytesMax: 8 * 2 ** 20 });
    const root = await makeRoot();
    await writeFile(join(root, 'sparse'), '');
    await truncate(join(root, 'sparse'), 2 ** 36);
    const tar = await tarOf(root, '--sparse');
    await expect(importInto(store, request(stream(tar)), never)).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('larger than 8 MiB'),
    });
    await expectNothingLeft();
  });

  it('many empty files, which take more of the disk than of the archive', async () => {
    store = open({ bytesMax: 8 * 2 ** 20 });
    const many = Array.from({ length: 1_500 }, (_, index) => entry(`bin/${index}`));
    await expect(importInto(store, request(stream(...program, ...many, end)), never)).rejects.toMatchObject({
      code: 'invalid',
      message: 'the root file system is larger than 8 MiB',
      hint: expect.stringContaining('8 KiB'),
    });
    await expectNothingLeft();
  });

  it('a path longer than the kernel takes', async () => {
    const tar = [...program, ...deep(2048), end];
    await expect(importInto(store, request(stream(...tar)), never)).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringMatching(/^the root file system has a path of more than 4095 bytes: /),
    });
    await expectNothingLeft();
  });

  it('a path that is long and no longer than paths may be', async () => {
    const image = await importInto(store, request(stream(...program, ...deep(2047), end)), never);
    expect(await inspect(image, `stat /${deepPath(2047)}`)).toContain('Type: directory');
  });

  it('more entries than the limit', async () => {
    store = open({ entriesMax: 50 });
    const many = Array.from({ length: 5_000 }, (_, index) => entry(`bin/${index}`));
    await expect(importInto(store, request(stream(...program, ...many, end)), never)).rejects.toMatchObject({
      code: 'invalid',
      message: 'the archive has more than 50 entries',
    });
    await expectNothingLeft();
  });

  it('no more than the disk holds beside the reserve', async () => {
    store = open({ reserveBytes: Number.MAX_SAFE_INTEGER });
    await expect(importInto(store, request(stream(...program, end)), never)).rejects.toMatchObject({
      code: 'exhausted',
    });
    await expectNothingLeft();
  });

  it('many small files get the inodes they need', async () => {
    const many = Array.from({ length: 9_000 }, (_, index) => entry(`bin/f${index}`));
    const image = await importInto(store, request(stream(...program, ...many, end)), never);
    expect(await inspect(image, 'ls /bin')).toContain('f8999');
  });
});

describe('whose image', () => {
  const tar = Buffer.concat([...program, end]);
  const add = (tenant: string | null, name: string) =>
    importInto(store, request(stream(tar), { tenant, name }), never);

  it('a tenant sees the shared ones and its own', async () => {
    const shared = await add(null, 'base');
    const own = await add('one', 'tiny');
    await add('two', 'tiny');
    expect(await store.list('one')).toEqual([shared, own]);
    expect(await store.named('one', 'tiny', never)).toEqual(own);
    expect(await store.list('three')).toEqual([shared]);
    expect(await store.named('three', 'tiny', never)).toBeNull();
    // A new store reads the same.
    expect(await open().list('one')).toEqual([shared, own]);
  });

  it('may be called as in a registry, without leaving the directory of names', async () => {
    const names = ['alpine:3.20', 'ghcr.io/org/app:1', 'localhost:5000/a/b', 'ghcr.io-org-app-1'];
    const made = [];
    for (const name of names) made.push(await add('one', name));
    for (const image of made) expect(await store.named('one', image.name, never)).toEqual(image);
    expect((await readdir(state.imageNamesOf('one'))).sort()).toEqual([
      'alpine=3.20.json',
      'ghcr.io+org+app=1.json',
      'ghcr.io-org-app-1.json',
      'localhost=5000+a+b.json',
    ]);
    expect((await open().list('one')).map(({ name }) => name)).toEqual([...names].sort());
    for (const image of made) await store.remove(image);
    expect(await readdir(state.tenantImages)).toEqual([]);
  });

  it.each([
    '../a',
    '/a',
    'a/../b',
    'a/..',
    'a//b',
    'a/',
    'a:',
    'a:../b',
    '.a/b',
    'a\\b',
    'A/b',
    'a+b',
    'a=b',
  ])('is not called %j', async (name) => {
    await expect(add('one', name)).rejects.toMatchObject({ code: 'invalid' });
    expect(await readdir(state.tenantImages)).toEqual([]);
  });

  it('refuses a name that the tenant has or everyone has', async () => {
    await add(null, 'base');
    await add('one', 'tiny');
    for (const name of ['base', 'tiny'])
      await expect(add('one', name)).rejects.toMatchObject({ code: 'conflict' });
    await expect(add(null, 'base')).rejects.toMatchObject({ code: 'conflict' });
  });

  it('a tenant’s own name wins over one shared later', async () => {
    const own = await add('one', 'tiny');
    const shared = await add(null, 'tiny');
    expect(await store.named('one', 'tiny', never)).toEqual(own);
    expect(await store.named('two', 'tiny', never)).toEqual(shared);
    expect(await store.list('one')).toEqual([own]);
  });

  it('two imports of one name at once: one wins', async () => {
    const results = await Promise.allSettled([add('one', 'tiny'), add('one', 'tiny')]);
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await readdir(state.blobs)).toHaveLength(1);
    expect(await readdir(state.images)).toEqual(['blobs', 'names', 'tenants']);
  });

  it('refuses a built-in name that is still in the cache, and set-up leaves an imported one alone', async () => {
    const offer = async (name: string) => {
      await mkdir(cache.image(name), { recursive: true });
      await writeFile(join(cache.image(name), 'root.ext4'), name);
      const record = {
        name,
        digest: sha256(name),
        rootMib: 32,
        memoryMibMin: 64,
        createdAt: '2026-01-01T00:00:00Z',
      };
      await writeFile(join(cache.image(name), 'image.json'), JSON.stringify(record));
    };
    await offer('busybox');
    await expect(add('one', 'busybox')).rejects.toMatchObject({ code: 'conflict' });
    const mine = await add(null, 'debian-12');
    await offer('debian-12');
    await store.sync();
    expect(await store.named('one', 'debian-12', never)).toEqual(mine);
  });
});

describe('removing', () => {
  it('takes the record and the content', async () => {
    const image = await importInto(store, request(stream(...program, end)), never);
    await store.remove(image);
    await expectNothingLeft();
    expect(await store.find(image.digest, never)).toBeNull();
    // The step that removes an image may run twice.
    await store.remove(image);
    await expectNothingLeft();
  });
});

describe('an import that is given up', () => {
  it.each(['before it begins', 'while it unpacks'])('%s leaves nothing', async (when) => {
    const controller = new AbortController();
    const reason = new AppError('timeout', 'too late');
    if (when === 'before it begins') controller.abort(reason);
    const source: Source = {
      kind: 'stream',
      chunks: (async function* () {
        yield* program;
        controller.abort(reason);
        yield end;
      })(),
    };
    await expect(importInto(store, request(source), controller.signal)).rejects.toBe(reason);
    await expectNothingLeft();
  });

  it('by a crash: the next start removes what it left', async () => {
    await mkdir(join(state.images, '.import-dead/tree'), { recursive: true });
    await mkdir(state.imageNamesOf('one'), { recursive: true });
    await writeFile(join(state.imageNamesOf('one'), '.tmp-dead'), 'half');
    const record = {
      ...{ name: 'lost', digest: sha256('lost'), rootMib: 32, memoryMibMin: 64, kitDigest: null },
      ...{ createdAt: '2026-01-01T00:00:00Z', tenant: 'one', isBuiltIn: false, kernelRelease: null },
    };
    await writeFile(state.imageName('lost', 'one'), JSON.stringify(record));
    await open().sync();
    await expectNothingLeft();
  });

  describe('what keeps the next start from removing it', () => {
    const offerBusybox = async () => {
      await mkdir(cache.image('busybox'), { recursive: true });
      await writeFile(join(cache.image('busybox'), 'root.ext4'), 'root');
      const sizes = { rootMib: 32, memoryMibMin: 64, createdAt: '2026-01-01T00:00:00Z' };
      const record = { name: 'busybox', digest: sha256('root'), ...sizes };
      await writeFile(join(cache.image('busybox'), 'image.json'), JSON.stringify(record));
    };

    it('is not that it is deep', async () => {
      await offerBusybox();
      const tree = join(state.images, '.import-deep');
      await mkdir(tree);
      const tar = Buffer.concat([...deep(2040), end]);
      await run('tar', ['--extract', `--directory=${tree}`], { stdin: tar, timeoutMs: 30_000 });
      await open().sync();
      expect(await readdir(state.images)).toEqual(['blobs', 'names', 'tenants']);
      expect(await store.named('one', 'busybox', never)).toMatchObject({ isBuiltIn: true });
    });

    it('keeps nothing else out', async ({ skip }) => {
      await offerBusybox();
      const [stuck, loose] = ['.import-a', '.import-b'].map((name) => join(state.images, name));
      await mkdir(join(stuck ?? '', 'mounted'), { recursive: true });
      await mkdir(loose ?? '');
      const mounted = join(stuck ?? '', 'mounted');
      try {
        await run('mount', ['-t', 'tmpfs', 'flotilla-test', mounted], { timeoutMs: 30_000 });
      } catch {
        skip('this user or container may not mount');
      }
      try {
        await writeFile(join(mounted, 'file'), 'stays');
        await expect(open().sync()).rejects.toThrow('remove what an import left');
        expect(await readFile(join(mounted, 'file'), 'utf8')).toBe('stays');
        expect(await readdir(state.images)).toEqual(['.import-a', 'blobs', 'names', 'tenants']);
        expect(await store.named('one', 'busybox', never)).toMatchObject({ isBuiltIn: true });
      } finally {
        await run('umount', [mounted], { timeoutMs: 30_000 });
      }
    });

    it('does not replace the result', async ({ skip }) => {
      const warned = Promise.withResolvers<object>();
      const log = { ...silentLog, warn: (fields: object) => warned.resolve(fields) };
      let mounted = '';
      store = new ImageStore({ state, cache, log });
      const source: Source = {
        kind: 'stream',
        chunks: (async function* () {
          yield* program;
          const staging = (await readdir(state.images)).find((name) => name.startsWith('.import-'));
          mounted = join(state.images, staging ?? '', 'mounted');
          await mkdir(mounted);
          await run('mount', ['-t', 'tmpfs', 'flotilla-test', mounted], { timeoutMs: 30_000 }).catch(() => {
            mounted = '';
          });
          yield end;
        })(),
      };
      const image = await importInto(store, request(source), never);
      if (mounted === '') skip('this user or container may not mount');
      await run('umount', [mounted], { timeoutMs: 30_000 });
      expect(await warned.promise).toMatchObject({ path: expect.stringContaining('.import-') });
      expect(await store.named('one', 'tiny', never)).toEqual(image);
      // The next start, and also a call while this daemon lives.
      await store.sync();
      expect(await readdir(state.images)).toEqual(['blobs', 'names', 'tenants']);
    });
  });

  it('a start does not touch one under way', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const source: Source = {
      kind: 'stream',
      chunks: (async function* () {
        yield* program;
        await store.sync();
        resolve();
        yield end;
      })(),
    };
    const image = await importInto(store, request(source), never);
    await promise;
    expect(await inspect(image, 'ls /bin')).toContain('sh');
  });
});

describe('an image’s own kernel', () => {
  const makeBootKit: MakeBootKit = async (tree, target) => {
    expect(await readdir(tree)).toContain('usr');
    await writeFile(join(target, 'kernel'), 'kernel');
    await writeFile(join(target, 'initrd'), 'initrd');
    const digests = { kernelDigest: sha256('kernel'), initrdDigest: sha256('initrd') };
    const record = {
      digest: sha256('kit'),
      kernelRelease: '9.9.9',
      kernelArgs: '',
      agentVersion: '1',
      ...digests,
    };
    await writeFile(join(target, 'kit.json'), JSON.stringify(record));
  };
  const withKernel = (name: string) => request(stream(...program, end), { name, kernel: 'image' });

  it('boots its guests, and goes with the last image that has it', async () => {
    store = open({}, makeBootKit);
    const one = await importInto(store, withKernel('one'), never);
    const two = await importInto(store, withKernel('two'), never);
    expect(one).toMatchObject({ kernel: 'image', kernelRelease: '9.9.9' });
    expect(store.knownBootKit(one.digest)).toBeNull();
    expect(await store.bootKit(one.digest, never)).toEqual(store.knownBootKit(one.digest));
    expect(await store.bootKit(one.digest, never)).toMatchObject({
      kernelPath: join(state.bootKit(sha256('kit')), 'kernel'),
      kernelRelease: '9.9.9',
    });
    await store.remove(one);
    expect(await readFile((await store.bootKit(two.digest, never)).initrdPath, 'utf8')).toBe('initrd');
    await store.remove(two);
    await expectNothingLeft();
  });

  it('fails whole when it cannot be used', async () => {
    store = open({}, () => Promise.reject(new AppError('unsupported', 'no such driver')));
    await expect(importInto(store, withKernel('one'), never)).rejects.toMatchObject({
      message: 'no such driver',
    });
    await expectNothingLeft();
  });
});
