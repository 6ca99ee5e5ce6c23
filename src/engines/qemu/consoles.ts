/**
 * The serial consoles of incarnations: files that VMMs append to, cut to their end now and then, and followed while they
 * grow. Where a follower is in a file moves with every cut, so a file is not cut while somebody reads.
 */
import { type FSWatcher, watch } from 'node:fs';
import { KeyedLock } from '../../lib/keyed-lock.ts';
import { lastBytes, readPiece } from './owned-file.ts';
import type { RunDirectory } from './run-directory.ts';
import { consoleLimits, trimFile } from './tail-file.ts';

const pieceBytesMax = 64 * 1024;
/** After news, what comes within this time is read with it: a guest that prints single bytes costs few reads. */
const gatherMs = 25;
/** Without news the file is looked at all the same: watches are few on some hosts. */
const pollMs = 1000;

/** Where in the file a follower goes on. */
interface Cursor {
  position: number;
}

export class Consoles {
  readonly #lock = new KeyedLock();
  readonly #cursors = new Map<string, Set<Cursor>>();

  /** Cuts the file to its end if it has outgrown `consoleLimits`. Rejects with the system's error. */
  async trim({ incarnation, consoleFile }: RunDirectory): Promise<void> {
    await this.#lock.run(incarnation, async () => {
      const bytesGone = await trimFile(consoleFile, consoleLimits);
      for (const cursor of this.#cursors.get(incarnation) ?? [])
        cursor.position = Math.max(0, cursor.position - bytesGone);
    });
  }

  /** The last bytes there are; empty when there is no console yet. */
  tail(directory: RunDirectory, bytesMax: number): Promise<Buffer> {
    return this.#lock.run(directory.incarnation, () => directory.consoleTail(bytesMax));
  }

  /**
   * The last `bytesMax` bytes as one piece, then what is appended. Ends when `last` has aborted and all was read; rejects
   * with the reason of `signal`.
   */
  async *follow(
    { incarnation, consoleFile }: RunDirectory,
    bytesMax: number,
    last: AbortSignal,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    signal.throwIfAborted();
    const cursor: Cursor = { position: 0 };
    const read = (choose: (size: number) => { readonly from: number; readonly length: number }) =>
      this.#lock.run(incarnation, async () => {
        const { bytes, end } = await readPiece(consoleFile, choose);
        cursor.position = end;
        return bytes;
      });
    const next = (size: number) => {
      // Somebody else has made it shorter: what it holds is new.
      const from = cursor.position > size ? 0 : cursor.position;
      return { from, length: Math.min(size - from, pieceBytesMax) };
    };
    const stop = AbortSignal.any([last, signal]);
    this.#add(incarnation, cursor);
    const growth = new Growth(consoleFile);
    try {
      yield await read((size) => lastBytes(size, bytesMax));
      for (;;) {
        signal.throwIfAborted();
        const isLast = last.aborted;
        const bytes = await read(next);
        if (bytes.length > 0) yield bytes;
        else if (isLast) return;
        else await growth.next(stop);
      }
    } finally {
      growth.close();
      this.#remove(incarnation, cursor);
    }
  }

  #add(incarnation: string, cursor: Cursor): void {
    const cursors = this.#cursors.get(incarnation) ?? new Set();
    this.#cursors.set(incarnation, cursors.add(cursor));
  }

  #remove(incarnation: string, cursor: Cursor): void {
    const cursors = this.#cursors.get(incarnation);
    cursors?.delete(cursor);
    if (cursors?.size === 0) this.#cursors.delete(incarnation);
  }
}

/** Tells that a file may have grown. */
class Growth {
  readonly #watcher: FSWatcher | null;
  #hasNews = false;
  #wake: () => void = () => undefined;

  constructor(path: string) {
    this.#watcher = watchFile(path, () => {
      this.#hasNews = true;
      this.#wake();
    });
  }

  /** Resolves a moment after the next news or when it is time to look; at once when `stop` aborts. */
  async next(stop: AbortSignal): Promise<void> {
    if (!this.#hasNews) await this.#wait(pollMs, stop, true);
    if (this.#hasNews) await this.#wait(gatherMs, stop, false);
    this.#hasNews = false;
  }

  close(): void {
    this.#watcher?.close();
  }

  async #wait(ms: number, stop: AbortSignal, untilNews: boolean): Promise<void> {
    if (stop.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    const timer = setTimeout(wake, ms);
    stop.addEventListener('abort', wake, { once: true });
    if (untilNews) this.#wake = wake;
    await promise;
    clearTimeout(timer);
    stop.removeEventListener('abort', wake);
  }
}

/** Null when the host has no watch left, or the file is not there. */
function watchFile(path: string, changed: () => void): FSWatcher | null {
  try {
    const watcher = watch(path, { persistent: false }, changed);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
