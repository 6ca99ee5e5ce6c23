import { linkSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CacheLayout } from '../../storage/layout.ts';
import { fallbackModules, optionalModules, requiredModules } from '../kernel/modules.ts';
import { fakeVmlinux, makeBzImage, makeModule, zstdPayload } from '../testing.ts';
import { findTreeKernel, makeTreeKit } from './tree-kit.ts';

let dir: string;
let tree: string;
let target: string;
let cache: CacheLayout;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'flotilla-tree-kit-'));
  [tree, target] = [join(dir, 'tree'), join(dir, 'kit')];
  cache = new CacheLayout(join(dir, 'cache'));
  for (const path of [join(tree, 'boot'), target, join(cache.guestAgent, '..')]) {
    await mkdir(path, { recursive: true });
  }
  await writeFile(cache.guestAgent, 'agent');
  await writeFile(
    join(cache.guestAgent, '..', 'guest-agent.json'),
    JSON.stringify({ version: '1.2.3', bytes: 'agent'.length }),
  );
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const make = () =>
  makeTreeKit({ cache, env: { PATH: process.env.PATH }, signal: new AbortController().signal }, tree, target);

/** A kernel with every module that guests need, except those omitted. */
async function addKernel(
  release: string,
  options: { without?: readonly string[]; modulesIn?: string; image?: Buffer; name?: string } = {},
): Promise<string> {
  const { without = [], modulesIn = 'lib/modules', name = `vmlinuz-${release}` } = options;
  await writeFile(join(tree, 'boot', name), options.image ?? makeBzImage(zstdPayload(fakeVmlinux)));
  const modules = join(tree, modulesIn, release);
  await mkdir(join(modules, 'kernel'), { recursive: true });
  await writeFile(join(modules, 'modules.builtin'), 'kernel/fs/ext4/ext4.ko\n');
  const names = [...requiredModules, ...optionalModules, ...fallbackModules];
  for (const module of names.filter((each) => each !== 'ext4' && !without.includes(each))) {
    await writeFile(join(modules, 'kernel', `${module}.ko.gz`), gzipSync(makeModule(['depends='])));
  }
  return modules;
}

describe('which kernel of a tree', () => {
  it('the newest, comparing numbers numerically', async () => {
    await addKernel('6.9.0-1-amd64');
    await addKernel('6.10.0-1-amd64');
    expect(await findTreeKernel(tree)).toEqual({
      release: '6.10.0-1-amd64',
      imagePath: join(tree, 'boot/vmlinuz-6.10.0-1-amd64'),
      isElf: false,
      modulesPath: join(tree, 'lib/modules/6.10.0-1-amd64'),
    });
  });

  it('one that has its modules, even if /lib is a link to /usr/lib', async () => {
    await addKernel('6.1.0', { modulesIn: 'usr/lib/modules' });
    await symlink('usr/lib', join(tree, 'lib'));
    await writeFile(join(tree, 'boot/vmlinuz-6.2.0'), 'without modules');
    expect(await findTreeKernel(tree)).toMatchObject({
      release: '6.1.0',
      modulesPath: join(tree, 'usr/lib/modules/6.1.0'),
    });
  });

  it('none: names the paths searched', async () => {
    await expect(findTreeKernel(tree)).rejects.toMatchObject({
      code: 'invalid',
      hint: expect.stringContaining('/boot/vmlinuz-<release>'),
    });
    await writeFile(join(tree, 'boot/vmlinuz-6.2.0'), 'without modules');
    await expect(findTreeKernel(tree)).rejects.toMatchObject({
      code: 'invalid',
      hint: expect.stringMatching(/Found \/boot\/vmlinuz-6\.2\.0;.*\/lib\/modules/),
    });
  });

  it('none of a /boot with too many entries, without reading the rest', async () => {
    await addKernel('6.1.0');
    await Promise.all(
      Array.from({ length: 4096 }, (_, index) => writeFile(join(tree, 'boot', `vmlinuz-${index}`), '')),
    );
    await expect(findTreeKernel(tree)).rejects.toMatchObject({
      code: 'invalid',
      message: '/boot of the root file system has more than 4096 entries',
    });
  });

  it('none beyond the 64 newest', async () => {
    await addKernel('1.0.0');
    const newer = Array.from({ length: 64 }, (_, index) => join(tree, 'boot', `vmlinuz-2.${index}`));
    for (const path of newer) await writeFile(path, 'without modules');
    await expect(findTreeKernel(tree)).rejects.toMatchObject({ code: 'invalid' });
    await rm(newer[0] ?? '');
    expect(await findTreeKernel(tree)).toMatchObject({ release: '1.0.0' });
  });

  it('none that links outside the tree lead to', async () => {
    await addKernel('6.1.0');
    await rm(join(tree, 'boot'), { recursive: true });
    await mkdir(join(dir, 'outside'));
    await writeFile(join(dir, 'outside/vmlinuz-6.1.0'), 'x');
    await symlink(join(dir, 'outside'), join(tree, 'boot'));
    await expect(findTreeKernel(tree)).rejects.toMatchObject({ code: 'invalid' });
    await rm(join(tree, 'boot'));
    await mkdir(join(tree, 'boot'));
    await symlink(join(dir, 'outside/vmlinuz-6.1.0'), join(tree, 'boot/vmlinuz-6.1.0'));
    await expect(findTreeKernel(tree)).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('a kit of it', () => {
  it('holds the unpacked kernel, the agent and the modules', async () => {
    await addKernel('6.1.0');
    await make();
    expect((await readdir(target)).sort()).toEqual(['initrd', 'kernel', 'kit.json']);
    expect(await readFile(join(target, 'kernel'))).toEqual(fakeVmlinux);
    const initrd = await readFile(join(target, 'initrd'), 'latin1');
    expect(initrd).toContain('agent');
    expect(initrd).toContain('/lib/modules/virtio_blk.ko');
    expect(JSON.parse(await readFile(join(target, 'kit.json'), 'utf8'))).toMatchObject({
      kernelRelease: '6.1.0',
      agentVersion: '1.2.3',
      digest: expect.stringMatching(/^sha256:/),
    });
  });

  it('takes an ELF kernel as it is', async () => {
    await addKernel('6.1.0', { name: 'vmlinux-6.1.0', image: fakeVmlinux });
    await make();
    expect(await readFile(join(target, 'kernel'))).toEqual(fakeVmlinux);
  });

  it('names the missing module, and leaves no partial kit', async () => {
    await addKernel('6.1.0', { without: ['virtio_blk'] });
    await expect(make()).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('virtio_blk'),
    });
    expect(await readdir(target)).not.toContain('work');
  });

  it('does not read a module through a link', async () => {
    const modules = await addKernel('6.1.0', { without: ['virtio_blk'] });
    await writeFile(join(dir, 'virtio_blk.ko'), makeModule(['depends=']));
    await symlink(join(dir, 'virtio_blk.ko'), join(modules, 'kernel/virtio_blk.ko'));
    await expect(make()).rejects.toMatchObject({ code: 'unsupported' });
  });

  it.each([
    ['no kernel image', Buffer.alloc(4096, 'x')],
    ['one whose payload is damaged', makeBzImage(Buffer.from('28b52ffd00000000', 'hex'))],
    ['one that is no ELF inside', makeBzImage(zstdPayload(Buffer.alloc(4096)))],
    ['one that unpacks to too much', makeBzImage(zstdPayload(Buffer.alloc(513 * 2 ** 20)))],
  ])('refuses %s', async (_, image) => {
    await addKernel('6.1.0', { image });
    await expect(make()).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('refuses more files than a kernel has modules', async () => {
    const modules = await addKernel('6.1.0');
    // One file with many names: a new name costs less than a new file.
    const file = join(modules, 'kernel/virtio_blk.ko.gz');
    await mkdir(join(modules, 'many'));
    for (let index = 0; index < 50_000; index += 1) linkSync(file, join(modules, `many/${index}`));
    await expect(make()).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('more than 50000 files'),
    });
  });

  it.each([
    ['too deep', 'd/'.repeat(17), 'deep'],
    ['with too long a path', `${'d'.repeat(200)}/`.repeat(3), 'path too long'],
  ])('refuses directories of modules %s', async (_, path, words) => {
    await mkdir(join(await addKernel('6.1.0'), path), { recursive: true });
    await expect(make()).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining(words),
    });
  });

  it('ignores the directories for building modules', async () => {
    const modules = await addKernel('6.1.0');
    await mkdir(join(modules, 'build', 'd/'.repeat(17)), { recursive: true });
    await make();
    expect(await readdir(target)).toContain('kit.json');
  });

  it('refuses an invalid list of built-in modules', async () => {
    const modules = await addKernel('6.1.0');
    await writeFile(join(modules, 'modules.builtin'), Buffer.alloc(2 ** 20 + 1, 'a\n'));
    await expect(make()).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('modules.builtin'),
    });
  });

  it('refuses modules with too many dependencies', async () => {
    const modules = await addKernel('6.1.0', { without: ['virtio_blk'] });
    const write = (name: string, needs: string) =>
      writeFile(join(modules, `kernel/${name}.ko`), makeModule([`depends=${needs}`]));
    await write('virtio_blk', 'm0');
    for (let index = 0; index < 260; index += 1) await write(`m${index}`, `m${index + 1}`);
    await write('m260', '');
    await expect(make()).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('too many modules'),
    });
  });

  it('refuses a module that unpacks to too much', async () => {
    const modules = await addKernel('6.1.0', { without: ['virtio_blk'] });
    await writeFile(join(modules, 'kernel/virtio_blk.ko.gz'), gzipSync(Buffer.alloc(65 * 2 ** 20)));
    await expect(make()).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('hints at set-up when there is no agent', async () => {
    await addKernel('6.1.0');
    await rm(cache.guestAgent);
    await expect(make()).rejects.toMatchObject({ code: 'unavailable', hint: 'Run ./flotilla setup.' });
  });
});
