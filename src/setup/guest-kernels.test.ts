/** Builds with the real steps, in the real jail if we are root; only Linux is replaced by a Makefile of a few lines. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '../lib/process.ts';
import { CacheLayout } from '../storage/layout.ts';
import { recordFile } from './fingerprint.ts';
import { inspectGuestAgent } from './guest-agent.ts';
import { buildGuestKernel, removeGuestKernel, useKernel } from './guest-kernels.ts';
import { buildPackages } from './kernel/build/build.ts';
import { scratchPrefix } from './kernel/build/scratch.ts';
import { findKernel, listKernels, recipes } from './kernel/kernels.ts';
import { silentProgress } from './progress.ts';
import { FakePrograms, fakeVmlinux } from './testing.ts';

const isRoot = process.geteuid?.() === 0;
const debian = '6.1.0-1-cloud-amd64';
const source = 'linux-source-6.1';

const makefile = `
allnoconfig:
\tcp $(KCONFIG_ALLCONFIG) .config
kernelrelease:
\t@echo 6.1.9$(LOCALVERSION)
vmlinux:
\t@echo "  CC      init/main.o"
\t@grep -q patched init/main.c
\t@set -e; test -z "$$SECRET"
\t@(printf '\\177ELF'; cat init/main.c .config) > vmlinux
`;
const patch = `Why it is there.

--- a/init/main.c
+++ b/init/main.c
@@ -1 +1 @@
-plain
+patched
`;

let dir: string;
let cache: CacheLayout;
let programs: FakePrograms;
let sourceRoot: string;
let signal: AbortSignal;

async function makeSourcePackage(lines = makefile): Promise<void> {
  const tree = join(dir, 'package');
  await rm(tree, { recursive: true, force: true });
  await mkdir(join(tree, 'DEBIAN'), { recursive: true });
  await mkdir(join(tree, 'usr/src'), { recursive: true });
  await mkdir(join(tree, source, 'init'), { recursive: true });
  await writeFile(join(tree, source, 'Makefile'), lines);
  await writeFile(join(tree, source, 'init/main.c'), 'plain\n');
  await run('tar', ['-cJf', join(tree, 'usr/src', `${source}.tar.xz`), '-C', tree, source], {
    timeoutMs: 30_000,
  });
  await rm(join(tree, source), { recursive: true });
  const control = `Package: ${source}\nVersion: 6.1.9-1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: k\n`;
  await writeFile(join(tree, 'DEBIAN/control'), control);
  await run('dpkg-deb', ['-b', '--root-owner-group', tree, join(dir, 'source.deb')], { timeoutMs: 30_000 });
}

async function addDebianKernel(): Promise<void> {
  const kernelDir = join(cache.kernels, debian);
  await mkdir(kernelDir, { recursive: true });
  await writeFile(join(kernelDir, 'vmlinux'), fakeVmlinux);
  const record = { recipe: recipes.packaged, release: debian, vmlinuxBytes: fakeVmlinux.length };
  await writeFile(join(kernelDir, 'kernel.json'), JSON.stringify(record));
  await writeFile(join(cache.kernels, 'current.json'), JSON.stringify({ release: debian }));
}

beforeEach(async () => {
  // Its parents must be open to the user who compiles.
  dir = await mkdtemp(join(tmpdir(), 'flotilla-kernels-'));
  await chmod(dir, 0o755);
  cache = new CacheLayout(join(dir, 'cache'));
  programs = new FakePrograms(join(dir, 'bin'));
  sourceRoot = join(dir, 'checkout');
  signal = AbortSignal.timeout(60_000);
  await mkdir(join(sourceRoot, 'guest-kernel'), { recursive: true });
  await mkdir(join(sourceRoot, 'guest-agent'));
  await mkdir(join(dir, 'scratch'));
  await chmod(join(dir, 'scratch'), 0o755);
  await writeFile(
    join(sourceRoot, 'guest-kernel/flotilla.config'),
    'CONFIG_NF_NAT=y\n# CONFIG_MODULES is not set\n',
  );
  await writeFile(join(sourceRoot, 'guest-kernel/lapic-timer-khz.patch'), patch);
  await writeFile(join(sourceRoot, 'guest-agent/go.mod'), 'module guest-agent\n');
  await makeSourcePackage();
  await addDebianKernel();
  await programs.add(
    'dpkg-query',
    `printf '${buildPackages.map((name) => `${name}\\tinstalled\\n`).join('')}'`,
  );
  await programs.add(
    'apt-cache',
    `case "$1" in policy) printf '${source}:\\n  Candidate: 6.1.9-1\\n' ;; *) echo 'Depends: ${source}, other' ;; esac`,
  );
  await programs.add('apt-get', `case "$*" in *download*) cp '${join(dir, 'source.deb')}' . ;; esac`);
  await programs.add('strip', 'cp "$4" "$3"');
  await writeFile(join(programs.dir, 'calls'), '');
  await chmod(join(programs.dir, 'calls'), 0o666);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const options = () => ({
  ...{ cache, signal, sourceRoot, progress: silentProgress },
  env: { ...programs.env, TMPDIR: join(dir, 'scratch'), SECRET: 'x' },
});

const leftovers = async () => [
  ...(await readdir(join(dir, 'scratch'))),
  ...(await readdir(join(cache.root, 'tmp')).catch(() => [])),
];

describe('a build', () => {
  test('makes a whole kernel under a release of its own, and leaves the one in use in use', async () => {
    const kernel = await buildGuestKernel(options());
    expect(kernel.release).toMatch(/^6\.1\.9-flotilla-[0-9a-f]{8}$/);
    expect(kernel).toMatchObject({
      ...{ kind: 'built', needsAcpi: false, modulePaths: [] },
      source: { packageName: source, version: '6.1.9-1' },
    });
    const made = await readFile(kernel.vmlinuxPath, 'latin1');
    expect(made).toBe('\x7fELFpatched\nCONFIG_NF_NAT=y\n# CONFIG_MODULES is not set\n');
    expect((await stat(kernel.vmlinuxPath)).uid).toBe(process.geteuid?.());
    expect((await findKernel(cache))?.release).toBe(debian);
    expect(await leftovers()).toEqual([]);
  });

  test('is done once for the same source, configuration and patch', async () => {
    const first = await buildGuestKernel(options());
    const calls = (await programs.calls()).length;
    expect((await buildGuestKernel(options())).release).toBe(first.release);
    expect((await programs.calls()).slice(calls).join('\n')).not.toContain('download');
    await writeFile(join(sourceRoot, 'guest-kernel/flotilla.config'), 'CONFIG_NF_NAT=y\n');
    const second = await buildGuestKernel(options());
    expect(second.release).not.toBe(first.release);
    expect((await listKernels(cache)).map(({ release }) => release).sort()).toEqual(
      [debian, first.release, second.release].sort(),
    );
  });

  test('is not run by root', async () => {
    // In the jail's own user namespace, it is user 0 of 2147483648 and more.
    const proof = isRoot ? "grep -q ' 0 2147483648 ' /proc/self/uid_map" : 'test 0 != "$$(id -u)"';
    await makeSourcePackage(makefile.replace('test -z', `${proof}; test -z`));
    expect((await buildGuestKernel(options())).kind).toBe('built');
  });

  test('is refused when Linux does not take the configuration', async () => {
    await makeSourcePackage(
      makefile.replace('cp $(KCONFIG_ALLCONFIG) .config', 'echo CONFIG_MODULES=y > .config'),
    );
    await expect(buildGuestKernel(options())).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('CONFIG_NF_NAT should be y and is not set; CONFIG_MODULES'),
    });
    expect(await leftovers()).toEqual([]);
  });

  test('is refused when the patch does not fit', async () => {
    await writeFile(
      join(sourceRoot, 'guest-kernel/lapic-timer-khz.patch'),
      patch.replace('-plain', '-other'),
    );
    await expect(buildGuestKernel(options())).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining(`the patch does not fit ${source} 6.1.9-1`),
    });
  });

  test('that is interrupted leaves no kernel, and the next one starts anew', async () => {
    await makeSourcePackage(
      makefile.replace('\t@grep -q patched', `\t@echo "  CC      init/slow.o"; sleep 60\n\t@grep -q patched`),
    );
    const controller = new AbortController();
    const update = (text: string) => {
      if (text.includes('2 of about')) controller.abort(new Error('enough'));
    };
    const progress = { step: () => ({ update, done: () => undefined, fail: () => undefined }) };
    const interrupted = buildGuestKernel({ ...options(), progress, signal: controller.signal });
    await expect(interrupted).rejects.toThrow('enough');
    expect(await readdir(cache.kernels)).toEqual([debian, 'current.json']);
    expect(await leftovers()).toEqual([]);
    await makeSourcePackage();
    expect((await buildGuestKernel(options())).kind).toBe('built');
  });

  test('removes what a killed build for this cache left, and nothing of other caches', async () => {
    const first = await buildGuestKernel(options());
    await removeGuestKernel(options(), first.release);
    await mkdir(join(dir, 'scratch', 'flotilla-kernel-00000000-other'));
    const left = join(dir, 'scratch', `${scratchPrefix(cache)}dead`);
    await mkdir(join(left, 'linux'), { recursive: true });
    await buildGuestKernel(options());
    expect(await readdir(join(dir, 'scratch'))).toEqual(['flotilla-kernel-00000000-other']);
  });

  test('installs what it needs if root runs it, and otherwise says what root has to install', async () => {
    await programs.add('dpkg-query', `printf 'bc\\tinstalled\\n'`);
    const built = buildGuestKernel(options());
    if (!isRoot) return expect(built).rejects.toMatchObject({ hint: expect.stringContaining('flex') });
    expect((await built).kind).toBe('built');
    const install = (await programs.calls()).find((line) => line.includes(' install '));
    expect(install).toMatch(/--no-install-recommends build-essential flex bison libelf-dev/);
  });

  test('needs a directory that the compiling user can reach', async () => {
    await chmod(join(dir, 'scratch'), 0o700);
    await expect(buildGuestKernel(options())).rejects.toMatchObject({
      code: 'unsupported',
      hint: expect.stringContaining('TMPDIR'),
    });
  });
});

describe('choosing a kernel', () => {
  beforeEach(async () => {
    await programs.add('go', 'exit 1');
  });

  test('refuses one that is not there, and says what there is', async () => {
    await expect(useKernel(options(), 'built')).rejects.toMatchObject({
      code: 'not_found',
      hint: expect.stringContaining('./flotilla kernel build'),
    });
    await expect(useKernel(options(), '6.2')).rejects.toMatchObject({
      code: 'not_found',
      hint: expect.stringContaining(debian),
    });
    await expect(useKernel(options(), '../6.1')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('needs the guest agent that set-up builds', async () => {
    await buildGuestKernel(options());
    await expect(useKernel(options(), 'built')).rejects.toMatchObject({ code: 'unavailable' });
    expect((await findKernel(cache))?.release).toBe(debian);
  });

  test('makes a boot kit without modules of a built kernel, and back', async () => {
    await addAgent();
    const { release } = await buildGuestKernel(options());
    await useKernel(options(), 'built');
    const kit = async () => JSON.parse(await readFile(join(cache.bootKit, 'kit.json'), 'utf8'));
    expect(await kit()).toMatchObject({ kernelRelease: release, needsAcpi: false });
    expect((await readFile(join(cache.bootKit, 'initrd'), 'latin1')).includes('.ko')).toBe(false);
    await useKernel(options(), debian);
    expect(await kit()).toMatchObject({ kernelRelease: debian, needsAcpi: true });
    await useKernel(options(), release);
    await useKernel(options(), 'debian');
    expect((await findKernel(cache))?.release).toBe(debian);
  });

  test('a kernel whose file has changed is not offered', async () => {
    const { release, vmlinuxPath } = await buildGuestKernel(options());
    await writeFile(vmlinuxPath, 'another');
    expect((await listKernels(cache)).map((kernel) => kernel.release)).toEqual([debian]);
    await expect(useKernel(options(), release)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('removes a kernel, but not the one in use', async () => {
    const { release } = await buildGuestKernel(options());
    await expect(removeGuestKernel(options(), debian)).rejects.toMatchObject({ code: 'conflict' });
    await removeGuestKernel(options(), 'built');
    expect(await readdir(cache.kernels)).not.toContain(release);
  });
});

/** As set-up leaves it. */
async function addAgent(): Promise<void> {
  await mkdir(dirname(cache.guestAgent), { recursive: true });
  await writeFile(cache.guestAgent, 'agent\n');
  const { inputsHash, version } = await inspectGuestAgent({ cache, sourceRoot, env: {}, signal });
  const record = { inputsHash, version, ...(await recordFile(cache.guestAgent)) };
  await writeFile(join(dirname(cache.guestAgent), 'guest-agent.json'), JSON.stringify(record));
}
