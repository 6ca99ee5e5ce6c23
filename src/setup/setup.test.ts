import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { run } from '../lib/process.ts';
import { CacheLayout } from '../storage/layout.ts';
import { childEnvironment } from './context.ts';
import { silentProgress } from './progress.ts';
import { setup, setupPrerequisites } from './setup.ts';
import { FakePrograms, fakeVmlinux, makeBzImage, makeModule, zstdPayload } from './testing.ts';

const release = '6.1.0-1-cloud-amd64';
const imagePackage = `linux-image-${release}`;
const installed =
  'qemu-system-x86 qemu-utils mmdebstrap e2fsprogs busybox-static bzip2 lz4 xz-utils zstd util-linux iproute2 nftables conntrack debian-archive-keyring';
const isRoot = process.geteuid?.() === 0;

let dir: string;
let cache: CacheLayout;
let programs: FakePrograms;
let sourceRoot: string;

/** A kernel package as Debian's, made with the real dpkg-deb. */
async function makeKernelPackage(target: string): Promise<void> {
  const tree = join(dir, 'package');
  const modules = join(tree, 'lib/modules', release);
  await mkdir(join(tree, 'DEBIAN'), { recursive: true });
  await mkdir(join(tree, 'boot'));
  await mkdir(join(modules, 'kernel'), { recursive: true });
  const control = {
    Package: imagePackage,
    Version: '1',
    Architecture: 'amd64',
    Maintainer: 'a <a@b>',
    Description: 'k',
  };
  const lines = Object.entries(control).map(([key, value]) => `${key}: ${value}\n`);
  await writeFile(join(tree, 'DEBIAN/control'), lines.join(''));
  await writeFile(join(tree, 'boot', `vmlinuz-${release}`), makeBzImage(zstdPayload(fakeVmlinux)));
  await writeFile(join(modules, 'modules.builtin'), 'kernel/fs/ext4/ext4.ko\n');
  const depends = {
    virtio_ring: '',
    virtio_mmio: 'virtio_ring',
    virtio_console: 'virtio_ring',
    'virtio-rng': '',
  };
  for (const [name, list] of Object.entries({
    ...depends,
    virtio_blk: 'virtio_ring',
    virtio_pci: 'virtio_ring',
  })) {
    await writeFile(join(modules, 'kernel', `${name}.ko`), makeModule([`depends=${list}`]));
  }
  await run('dpkg-deb', ['-b', '--root-owner-group', tree, target], { timeoutMs: 30_000 });
}

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'flotilla-setup-'));
  cache = new CacheLayout(join(dir, 'cache'));
  programs = new FakePrograms(join(dir, 'bin'));
  sourceRoot = join(dir, 'checkout');
  await mkdir(join(sourceRoot, 'guest-agent'), { recursive: true });
  await writeFile(join(sourceRoot, 'package.json'), '{"version":"1.2.3"}');
  await writeFile(join(sourceRoot, 'guest-agent/go.mod'), 'module guest-agent\n');
  await mkdir(join(sourceRoot, 'launch-shim'));
  await writeFile(join(sourceRoot, 'launch-shim/go.mod'), 'module launch-shim\n');
  await mkdir(join(sourceRoot, 'guest-sftp'));
  await writeFile(join(sourceRoot, 'guest-sftp/go.mod'), 'module guest-sftp\n');
  await mkdir(join(sourceRoot, 'image-builder'));
  await writeFile(join(sourceRoot, 'image-builder/go.mod'), 'module image-builder\n');
  await makeKernelPackage(join(dir, 'kernel.deb'));
  const packages = installed.split(' ').map((name) => `${name}\\tinstalled\\n`);
  await programs.add('dpkg-query', `printf '${packages.join('')}'`);
  await programs.add('apt-cache', `echo 'Package: '; echo 'Depends: ${imagePackage} (= 1), other'`);
  await programs.add('apt-get', `case "$*" in *download*) cp '${join(dir, 'kernel.deb')}' . ;; esac`);
  await programs.add('strip', 'exit 1');
  await programs.add(
    'go',
    'case "$1" in version) echo go version go1.19.8 linux/amd64 ;; build) while [ "$1" != -o ]; do shift; done; echo agent >"$2" ;; esac',
  );
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const options = () => ({
  cache,
  images: [],
  progress: silentProgress,
  signal: AbortSignal.timeout(60_000),
  env: programs.env,
  sourceRoot,
});

describe('setup', () => {
  it('makes a boot kit of the kernel package and the guest agent', async () => {
    await setup(options());
    const kit = JSON.parse(await readFile(join(cache.bootKit, 'kit.json'), 'utf8'));
    expect(kit).toMatchObject({
      kernelRelease: release,
      kernelArgs: '',
      digest: expect.stringMatching(/^sha256:/),
    });
    expect(kit.agentVersion).toMatch(/^1\.2\.3\+[0-9a-f]{12}$/);
    expect((await readFile(join(cache.bootKit, 'kernel'))).equals(fakeVmlinux)).toBe(true);
    const initrd = (await readFile(join(cache.bootKit, 'initrd'))).toString('latin1');
    const list = (...names: string[]) => names.map((name) => `/lib/modules/${name}.ko\n`).join('');
    expect(initrd).toContain(
      list('virtio_ring', 'virtio_mmio', 'virtio_console', 'virtio_blk', 'virtio_rng'),
    );
    expect(initrd).toContain(list('virtio_pci'));
    expect(await readdir(join(cache.root, 'tmp'))).toEqual([]);
  });

  it('changes nothing when everything is there', async () => {
    await setup(options());
    const before = await stat(join(cache.bootKit, 'initrd'));
    const calls = (await programs.calls()).length;
    await setup(options());
    expect((await programs.calls()).slice(calls).map((line) => line.split(' ')[0])).toEqual(['dpkg-query']);
    expect((await stat(join(cache.bootKit, 'initrd'))).ino).toBe(before.ino);
  });

  it('rebuilds agent and kit when the sources have changed, but not the kernel', async () => {
    await setup(options());
    const first = JSON.parse(await readFile(join(cache.bootKit, 'kit.json'), 'utf8'));
    await writeFile(join(sourceRoot, 'guest-agent/main.go'), 'package main\n');
    const calls = (await programs.calls()).length;
    await setup(options());
    const second = JSON.parse(await readFile(join(cache.bootKit, 'kit.json'), 'utf8'));
    expect(second.agentVersion).not.toBe(first.agentVersion);
    expect((await programs.calls()).slice(calls).join('\n')).not.toContain('download');
  });

  it('builds the launch shim, and rebuilds it when its sources have changed', async () => {
    await setup(options());
    const record = join(dirname(cache.launchShim), 'launch-shim.json');
    const first = JSON.parse(await readFile(record, 'utf8'));
    expect((await stat(cache.launchShim)).size).toBe(first.bytes);
    await writeFile(join(sourceRoot, 'launch-shim/main.go'), 'package main\n');
    await setup(options());
    expect(JSON.parse(await readFile(record, 'utf8')).version).not.toBe(first.version);
  });

  it('continues where a failed run stopped', async () => {
    await programs.add('apt-get', 'echo "E: Failed to fetch http://x: Could not resolve x" >&2; exit 100');
    await expect(setup(options())).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('kernel'),
      hint: expect.stringContaining('network'),
    });
    await programs.add('apt-get', `case "$*" in *download*) cp '${join(dir, 'kernel.deb')}' . ;; esac`);
    const calls = (await programs.calls()).length;
    await setup(options());
    expect((await programs.calls()).slice(calls).join('\n')).not.toContain('go build');
    expect(await readFile(cache.guestAgent, 'utf8')).toBe('agent\n');
  });

  it('removes the leftovers of a killed run', async () => {
    await mkdir(join(cache.root, 'tmp/work-dead'), { recursive: true });
    await setup(options());
    expect(await readdir(join(cache.root, 'tmp'))).toEqual([]);
  });

  it('does the work once for two concurrent runs', async () => {
    await Promise.all([setup(options()), setup(options())]);
    const builds = (await programs.calls()).filter((line) => line.endsWith('./cmd/guest-agent'));
    expect(builds).toHaveLength(1);
  });

  it('installs missing packages with apt, including Go if there is none', async (test) => {
    if (!isRoot) return test.skip('only root installs packages');
    await programs.add('dpkg-query', `printf 'lz4\\tinstalled\\nqemu-utils\\tdeinstall\\n'`);
    await programs.add('go', 'exit 1');
    await expect(setupPrerequisites(options())).rejects.toThrow();
    const call = (await programs.calls()).find((line) => line.includes(' install '));
    expect(call).toMatch(/--no-install-recommends .*qemu-system-x86 qemu-utils .*golang-go$/);
    expect(call).not.toContain(' lz4');
  });

  it('says what to do when the checkout has no guest agent', async () => {
    await rm(join(sourceRoot, 'guest-agent/go.mod'));
    await expect(setup(options())).rejects.toMatchObject({ code: 'unsupported', hint: expect.any(String) });
  });

  it('makes the busybox image', async (test) => {
    const hasBusybox = await stat('/bin/busybox').catch(() => null);
    if (!isRoot || !hasBusybox) return test.skip('needs root and busybox-static');
    await setup({ ...options(), images: ['busybox'] });
    const image = JSON.parse(await readFile(join(cache.image('busybox'), 'image.json'), 'utf8'));
    expect(image).toMatchObject({ name: 'busybox', digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) });
    const root = join(cache.image('busybox'), 'root.ext4');
    expect((await stat(root)).size).toBe(image.rootMib * 1024 * 1024);
    const debugfs = (command: string) =>
      run('debugfs', ['-R', command, root], { env: childEnvironment(process.env), timeoutMs: 30_000 });
    expect((await debugfs('stat /bin/sh')).stdout).toContain('/bin/busybox');
    expect((await debugfs('cat /etc/passwd')).stdout).toMatch(/^root:x:0:0:/);
    expect((await debugfs('stat /tmp')).stdout).toMatch(/Mode: +01777/);
  });

  it('stops at an abort', async () => {
    await chmod(dir, 0o755);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(setup({ ...options(), signal })).rejects.toThrow('enough');
  });
});
