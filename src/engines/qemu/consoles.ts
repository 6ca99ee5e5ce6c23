/**
 * The serial consoles of incarnations: files to which VMMs append, which are trimmed to their end from time
 * to time and followed as they grow. Trimming shifts the followers' positions, so a file is not trimmed
 * during a read.
 */
import { type FSWatcher, watch } from 'node:fs';
import { KeyedLock } from '../../lib/keyed-lock.ts';
import { lastBytes, readPiece } from './owned-file.ts';
import type { RunDirectory } from './run-directory.ts';
import { consoleLimits, trimFile } from './tail-file.ts';

const pieceBytesMax = 64 * 1024;
/**
 * After a notification, output within this time is read together, so that a guest that prints single bytes
 * causes few reads.
 */
const gatherMs = 25;
/** The file is also checked without notifications, because some hosts have few inotify watches. */
const pollMs = 1000;

/** A follower's position in the file. */
interface Cursor {
  position: number;
}

export class Consoles {
  readonly #lock = new KeyedLock();
  readonly #cursors = new Map<string, Set<Cursor>>();

  /** Trims the file to its end if it exceeds `consoleLimits`. Rejects with the system's error. */
  async trim({ incarnation, consoleFile }: RunDirectory): Promise<void> {
    await this.#lock.run(incarnation, async () => {
      const bytesGone = await trimFile(consoleFile, consoleLimits);
      for (const cursor of this.#cursors.get(incarnation) ?? [])
        cursor.position = Math.max(0, cursor.position - bytesGone);
    });
  }

  /** The last bytes; empty when there is no console yet. */
  tail(directory: RunDirectory, bytesMax: number): Promise<Buffer> {
    return this.#lock.run(directory.incarnation, () => directory.consoleTail(bytesMax));
  }

  /**
   * Yields the last `bytesMax` bytes as one chunk, then new output. Ends when `last` has aborted and
   * everything was read; rejects with the reason of `signal`.
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
      // Somebody else has truncated the file: its content is new.
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

/** Notifies when a file may have grown. */
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

  /** Resolves shortly after the next notification or at the poll interval; at once when `stop` aborts. */
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

/** Null when the host has no inotify watch left, or there is no file. */
function watchFile(path: string, changed: () => void): FSWatcher | null {
  try {
    const watcher = watch(path, { persistent: false }, changed);
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
