/**
 * What qemu-img makes for a disk that nobody has written. The next disk of this size on this image is a copy of it:
 * starting qemu-img takes longer than everything else about a new disk. Remembers contents, no files.
 */
import { open, readFile } from 'node:fs/promises';
import { Lru } from '../../lib/lru.ts';

/** Combinations of image and size; about 200 KiB each. */
const overlaysMax = 16;
/** A disk of 16 TiB has half of it. */
const bytesMax = 1024 * 1024;

export class EmptyOverlays {
  readonly #known = new Lru<string, Buffer>(overlaysMax);

  /** Fills an empty file. False, and nothing written, when none like it is remembered. */
  async write(base: string, diskBytes: number, path: string): Promise<boolean> {
    const content = this.#known.get(keyOf(base, diskBytes));
    if (content === undefined) return false;
    const file = await open(path, 'r+');
    try {
      await file.writeFile(content);
    } finally {
      await file.close();
    }
    return true;
  }

  /** Remembers the file that qemu-img has just made, unless it is too large. */
  async remember(base: string, diskBytes: number, path: string): Promise<void> {
    const content = await readFile(path);
    if (content.length <= bytesMax) this.#known.set(keyOf(base, diskBytes), content);
  }
}

function keyOf(base: string, diskBytes: number): string {
  return `${diskBytes} ${base}`;
}
