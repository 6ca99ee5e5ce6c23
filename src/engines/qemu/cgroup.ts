/**
 * Limits a VMM's CPU time, memory and tasks with cgroup v1, v2, or both. If the host does not allow a limit,
 * a note reports it and the machine still runs, because the machine's own limits hold inside QEMU.
 *
 * Each machine's group is `flotilla/<incarnation>` at the top of each hierarchy.
 */
import { mkdir, readFile, realpath, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { IoLimits, LaunchSpec } from '../../core/ports/engine.ts';
import { sleep } from '../../lib/abort.ts';
import { shortId } from '../../lib/ids.ts';
import { tcgBufferMib } from './command-line.ts';

export interface CgroupLimits {
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly tasksMax: number;
  /** For the device that holds the file. */
  readonly io: (IoLimits & { readonly file: string }) | null;
}

const controllers = ['cpu', 'memory', 'pids'] as const;
type Controller = (typeof controllers)[number] | 'io';

/** A directory in which a controller's groups are made. */
export interface Hierarchy {
  readonly version: 1 | 2;
  readonly path: string;
}

const parentName = 'flotilla';
const cpuPeriodUs = 100_000;
/** QEMU's own memory: code, heap, device state, thread stacks, and some page cache for its disk. */
const vmmOverheadMib = 128;
/** QEMU's pool for disk requests grows to 64 threads; the vCPUs and a few other threads come in addition. */
const vmmTasks = 96;

/** The cgroup limits of an incarnation's VMM. */
export function vmmLimits(
  spec: Pick<LaunchSpec, 'vcpuCount' | 'memoryMib' | 'limits' | 'disks'>,
): CgroupLimits {
  const { vcpuCount, limits, disks } = spec;
  const file = disks[0]?.path;
  return {
    cpuCount: limits.cpuCount ?? vcpuCount,
    memoryBytes: (limits.memoryMib ?? spec.memoryMib + tcgBufferMib + vmmOverheadMib) * 1024 * 1024,
    tasksMax: vmmTasks + vcpuCount,
    io: limits.io && file !== undefined ? { ...limits.io, file } : null,
  };
}

/** Version 1 has another name for the disk controller. */
function nameIn(type: string, controller: Controller): string {
  return type === 'cgroup' && controller === 'io' ? 'blkio' : controller;
}

/** Finds the hierarchy of each controller from /proc/mounts and the unified hierarchy's list. Pure. */
export function findHierarchies(
  mounts: string,
  unifiedControllers: ReadonlyMap<string, readonly string[]>,
): ReadonlyMap<Controller, Hierarchy> {
  const found = new Map<Controller, Hierarchy>();
  for (const line of mounts.split('\n')) {
    const [, path = '', type = '', options = ''] = line.split(' ');
    const offered =
      type === 'cgroup' ? options.split(',') : type === 'cgroup2' ? (unifiedControllers.get(path) ?? []) : [];
    for (const controller of [...controllers, 'io'] as const)
      if (offered.includes(nameIn(type, controller)) && !found.has(controller))
        found.set(controller, { version: type === 'cgroup' ? 1 : 2, path });
  }
  return found;
}

async function readHierarchies(): Promise<ReadonlyMap<Controller, Hierarchy>> {
  const mounts = await readFile('/proc/mounts', 'utf8').catch(() => '');
  const unified = new Map<string, readonly string[]>();
  for (const line of mounts.split('\n')) {
    const [, path = '', type = ''] = line.split(' ');
    if (type !== 'cgroup2') continue;
    const text = await readFile(join(path, 'cgroup.controllers'), 'utf8').catch(() => '');
    unified.set(path, text.trim().split(/\s+/));
  }
  return findHierarchies(mounts, unified);
}

/** The file and value of each setting, in the order to write them. Pure. */
export function limitFiles(
  controller: Controller,
  version: 1 | 2,
  limits: CgroupLimits,
  device: string | null = null,
): readonly (readonly [file: string, value: string])[] {
  const quotaUs = Math.round(limits.cpuCount * cpuPeriodUs);
  switch (controller) {
    case 'cpu':
      return version === 2
        ? [['cpu.max', `${quotaUs} ${cpuPeriodUs}`]]
        : [
            ['cpu.cfs_period_us', `${cpuPeriodUs}`],
            ['cpu.cfs_quota_us', `${quotaUs}`],
          ];
    case 'memory':
      return [[version === 2 ? 'memory.max' : 'memory.limit_in_bytes', `${limits.memoryBytes}`]];
    case 'pids':
      return [['pids.max', `${limits.tasksMax}`]];
    case 'io':
      return limits.io && device !== null ? ioFiles(version, limits.io, device) : [];
  }
}

function ioFiles(version: 1 | 2, io: IoLimits, device: string): readonly (readonly [string, string])[] {
  const settings = [
    ['rbps', 'blkio.throttle.read_bps_device', io.readBytes],
    ['wbps', 'blkio.throttle.write_bps_device', io.writeBytes],
    ['riops', 'blkio.throttle.read_iops_device', io.readOperations],
    ['wiops', 'blkio.throttle.write_iops_device', io.writeOperations],
  ] as const;
  const set = settings.filter(([, , value]) => value !== null);
  if (version === 1) return set.map(([, file, value]) => [file, `${device} ${value}`]);
  return set.length === 0
    ? []
    : [['io.max', [device, ...set.map(([key, , value]) => `${key}=${value}`)].join(' ')]];
}

/** `major:minor` of the whole device that holds a file: the kernel accepts no limit on a partition. */
async function deviceOf(file: string): Promise<string> {
  const { dev } = await stat(file, { bigint: true });
  // The encoding of the C library's dev_t.
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  const directory = await realpath(`/sys/dev/block/${major}:${minor}`);
  const whole = await readFile(join(directory, 'partition')).then(
    () => join(directory, '..'),
    () => directory,
  );
  return (await readFile(join(whole, 'dev'), 'utf8')).trim();
}

async function removeGroup(path: string): Promise<void> {
  // A group stays busy for a moment after its last process has exited.
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      return await rmdir(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') return;
      await sleep(20);
    }
  }
}

/** Makes one controller's group with its limits. Returns null, or why it failed. */
async function makeGroup(
  controller: Controller,
  hierarchy: Hierarchy,
  name: string,
  limits: CgroupLimits,
): Promise<string | null> {
  const parent = join(hierarchy.path, parentName);
  const group = join(parent, name);
  try {
    await mkdir(group, { recursive: true });
    if (hierarchy.version === 2) {
      // In the unified hierarchy, every group above must enable a controller for its children.
      for (const above of [hierarchy.path, parent])
        await writeFile(join(above, 'cgroup.subtree_control'), `+${controller}`);
    }
    const device = controller === 'io' && limits.io ? await deviceOf(limits.io.file) : null;
    for (const [file, value] of limitFiles(controller, hierarchy.version, limits, device))
      await writeFile(join(group, file), value);
    return null;
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    return `no ${controller} limit for machines: ${syscall} in ${parent}: ${code}`;
  }
}

export interface PreparedGroups {
  readonly notes: readonly string[];
  /** Files to which a pid is written to enter the groups, one per group. */
  readonly files: readonly string[];
}

const probeLimits: CgroupLimits = { cpuCount: 1, memoryBytes: 64 << 20, tasksMax: 1, io: null };

export class Cgroups {
  #hierarchies: Promise<ReadonlyMap<Controller, Hierarchy>> | null = null;

  /** Makes and removes a test group with limits. Returns what this host refuses, which is not tried again. */
  async probe(): Promise<readonly string[]> {
    const name = `probe${shortId()}`;
    const usable = new Map(await this.#read());
    const notes = controllers
      .filter((controller) => !usable.has(controller))
      .map((controller) => `no ${controller} limit for machines: this host has no such control group`);
    for (const [controller, hierarchy] of await this.#read()) {
      const note = await makeGroup(controller, hierarchy, name, probeLimits);
      if (note === null) continue;
      notes.push(note);
      usable.delete(controller);
    }
    await this.remove(name);
    this.#hierarchies = Promise.resolve(usable);
    return notes;
  }

  /** Makes the groups with their limits; returns notes about what failed. Never rejects. */
  async prepare(name: string, limits: CgroupLimits): Promise<PreparedGroups> {
    const notes: string[] = [];
    const files = new Set<string>();
    for (const [controller, hierarchy] of await this.#read()) {
      if (controller === 'io' && limits.io === null) continue;
      const note = await makeGroup(controller, hierarchy, name, limits);
      if (note === null) files.add(join(hierarchy.path, parentName, name, 'cgroup.procs'));
      else notes.push(note);
    }
    return { notes, files: [...files] };
  }

  /** Moves a process into prepared groups; returns notes about what failed. Never rejects. */
  async enter({ files }: PreparedGroups, pid: number): Promise<readonly string[]> {
    const notes: string[] = [];
    for (const file of files) {
      await writeFile(file, `${pid}`).catch((error: NodeJS.ErrnoException) => {
        notes.push(`no limit for machines: ${error.syscall} ${file}: ${error.code}`);
      });
    }
    return notes;
  }

  /** Checks whether a process is in each of its prepared groups; returns notes about missing ones. */
  async check(name: string, { files }: PreparedGroups, pid: number): Promise<readonly string[]> {
    const text = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
    const members = text.split('\n').filter((line) => line.endsWith(`/${parentName}/${name}`)).length;
    if (members >= files.length) return [];
    return [
      `limits for machines do not hold: the VMM is in ${members} of its ${files.length} control groups`,
    ];
  }

  /** Whether the kernel has killed a process of the group for exceeding its memory limit. */
  async hasRunOutOfMemory(name: string): Promise<boolean> {
    const memory = (await this.#read()).get('memory');
    if (memory === undefined) return false;
    const file = memory.version === 2 ? 'memory.events' : 'memory.oom_control';
    const text = await readFile(join(memory.path, parentName, name, file), 'utf8').catch(() => '');
    return /^oom_kill [1-9]/m.test(text);
  }

  /** Does nothing when there is no group; its processes must have exited. */
  async remove(name: string): Promise<void> {
    for (const path of await this.#groups(name)) await removeGroup(path);
  }

  /** The controllers that this host supports. */
  async controllers(): Promise<readonly Controller[]> {
    return [...(await this.#read()).keys()].filter((controller) => controller !== 'io');
  }

  #read(): Promise<ReadonlyMap<Controller, Hierarchy>> {
    this.#hierarchies ??= readHierarchies();
    return this.#hierarchies;
  }

  async #groups(name: string): Promise<readonly string[]> {
    const paths = [...(await this.#read()).values()].map(({ path }) => join(path, parentName, name));
    return [...new Set(paths)];
  }
}
