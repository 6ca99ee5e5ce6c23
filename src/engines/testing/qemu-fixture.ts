/** A state directory, a kernel and a tiny guest for tests with the real QEMU. */
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LaunchSpec, limitsOfSize } from '../../core/ports/engine.ts';
import { readProcessStat } from '../../lib/procfs.ts';
import { CacheLayout, StateLayout } from '../../storage/layout.ts';
import { type EngineFixture, testHostId } from '../engine.contract.ts';
import { QemuDriver, type QemuDriverOptions } from '../qemu/driver.ts';
import { killProcess } from '../qemu/processes.ts';
import { RunDirectory } from '../qemu/run-directory.ts';
import { behaviourArgument, type GuestBehaviour, guestMarker, tinyInitramfs } from './tiny-guest.ts';

/** User ids far from any real one, used for machines when the tests run as root. */
export const testUidBase = process.getuid?.() === 0 ? 700_000 : null;

export interface QemuFixture extends EngineFixture {
  readonly layout: StateLayout;
  makeDriver(options?: Partial<QemuDriverOptions>): QemuDriver;
}

function cacheDirectory(): string {
  const fallback = process.getuid?.() === 0 ? '/var/cache/flotilla' : join(homedir(), '.cache', 'flotilla');
  return process.env.FLOTILLA_CACHE_DIR ?? fallback;
}

/** The shim in the cache, if it was built; the tests also pass without it. */
export function testShim(): string | null {
  const path = new CacheLayout(cacheDirectory()).launchShim;
  return existsSync(path) ? path : null;
}

async function copyKernel(to: string): Promise<void> {
  const kernel = join(new CacheLayout(cacheDirectory()).bootKit, 'kernel');
  await copyFile(kernel, to).catch((cause) => {
    throw new Error(`these tests need a kernel at ${kernel}: run ./flotilla setup first`, { cause });
  });
}

/** Pids whose command line contains `text`, except this process; searched without the code under test. */
async function pidsMentioning(text: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const commandLine = await readFile(join('/proc', name, 'cmdline'), 'utf8').catch(() => '');
    if (commandLine.includes(text)) found.push(Number(name));
  }
  return found;
}

async function cgroupsOf(incarnations: ReadonlySet<string>): Promise<readonly string[]> {
  const found: string[] = [];
  for (const hierarchy of ['', 'cpu', 'cpu,cpuacct', 'memory', 'pids']) {
    const parent = join('/sys/fs/cgroup', hierarchy, 'flotilla');
    const names = await readdir(parent).catch(() => []);
    found.push(...names.filter((name) => incarnations.has(name)).map((name) => join(parent, name)));
  }
  return found;
}

export async function makeQemuFixture(): Promise<QemuFixture> {
  const root = await mkdtemp(join(tmpdir(), 'flotilla-qemu-'));
  await chmod(root, 0o711);
  const kernelPath = join(root, 'kernel');
  const initrdPath = join(root, 'initrd');
  await copyKernel(kernelPath);
  await writeFile(initrdPath, await tinyInitramfs());
  for (const path of [kernelPath, initrdPath]) await chmod(path, 0o444);
  const layout = new StateLayout(root);
  const incarnations = new Set<string>();

  return {
    layout,
    makeDriver: (options = {}) =>
      new QemuDriver({ layout, uidBase: testUidBase, shim: testShim(), ...options }),
    spec: (incarnation: string, slot: number, behaviour: GuestBehaviour): LaunchSpec => {
      incarnations.add(incarnation);
      return {
        machineId: `m${incarnation}`.slice(0, 12),
        hostId: testHostId,
        incarnation,
        slot,
        vcpuCount: 1,
        memoryMib: 128,
        diskMib: 64,
        source: { kind: 'kernel', kernelPath, initrdPath, kernelArgs: behaviourArgument(behaviour) },
        disks: [],
        nics: [],
        limits: limitsOfSize,
      };
    },
    consoleMarker: guestMarker,
    directory: () => mkdtemp(join(root, 'saved-')),
    kill: ({ pid }) => {
      const stat = pid === null ? null : readProcessStat(pid);
      if (stat !== null) killProcess(stat);
    },
    isPrepared: async (incarnation) => {
      const directory = new RunDirectory(layout, incarnation);
      // Without a shim, there is no process yet.
      if (testShim() === null) return directory.exists();
      return (await directory.readRecord()) !== null;
    },
    countVmms: async (incarnation) => (await pidsMentioning(`flotilla-${incarnation}`)).length,
    leftovers: async () => [
      ...(await pidsMentioning(root)).map((pid) => `process ${pid}`),
      ...(await readdir(layout.run).catch(() => [])).map((name) => join(layout.run, name)),
      ...(await cgroupsOf(incarnations)),
    ],
    close: async () => await rm(root, { recursive: true }),
  };
}
