/** Stores an upload on disk as it arrives, so that a slow sender occupies only its own file. */
import { open, rename, rm, stat, statfs } from 'node:fs/promises';
import { AppError } from '../../core/errors.ts';
import { abortable } from '../../lib/abort.ts';
import { syncDirectory } from '../../lib/files.ts';
import type { Staging } from './staging.ts';

export interface ReceiveLimits {
  readonly bytesMax: number;
  /** Disk space that stays free on the state directory's file system. */
  readonly reserveBytes: number;
}

/** An upload exists at the same time as its unpacked files and its file system. */
const shareOfFree = 1 / 3;
/** Free space is checked after each such amount. */
const lookBytes = 16 * 2 ** 20;

/**
 * Writes `chunks` into the existing staging directory. After success the archive is complete and stays, and a
 * second call does nothing. Raises `exhausted` when it exceeds its share of the disk, `invalid` beyond
 * `bytesMax`, and the sender's errors.
 */
export async function receive(
  chunks: AsyncIterable<Uint8Array>,
  { dir, partial, upload }: Staging,
  limits: ReceiveLimits,
  signal: AbortSignal,
): Promise<void> {
  if (await hasReceived({ upload })) return;
  await rm(partial, { force: true });
  const share = (await freeBeyond(dir, limits)) * shareOfFree;
  let bytes = 0;
  let looked = 0;
  const file = await open(partial, 'wx', 0o600);
  try {
    for await (const chunk of untilAborted(chunks, signal)) {
      bytes += chunk.length;
      if (bytes > limits.bytesMax) throw tooLarge(limits.bytesMax);
      if (bytes > share) throw full();
      if (bytes - looked > lookBytes) {
        looked = bytes;
        if ((await freeBeyond(dir, limits)) <= 0) throw full();
      }
      await file.writeFile(chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  signal.throwIfAborted();
  await rename(partial, upload);
  await syncDirectory(dir);
}

/** Whether the complete archive is here. */
export function hasReceived({ upload }: Pick<Staging, 'upload'>): Promise<boolean> {
  return stat(upload).then(
    () => true,
    () => false,
  );
}

/** Ends with the signal's reason even while the sender is silent. */
async function* untilAborted<T>(chunks: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  const iterator = chunks[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await abortable(iterator.next(), signal);
    if (done) return;
    yield value;
  }
}

async function freeBeyond(dir: string, { reserveBytes }: ReceiveLimits): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize - reserveBytes;
}

function full(): AppError {
  return new AppError('exhausted', 'this host’s disk has no room for the archive', {
    hint: 'Free some space in the state directory, or delete machines.',
  });
}

function tooLarge(bytesMax: number): AppError {
  return new AppError('invalid', `the archive is larger than ${Math.floor(bytesMax / 2 ** 20)} MiB`, {
    hint: 'Remove files that the guest does not need.',
  });
}
