/**
 * A file that reserves disk space for the database. Without it, a full disk would prevent all records, even
 * that a guest waits for space or that a machine was deleted to free some. A part of the file is released
 * whenever a write would find no space, and the file is refilled when there is plenty. Only a part at a time,
 * because others on the disk can take released space too.
 */
import { randomBytes } from 'node:crypto';
import { open, rm, stat, statfs, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasErrorCode } from '../lib/files.ts';
import type { Logger } from '../lib/log.ts';
import type { SpaceReserve } from './database.ts';

const mib = 1024 * 1024;

/** Four times the size of the write-ahead log before SQLite reuses its beginning. */
export const reserveBytesMax = 16 * mib;
/** Released at a time, and kept free for the database as long as the reserve lasts. */
const partBytes = 4 * mib;
/** Free space required to refill the reserve: more than a guest that waits for space needs to resume. */
const fillFreeBytesMin = 96 * mib;
/**
 * After a change, the reserve is not refilled for this long, so that it does not flap on a nearly full disk.
 */
const fillPauseMs = 5_000;

export interface ReserveOptions {
  readonly path: string;
  readonly log: Pick<Logger, 'warn' | 'info'>;
  /** A monotonic clock, in milliseconds. */
  readonly now?: () => number;
  /** Free bytes on the reserve's file system. Default: statfs. */
  readonly freeBytes?: () => Promise<number>;
}

/**
 * Calls must not overlap; the store has one writer. No method fails: without a reserve the store continues.
 */
export class Reserve implements SpaceReserve {
  readonly #path: string;
  readonly #log: Pick<Logger, 'warn' | 'info'>;
  readonly #now: () => number;
  readonly #freeBytes: () => Promise<number>;
  #heldBytes = 0;
  #fillAfter = 0;
  #isGivenUp = false;
  #isDiskFull = false;

  private constructor(options: ReserveOptions) {
    this.#path = options.path;
    this.#log = options.log;
    this.#now = options.now ?? (() => performance.now());
    this.#freeBytes = options.freeBytes ?? (() => freeBytesAt(options.path));
  }

  /** Reuses an existing file and calls `prepare`, so that the reserve exists if there is space. */
  static async open(options: ReserveOptions): Promise<Reserve> {
    const reserve = new Reserve(options);
    const found = await stat(options.path).catch(() => null);
    reserve.#heldBytes = Math.min(found?.size ?? 0, reserveBytesMax);
    await reserve.prepare();
    return reserve;
  }

  /** Whether the last `prepare` found almost no free space. */
  get isDiskFull(): boolean {
    return this.#isDiskFull;
  }

  async prepare(): Promise<void> {
    const free = await this.#freeBytes().catch(() => null);
    if (free === null) return;
    this.#isDiskFull = free < partBytes;
    if (this.#isDiskFull) await this.giveUp();
    else if (this.#isToFill(free)) await this.#fill();
  }

  async giveUp(): Promise<boolean> {
    if (this.#heldBytes === 0) return false;
    const left = Math.max(0, this.#heldBytes - partBytes);
    this.#fillAfter = this.#now() + fillPauseMs;
    try {
      if (left === 0) await rm(this.#path, { force: true });
      else await truncate(this.#path, left);
      this.#heldBytes = left;
    } catch (error) {
      // Somebody removed the file, which released all of it.
      if (hasErrorCode(error, 'ENOENT')) this.#heldBytes = 0;
      else this.#log.warn({ err: error }, 'reserve not released');
      return false;
    }
    if (!this.#isGivenUp) {
      this.#log.warn({ path: this.#path }, 'disk full: releasing the reserve for records');
    }
    this.#isGivenUp = true;
    return true;
  }

  #isToFill(free: number): boolean {
    const missing = reserveBytesMax - this.#heldBytes;
    return missing > 0 && free - missing >= fillFreeBytesMin && this.#now() >= this.#fillAfter;
  }

  async #fill(): Promise<void> {
    this.#fillAfter = this.#now() + fillPauseMs;
    try {
      this.#heldBytes = await fillFile(this.#path, this.#heldBytes);
    } catch (error) {
      await rm(this.#path, { force: true }).catch(() => undefined);
      this.#heldBytes = 0;
      this.#log.warn({ err: error }, 'no disk space reserved for records');
      return;
    }
    if (this.#isGivenUp) this.#log.info({ path: this.#path }, 'reserve for records refilled');
    this.#isGivenUp = false;
  }
}

/** Random, because a compressing file system would reserve nothing for zeros. Resolves with the size. */
async function fillFile(path: string, from: number): Promise<number> {
  const handle = await open(path, from === 0 ? 'w' : 'r+', 0o600);
  try {
    await handle.truncate(from);
    const chunk = randomBytes(mib);
    for (let at = from; at < reserveBytesMax; ) {
      const length = Math.min(chunk.length, reserveBytesMax - at);
      at += (await handle.write(chunk, 0, length, at)).bytesWritten;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return reserveBytesMax;
}

/** Space for unprivileged users: without the part that a file system keeps for root. */
async function freeBytesAt(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(dirname(path));
  return bavail * bsize;
}
