/**
 * The serial consoles of incarnations: files to which VMMs append, which are trimmed to their end from time
 * to time and followed as they grow. Trimming shifts the followers' positions, so a file is not trimmed
 * during a read. Consoles of living VMMs are watched, so that the time of each line is known.
 */
import { type FSWatcher, watch } from 'node:fs';
import type { ConsolePiece } from '../../core/ports/engine.ts';
import { hasErrorCode } from '../../lib/files.ts';
import { KeyedLock } from '../../lib/keyed-lock.ts';
import type { ConsoleTimes } from './console-times.ts';
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
/** Precision of the times of lines: a guest that prints all the time is looked at no more often. */
const lookMs = 100;

interface Range {
  readonly from: number;
  readonly length: number;
}

/** A follower's position in the file. */
interface Cursor {
  position: number;
}

interface ConsolesOptions {
  readonly nowMs?: () => number;
  /** Told when times could not be saved; they are then saved with the next ones. */
  readonly onTrouble?: (incarnation: string, error: unknown) => void;
}

export class Consoles {
  readonly #lock = new KeyedLock();
  readonly #cursors = new Map<string, Set<Cursor>>();
  readonly #watched = new Map<string, Watched>();
  readonly #nowMs: () => number;
  readonly #onTrouble: (incarnation: string, error: unknown) => void;

  constructor({ nowMs = Date.now, onTrouble = () => undefined }: ConsolesOptions = {}) {
    this.#nowMs = nowMs;
    this.#onTrouble = onTrouble;
  }

  /** Keeps the times of a living VMM's output from now on, until `unwatch`. */
  watch(directory: RunDirectory): void {
    const { incarnation } = directory;
    if (this.#watched.has(incarnation)) return;
    const look = () => {
      const looked = this.#lock.run(incarnation, () => this.#look(directory));
      looked.catch((error: unknown) => this.#onTrouble(incarnation, error));
    };
    this.#watched.set(incarnation, new Watched(directory, look));
    look();
  }

  /** Looks a last time, saves the times, and stops watching. Rejects with the system's error. */
  async unwatch(directory: RunDirectory): Promise<void> {
    const { incarnation } = directory;
    this.#watched.get(incarnation)?.close();
    await this.#lock.run(incarnation, async () => {
      if (!this.#watched.has(incarnation)) return;
      const { times } = await this.#look(directory).finally(() => this.#watched.delete(incarnation));
      await this.#save(directory, times);
    });
  }

  /** Stops watching all of them. */
  async close(): Promise<void> {
    const directories = [...this.#watched.values()].map(({ directory }) => directory);
    await Promise.all(
      directories.map((directory) =>
        this.unwatch(directory).catch((error: unknown) => this.#onTrouble(directory.incarnation, error)),
      ),
    );
  }

  /** Trims the file to its end if it exceeds `consoleLimits`, and saves the times. Rejects with the system's error. */
  async trim(directory: RunDirectory): Promise<void> {
    const { incarnation, consoleFile } = directory;
    await this.#lock.run(incarnation, async () => {
      const { times, size } = await this.#look(directory);
      if (size > consoleLimits.bytesMax) {
        // Offsets of another file are worse than none: they are void while the two do not match.
        await directory.removeConsoleTimes();
        const bytesGone = await trimFile(consoleFile, consoleLimits);
        for (const cursor of this.#cursors.get(incarnation) ?? [])
          cursor.position = Math.max(0, cursor.position - bytesGone);
        times.trimmed(bytesGone);
      }
      await this.#save(directory, times);
    });
  }

  /** The last bytes; empty when there is no console yet. */
  async tail(directory: RunDirectory, bytesMax: number): Promise<Buffer> {
    return await this.#lock.run(directory.incarnation, () => directory.consoleTail(bytesMax));
  }

  /** The last bytes and their times; empty when there is no console yet. */
  async read(directory: RunDirectory, bytesMax: number): Promise<ConsolePiece> {
    return await this.#read(directory, { position: 0 }, (size) => lastBytes(size, bytesMax));
  }

  /**
   * Yields the last `bytesMax` bytes as one piece, then new output. Ends when `last` has aborted and
   * everything was read; rejects with the reason of `signal`.
   */
  async *follow(
    directory: RunDirectory,
    bytesMax: number,
    last: AbortSignal,
    signal: AbortSignal,
  ): AsyncGenerator<ConsolePiece> {
    signal.throwIfAborted();
    const { incarnation, consoleFile } = directory;
    const cursor: Cursor = { position: 0 };
    const next = (size: number) => {
      // Somebody else has truncated the file: its content is new.
      const from = cursor.position > size ? 0 : cursor.position;
      return { from, length: Math.min(size - from, pieceBytesMax) };
    };
    const stop = AbortSignal.any([last, signal]);
    this.#add(incarnation, cursor);
    const growth = new Growth(consoleFile);
    try {
      yield await this.#read(directory, cursor, (size) => lastBytes(size, bytesMax));
      for (;;) {
        signal.throwIfAborted();
        const isLast = last.aborted;
        const piece = await this.#read(directory, cursor, next);
        if (piece.bytes.length > 0) yield piece;
        else if (isLast) return;
        else await growth.next(stop);
      }
    } finally {
      growth.close();
      this.#remove(incarnation, cursor);
    }
  }

  /** Reads a range, after which the cursor stands. */
  async #read(
    directory: RunDirectory,
    cursor: Cursor,
    choose: (size: number) => Range,
  ): Promise<ConsolePiece> {
    return await this.#lock.run(directory.incarnation, async () => {
      const times = await this.#timesOf(directory);
      const { bytes, end, size } = await readPiece(directory.consoleFile, choose);
      times.look(size, this.#nowMs());
      cursor.position = end;
      // Nobody else saves the times of a console that is not watched, and the next reader must get the same.
      if (!this.#watched.has(directory.incarnation)) await this.#save(directory, times);
      return { bytes, seen: times.between(end - bytes.length, end) };
    });
  }

  /** Records how long the file is now. Only with the lock. */
  async #look(directory: RunDirectory): Promise<{ readonly times: ConsoleTimes; readonly size: number }> {
    const times = await this.#timesOf(directory);
    const { size } = await readPiece(directory.consoleFile, () => ({ from: 0, length: 0 }));
    times.look(size, this.#nowMs());
    return { times, size };
  }

  async #timesOf(directory: RunDirectory): Promise<ConsoleTimes> {
    const watched = this.#watched.get(directory.incarnation);
    const times = watched?.times ?? (await directory.readConsoleTimes());
    if (watched !== undefined) watched.times = times;
    return times;
  }

  /** A console is shown also when the disk is full or its directory is being removed. */
  async #save(directory: RunDirectory, times: ConsoleTimes): Promise<void> {
    await directory.saveConsoleTimes(times).catch((error: unknown) => {
      if (!hasErrorCode(error, 'ENOENT')) this.#onTrouble(directory.incarnation, error);
    });
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

/** A console whose output is looked at soon after it was printed. */
class Watched {
  readonly directory: RunDirectory;
  /** Null until they have been read. */
  times: ConsoleTimes | null = null;
  readonly #look: () => void;
  #watcher: FSWatcher | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(directory: RunDirectory, look: () => void) {
    this.directory = directory;
    this.#look = look;
    this.#await();
  }

  close(): void {
    this.#watcher?.close();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** For one notification: a guest that prints single bytes would cause thousands in a second. */
  #await(): void {
    this.#watcher = watchFile(this.directory.consoleFile, () => {
      this.#watcher?.close();
      this.#timer ??= setTimeout(() => {
        this.#timer = null;
        this.#await();
        this.#look();
      }, lookMs).unref();
    });
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
