/**
 * A machine's disk as a qcow2 overlay on its image: a few hundred KiB that appear in milliseconds, and the image stays
 * shared and untouched. Knows files and qemu-img; nothing of machines, images' names or engines.
 *
 * The file is made under a temporary name in the machine's own directory and renamed when it is whole and durable, so
 * `root.qcow2` is never half a disk. What a crash left beside it goes at the next call.
 */
import { chmod, chown, mkdir, open, readdir, rename, rm, rmdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, wrapError } from '../../core/errors.ts';
import type { DiskRecord, DiskRequest, Disks } from '../../core/ports/disks.ts';
import { abortable } from '../../lib/abort.ts';
import {
  ensureDirectory,
  exists,
  hasErrorCode,
  isOutOfSpace,
  syncDirectory,
  syncFile,
} from '../../lib/files.ts';
import { shortId } from '../../lib/ids.ts';
import { ProcessError } from '../../lib/process.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import { diskDirectoryMode, isMachineId, type StateLayout } from '../layout.ts';
import { growDisk } from './growing.ts';
import { QemuImg } from './qemu-img.ts';
import { ageQuarantine, quarantineDisk } from './quarantine.ts';

export interface QcowDisksOptions {
  readonly layout: StateLayout;
  /** The VMM of slot n runs as uid and gid `uidBase + n`; null: as ourselves. */
  readonly uidBase: number | null;
  /** Program that makes disks; default `qemu-img`, looked up in PATH. */
  readonly qemuImg?: string;
}

const bytesPerMib = 1024 * 1024;

const temporaryPrefix = '.tmp-';

/**
 * Raises beside what the port says: `invalid` when the disk would be smaller than its image, `unsupported` without
 * qemu-img, `timeout`. Calls for one machine must not overlap; there is one operation at a time for each.
 */
export class QcowDisks implements Disks {
  readonly #layout: StateLayout;
  readonly #uidBase: number | null;
  readonly #qemuImg: QemuImg;

  constructor(options: QcowDisksOptions) {
    this.#layout = options.layout;
    this.#uidBase = options.uidBase;
    this.#qemuImg = new QemuImg(options.qemuImg ?? 'qemu-img', options.uidBase);
  }

  locate(machineId: string, imageDigest: string): DiskRecord {
    return { path: this.#layout.disk(machineId), format: 'qcow2', bases: [this.#layout.blob(imageDigest)] };
  }

  async prepare(request: DiskRequest, signal: AbortSignal): Promise<DiskRecord> {
    return await abortable(this.#prepare(request, signal), signal);
  }

  async grow({ machineId, slot, diskMib }: DiskRequest, signal: AbortSignal): Promise<void> {
    const path = this.#layout.disk(machineId);
    const grown = growDisk(this.#qemuImg, { path, slot, sizeBytes: diskMib * bytesPerMib }, signal);
    await abortable(grown, signal).catch((error: unknown) => {
      throw explained(error, machineId);
    });
  }

  async freeMib(signal: AbortSignal): Promise<number> {
    const { bavail, bsize } = await abortable(statfs(this.#layout.disks), signal);
    return Math.floor((bavail * bsize) / bytesPerMib);
  }

  async remove(machineId: string, signal: AbortSignal): Promise<void> {
    await abortable(this.#remove(machineId), signal);
  }

  async quarantine(machineId: string, signal: AbortSignal): Promise<void> {
    await abortable(quarantineDisk(this.#layout, machineId, new Date()), signal);
  }

  ageQuarantine(byMs: number, ageMsMax: number, signal: AbortSignal): Promise<readonly string[]> {
    return abortable(ageQuarantine(this.#layout, byMs, ageMsMax), signal);
  }

  /** Also machines of whose disk only a crash's leftovers are here, so that those are found and put aside. */
  async list(signal: AbortSignal): Promise<readonly string[]> {
    try {
      const entries = await abortable(readdir(this.#layout.disks, { withFileTypes: true }), signal);
      return entries
        .filter((entry) => entry.isDirectory() && isMachineId(entry.name))
        .map((entry) => entry.name);
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) return [];
      throw error;
    }
  }

  async #prepare(request: DiskRequest, signal: AbortSignal): Promise<DiskRecord> {
    const disk = this.locate(request.machineId, request.imageDigest);
    const directory = this.#layout.diskDir(request.machineId);
    try {
      await removeLeftovers(directory);
      // A disk that is there keeps its contents, but belongs to whoever the slot's user is today.
      if (await exists(disk.path)) await this.#handOver(disk.path, request.slot);
      else await this.#create(request, directory, disk.path, signal);
      return disk;
    } catch (error) {
      throw explained(error, request.machineId);
    }
  }

  async #remove(machineId: string): Promise<void> {
    const directory = this.#layout.diskDir(machineId);
    if (!(await exists(directory))) return;
    // The machine's record may be written into it at this very moment.
    await removeTree(directory);
    await syncDirectory(this.#layout.disks);
  }

  async #create(request: DiskRequest, directory: string, path: string, signal: AbortSignal): Promise<void> {
    const sizeBytes = request.diskMib * bytesPerMib;
    const base = this.#layout.blob(request.imageDigest);
    await checkBase(base, request, sizeBytes);
    await this.#makeDirectory(this.#layout.disks);
    await this.#makeDirectory(directory);
    const temporary = join(directory, temporaryPrefix + shortId());
    try {
      // Made here first, because qemu-img keeps the mode of a file that exists and gives a new one to everybody.
      await (await open(temporary, 'wx', 0o600)).close();
      await this.#handOver(temporary, request.slot);
      const args = ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', base, temporary, String(sizeBytes)];
      await this.#qemuImg.run(args, request.slot, signal);
      await syncFile(temporary);
      await rename(temporary, path);
      await syncDirectory(directory);
      await syncDirectory(this.#layout.disks);
    } catch (error) {
      await rm(temporary, { force: true });
      // Stays when it holds a disk: the rename was done and only its sync failed; the next call finds the disk.
      await rmdir(directory).catch(() => undefined);
      throw error;
    }
  }

  async #makeDirectory(path: string): Promise<void> {
    try {
      await mkdir(path, { mode: diskDirectoryMode });
    } catch (error) {
      if (hasErrorCode(error, 'EEXIST')) return;
      if (!hasErrorCode(error, 'ENOENT')) throw error;
      await ensureDirectory(path, diskDirectoryMode);
    }
    // The umask may have taken the bits that let the VMM through.
    await chmod(path, diskDirectoryMode);
  }

  async #handOver(path: string, slot: number): Promise<void> {
    await chmod(path, 0o600);
    if (this.#uidBase === null) return;
    const id = this.#uidBase + slot;
    await chown(path, id, id);
  }
}

async function checkBase(base: string, request: DiskRequest, sizeBytes: number): Promise<void> {
  const found = await stat(base).catch((error: unknown) => {
    if (hasErrorCode(error, 'ENOENT')) return null;
    throw error;
  });
  if (found === null) {
    throw new AppError('not_found', `image ${request.imageDigest} is not on this host`, {
      hint: 'get the image again, then create the machine again',
    });
  }
  if (sizeBytes < found.size) {
    const imageMib = Math.ceil(found.size / bytesPerMib);
    throw new AppError(
      'invalid',
      `a disk of ${request.diskMib} MiB is smaller than its image, which needs ${imageMib} MiB`,
      { details: { diskMib: request.diskMib, diskMibMin: imageMib } },
    );
  }
}

async function removeLeftovers(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (hasErrorCode(error, 'ENOENT')) return [];
    throw error;
  });
  for (const name of names)
    if (name.startsWith(temporaryPrefix)) await rm(join(directory, name), { force: true });
}

/** Failures that a person can do something about, in their words. */
function explained(error: unknown, machineId: string): AppError {
  if (isOutOfSpace(error) || saysNoSpace(error)) {
    return new AppError('exhausted', `no space left for the disk of machine ${machineId}`, {
      cause: error,
      hint: 'free some space in the state directory, or delete machines',
    });
  }
  if (error instanceof ProcessError && error.isMissing) {
    return new AppError('unsupported', `${error.command} is not installed, so no disk can be made`, {
      cause: error,
      hint: 'run ./flotilla setup',
    });
  }
  const isTimeout = error instanceof ProcessError && error.isTimeout;
  return wrapError(error, `make the disk of machine ${machineId}`, isTimeout ? 'timeout' : 'internal');
}

function saysNoSpace(error: unknown): boolean {
  // qemu-img speaks English whatever the locale: it never calls setlocale.
  return error instanceof ProcessError && /No space left on device|Disk quota exceeded/.test(error.stderr);
}
