import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, watch, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readProcessStat } from '../../lib/procfs.ts';
import { StateLayout } from '../../storage/layout.ts';
import { QemuDriver } from './driver.ts';
import { bootSector, findProgram, noJailNote, parseVersion, probeQemu, removeStaleProbes } from './probe.ts';
import { waitGone } from './processes.ts';

const never = new AbortController().signal;
const greeting = 'echo "QEMU emulator version 7.2.22 (Debian)"';
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flotilla-probe-test-'));
  await chmod(directory, 0o755);
});
afterAll(async () => await rm(directory, { recursive: true }));

/** A fake QEMU program: `--version` prints `version`, everything else runs `boot`. */
async function fakeQemu(name: string, version: string, boot: string): Promise<string> {
  const path = join(directory, name);
  const script = `#!/bin/sh\nif [ "$1" = --version ]; then ${version}; exit 0; fi\n${boot}\n`;
  await writeFile(path, script, { mode: 0o755 });
  return path;
}

const noJail = noJailNote('the launch shim is not built, run ./flotilla setup');
const options = { uid: null, kvmDevice: '/nonexistent/kvm', shim: null, notes: ['told before'] };

describe('probeQemu', () => {
  it('chooses KVM when something boots on it', async () => {
    const binary = await fakeQemu('both', greeting, 'exit 33');
    const { probe, host } = await probeQemu({ ...options, binary, kvmDevice: '/dev/null' }, never);
    expect(probe).toEqual({
      isAvailable: true,
      accelerator: 'kvm',
      version: '7.2.22',
      missing: [],
      notes: ['told before', noJail],
    });
    expect(host).toMatchObject({ qemu: binary, accelerator: 'kvm', groups: [] });
  });

  it('chooses TCG when KVM exists but boots nothing, and says so', async () => {
    const boot = 'case "$*" in *"-accel kvm"*) echo "ioctl failed" >&2; exit 1;; esac; exit 33';
    const binary = await fakeQemu('tcg', greeting, boot);
    const { probe } = await probeQemu({ ...options, binary, kvmDevice: '/dev/null' }, never);
    expect(probe).toMatchObject({ isAvailable: true, accelerator: 'tcg' });
    expect(probe.notes.at(-1)).toMatch(/^no KVM: .*ioctl failed/);
  });

  it('leaves nothing behind, and removes the remains of a killed probe', async () => {
    const parent = join(directory, 'parent');
    await mkdir(join(parent, 'flotilla-probe-killed', 'root'), { recursive: true });
    await mkdir(join(parent, 'other'));
    await removeStaleProbes(parent);
    const binary = await fakeQemu(
      'in-parent',
      greeting,
      'case "$*" in *parent/flotilla-probe-*) exit 33;; esac; exit 1',
    );
    const { probe } = await probeQemu({ ...options, binary, parent }, never);
    expect(probe.isAvailable).toBe(true);
    expect(await readdir(parent)).toEqual(['other']);
  });

  it('does not try KVM without a device', async () => {
    const binary = await fakeQemu('no-device', greeting, 'exit 33');
    const { probe } = await probeQemu({ ...options, binary }, never);
    expect(probe).toMatchObject({ isAvailable: true, accelerator: 'tcg' });
  });

  it('is not available when nothing boots, even if the exit code is 0', async () => {
    const binary = await fakeQemu('liar', greeting, 'exit 0');
    const { probe, host } = await probeQemu({ ...options, binary }, never);
    expect(probe).toMatchObject({ isAvailable: false, accelerator: null, version: '7.2.22' });
    expect(probe.missing).toEqual(['QEMU 7.2.22 boots nothing on this host']);
    expect(host).toBeNull();
  });

  it.each([
    ['old', 'echo "QEMU emulator version 5.2.0"', /^QEMU 5.2.0 is too old, 6.0 is needed$/],
    ['other', 'echo hello', /does not answer as QEMU: run .\/flotilla setup$/],
  ])('is not available with an %s program', async (name, version, words) => {
    const binary = await fakeQemu(name, version, 'exit 33');
    const { probe } = await probeQemu({ ...options, binary }, never);
    expect(probe.isAvailable).toBe(false);
    expect(probe.missing).toEqual([expect.stringMatching(words)]);
  });

  it('says what is not installed and how to install it', async () => {
    const { probe } = await probeQemu({ ...options, binary: 'qemu-of-no-system' }, never);
    expect(probe.missing).toEqual(['qemu-of-no-system is not installed: run ./flotilla setup']);
  });

  it('ends when its signal aborts, whatever QEMU does', async () => {
    const binary = await fakeQemu(
      'hanging',
      greeting,
      `echo $$ > ${directory}/.pid; mv ${directory}/.pid ${directory}/pid; exec sleep 1000`,
    );
    const controller = new AbortController();
    const watching = watch(directory, { signal: AbortSignal.timeout(30_000) });
    const probing = probeQemu({ ...options, binary }, controller.signal);
    probing.catch(() => undefined);
    for await (const { filename } of watching) if (filename === 'pid') break;
    controller.abort(new Error('enough'));
    await expect(probing).rejects.toThrow('enough');
    const pid = Number(await readFile(join(directory, 'pid'), 'utf8'));
    const stat = readProcessStat(pid);
    expect(stat === null || (await waitGone(stat, 10_000))).toBe(true);
  });
});

it('ends with its driver, and leaves nothing behind', async () => {
  const parent = join(directory, 'closed');
  await mkdir(parent);
  const booted = join(directory, 'booted');
  const binary = await fakeQemu('endless', greeting, `echo > ${booted}; exec sleep 600`);
  const layout = new StateLayout(directory);
  const driver = new QemuDriver({
    layout,
    binary,
    uidBase: null,
    kvmDevice: '/nonexistent',
    probeParent: parent,
  });
  const probing = driver.probe();
  await vi.waitFor(() => stat(booted), 20_000);
  await driver.close();
  expect(await probing).toMatchObject({ isAvailable: false });
  expect(await readdir(parent)).toEqual([]);
});

it('has a boot sector that firmware accepts', () => {
  const sector = bootSector();
  expect(sector).toHaveLength(512);
  expect(sector.readUInt16LE(510)).toBe(0xaa55);
});

it('finds programs by name only in given directories, and accepts absolute paths', async () => {
  const path = await fakeQemu('findable', greeting, 'exit 0');
  expect(await findProgram('findable', ['/nonexistent', directory])).toBe(path);
  expect(await findProgram('findable', ['/nonexistent'])).toBeNull();
  expect(await findProgram(path, [])).toBe(path);
  expect(await findProgram(`${path}.not`, [])).toBeNull();
});

it('reads the version from QEMU’s output', () => {
  expect(parseVersion('QEMU emulator version 7.2.22 (Debian 1:7.2)\nCopyright')).toBe('7.2.22');
  expect(parseVersion('qemu: not found')).toBeNull();
});
