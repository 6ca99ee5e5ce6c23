/**
 * A file that holds disk space for the database. On a full disk nothing could be recorded any more, neither that a guest
 * waits for space nor that a machine was deleted to make some; so a part of the file is given up whenever a write would
 * find no room, and the file is filled again when there is plenty. A part at a time, because what is given up is there
 * for everybody who writes to the disk.
 */
import { randomBytes } from 'node:crypto';
import { open, rm, stat, statfs, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasErrorCode } from '../lib/files.ts';
import type { Logger } from '../lib/log.ts';
import type { SpaceReserve } from './database.ts';

const mib = 1024 * 1024;

/** Four times what the write-ahead log holds before SQLite uses its beginning again. */
export const reserveBytesMax = 16 * mib;
/** Given up at a time, and how much is kept free for the database as long as the reserve lasts. */
const partBytes = 4 * mib;
/** What must be free beside the reserve for it to be filled: more than a guest that waits for space is waiting for. */
const fillFreeBytesMin = 96 * mib;
/** After the reserve has changed it is not filled for this long, so that a disk that is nearly full is not churned. */
const fillPauseMs = 5_000;

export interface ReserveOptions {
  readonly path: string;
  readonly log: Pick<Logger, 'warn' | 'info'>;
  /** A clock that never goes back, in milliseconds. */
  readonly now?: () => number;
  /** Bytes that are free for the reserve's file system; default: what statfs says. */
  readonly freeBytes?: () => Promise<number>;
}

/** Calls must not overlap; the store has one writer at a time. None of them fails: without a reserve the store goes on. */
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

  /** Takes over the file that is there, then does what `prepare` does, so that there is one when there is room. */
  static async open(options: ReserveOptions): Promise<Reserve> {
    const reserve = new Reserve(options);
    const found = await stat(options.path).catch(() => null);
    reserve.#heldBytes = Math.min(found?.size ?? 0, reserveBytesMax);
    await reserve.prepare();
    return reserve;
  }

  /** Whether the last `prepare` found next to nothing free. */
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
      // Someone removed it, which gave up all of it.
      if (hasErrorCode(error, 'ENOENT')) this.#heldBytes = 0;
      else this.#log.warn({ err: error }, 'the reserve of disk space cannot be given up');
      return false;
    }
    if (!this.#isGivenUp) {
      this.#log.warn({ path: this.#path }, 'the disk is full: the reserve for records is being used up');
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
      this.#log.warn({ err: error }, 'no disk space can be reserved for records');
      return;
    }
    if (this.#isGivenUp) this.#log.info({ path: this.#path }, 'the reserve for records is whole again');
    this.#isGivenUp = false;
  }
}

/** Random, because a file system that compresses would hold no space for zeros. Resolves with the size. */
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

/** For those without privileges: what a file system keeps for root is not counted. */
async function freeBytesAt(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(dirname(path));
  return bavail * bsize;
}
