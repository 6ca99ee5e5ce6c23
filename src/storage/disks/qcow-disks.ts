/**
 * Machines' disks as qcow2 overlays on their image: a few hundred KiB made in milliseconds, while the image
 * is shared and unchanged. Knows files and qemu-img, but no machines, image names or engines.
 *
 * A disk is made under a temporary name in the machine's directory and renamed when it is complete and
 * durable, so `root.qcow2` is never incomplete. The next call removes leftovers of a crash.
 */
import { chmod, chown, mkdir, open, readdir, rename, rm, rmdir, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError, wrapError } from '../../core/errors.ts';
import type { DiskRecord, DiskRequest, Disks } from '../../core/ports/disks.ts';
import { damagedHint } from '../../core/ports/snapshots.ts';
import { abortable } from '../../lib/abort.ts';
import { copyWhole } from '../../lib/copy.ts';
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
import { diskDirectoryMode, isResourceId, type StateLayout } from '../layout.ts';
import { readDiskHeader } from './disk-header.ts';
import { EmptyOverlays } from './empty-overlays.ts';
import { growDisk } from './growing.ts';
import { QemuImg } from './qemu-img.ts';
import { ageQuarantine, quarantineDisk } from './quarantine.ts';

export interface QcowDisksOptions {
  readonly layout: StateLayout;
  /** The VMM of slot n runs as uid and gid `uidBase + n`. Null: as ourselves. */
  readonly uidBase: number | null;
  /** The program that makes disks; default `qemu-img`, looked up in PATH. */
  readonly qemuImg?: string;
}

const bytesPerMib = 1024 * 1024;

const temporaryPrefix = '.tmp-';

/**
 * In addition to the port's errors, raises `invalid` when the disk would be smaller than its image,
 * `unsupported` without qemu-img, `timeout`. Calls for one machine must not overlap, which its single open
 * operation ensures.
 */
export class QcowDisks implements Disks {
  readonly #layout: StateLayout;
  readonly #uidBase: number | null;
  readonly #qemuImg: QemuImg;
  readonly #empty = new EmptyOverlays();

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

  async makeEmpty(
    { machineId, slot, imageDigest }: Omit<DiskRequest, 'diskMib'>,
    path: string,
    signal: AbortSignal,
  ): Promise<void> {
    const work = async () => {
      const { sizeBytes } = await readDiskHeader(this.#layout.disk(machineId));
      const directory = this.#layout.diskDir(machineId);
      await removeLeftovers(directory);
      const temporary = await this.#makeEmpty(
        directory,
        this.#layout.blob(imageDigest),
        sizeBytes,
        slot,
        signal,
      );
      if (this.#uidBase !== null) await chown(temporary, 0, 0);
      await rename(temporary, path);
    };
    await abortable(work(), signal).catch((error: unknown) => {
      throw explained(error, machineId);
    });
  }

  async copyOut(machineId: string, path: string, signal: AbortSignal): Promise<void> {
    await abortable(copyWhole(this.#layout.disk(machineId), path, signal), signal).catch((error: unknown) => {
      throw explained(error, machineId);
    });
  }

  async replace(request: DiskRequest & { readonly content: string }, signal: AbortSignal): Promise<void> {
    const work = async () => {
      const directory = this.#layout.diskDir(request.machineId);
      await removeLeftovers(directory);
      await this.#publish(
        await this.#copyIn(request, directory, signal),
        this.#layout.disk(request.machineId),
      );
    };
    await abortable(work(), signal).catch((error: unknown) => {
      throw explained(error, request.machineId);
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

  /** Includes machines with only leftovers of a disk, so that those are found and quarantined. */
  async list(signal: AbortSignal): Promise<readonly string[]> {
    try {
      const entries = await abortable(readdir(this.#layout.disks, { withFileTypes: true }), signal);
      return entries
        .filter((entry) => entry.isDirectory() && isResourceId(entry.name))
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
      // An existing disk keeps its content but is given to the slot's current user.
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
    // The machine's record may be written into it concurrently.
    await removeTree(directory);
    await syncDirectory(this.#layout.disks);
  }

  async #create(request: DiskRequest, directory: string, path: string, signal: AbortSignal): Promise<void> {
    const sizeBytes = request.diskMib * bytesPerMib;
    const base = this.#layout.blob(request.imageDigest);
    await checkBase(base, request, sizeBytes);
    await this.#makeDirectory(this.#layout.disks);
    await this.#makeDirectory(directory);
    const { content = null, slot } = request;
    try {
      const temporary =
        content === null
          ? await this.#makeEmpty(directory, base, sizeBytes, slot, signal)
          : await this.#copyIn({ ...request, content }, directory, signal);
      await this.#publish(temporary, path);
      await syncDirectory(this.#layout.disks);
    } catch (error) {
      await removeLeftovers(directory);
      // Not removed when it contains a disk: then only the sync after the rename failed, and the next call
      // finds the disk.
      await rmdir(directory).catch(() => undefined);
      throw error;
    }
  }

  /** Resolves with the path of a new file, which the slot's user owns. */
  async #makeEmpty(
    directory: string,
    base: string,
    sizeBytes: number,
    slot: number,
    signal: AbortSignal,
  ): Promise<string> {
    const temporary = join(directory, temporaryPrefix + shortId());
    // Made here first: qemu-img keeps the mode of an existing file, and makes a new one readable for
    // everyone.
    await (await open(temporary, 'wx', 0o600)).close();
    await this.#handOver(temporary, slot);
    if (!(await this.#empty.write(base, sizeBytes, temporary))) {
      const args = ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', base, temporary, String(sizeBytes)];
      await this.#qemuImg.run(args, slot, signal);
      await this.#empty.remember(base, sizeBytes, temporary);
    }
    return temporary;
  }

  /** Likewise. A VMM may have written the content, so it could name any file of the host as its base. */
  async #copyIn(
    { content, imageDigest, slot }: DiskRequest & { readonly content: string },
    directory: string,
    signal: AbortSignal,
  ): Promise<string> {
    const temporary = join(directory, temporaryPrefix + shortId());
    await copyWhole(content, temporary, signal);
    const isOurs = await readDiskHeader(temporary).then(
      ({ backing }) => backing === this.#layout.blob(imageDigest),
      () => false,
    );
    if (!isOurs) {
      throw new AppError('conflict', 'the disk of the snapshot is damaged: its header names another base', {
        hint: damagedHint,
      });
    }
    await this.#handOver(temporary, slot);
    return temporary;
  }

  async #publish(temporary: string, path: string): Promise<void> {
    await syncFile(temporary);
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  }

  async #makeDirectory(path: string): Promise<void> {
    try {
      await mkdir(path, { mode: diskDirectoryMode });
    } catch (error) {
      if (hasErrorCode(error, 'EEXIST')) return;
      if (!hasErrorCode(error, 'ENOENT')) throw error;
      await ensureDirectory(path, diskDirectoryMode);
    }
    // The umask may have removed the bits that let the VMM pass.
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
      hint: 'Import the image again, then create the machine again.',
    });
  }
  if (sizeBytes < found.size) {
    const imageMib = Math.ceil(found.size / bytesPerMib);
    throw new AppError(
      'invalid',
      `a disk of ${request.diskMib} MiB is smaller than its image, which needs ${imageMib} MiB`,
      {
        hint: `Ask for ${imageMib} MiB or more.`,
        details: { diskMib: request.diskMib, diskMibMin: imageMib },
      },
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

/** Translates failures that the user can fix. */
function explained(error: unknown, machineId: string): AppError {
  if (isOutOfSpace(error) || saysNoSpace(error)) {
    return new AppError('exhausted', `no space left for the disk of machine ${machineId}`, {
      cause: error,
      hint: 'Free some space in the state directory, or delete machines.',
    });
  }
  if (error instanceof ProcessError && error.isMissing) {
    return new AppError('unsupported', `${error.command} is not installed, so no disk can be made`, {
      cause: error,
      hint: 'Run ./flotilla setup.',
    });
  }
  const isTimeout = error instanceof ProcessError && error.isTimeout;
  return wrapError(error, `make the disk of machine ${machineId}`, isTimeout ? 'timeout' : 'internal');
}

function saysNoSpace(error: unknown): boolean {
  // qemu-img always prints English: it never calls setlocale.
  return error instanceof ProcessError && /No space left on device|Disk quota exceeded/.test(error.stderr);
}
