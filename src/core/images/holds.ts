/**
 * Keeps an image from being removed between the moment a creation has resolved its name and the moment the machine's
 * record says so. In memory only: neither a creation's first moments nor a removal outlive the daemon.
 */
import { AppError } from '../errors.ts';
import type { Image } from '../ports/images.ts';

export class ImageHolds {
  /** By digest, how many creations have resolved to it and not recorded it yet. */
  readonly #held = new Map<string, number>();
  readonly #removing = new Map<string, Promise<unknown>>();
  #removals = 0;

  /** What creations have resolved to and not recorded yet. */
  held(): readonly string[] {
    return [...this.#held.keys()];
  }

  /** Resolves an image and keeps it until `work` has ended. `resolve` may be called again. */
  async hold<T>(resolve: () => Promise<Image>, work: (image: Image) => Promise<T>): Promise<T> {
    const image = await this.#take(resolve);
    try {
      return await work(image);
    } finally {
      const left = (this.#held.get(image.digest) ?? 1) - 1;
      if (left > 0) this.#held.set(image.digest, left);
      else this.#held.delete(image.digest);
    }
  }

  /**
   * Runs `work`, which removes the image of this digest unless it is used; no creation resolves to it meanwhile. Raises
   * `conflict` when one has.
   */
  async remove(digest: string, work: () => Promise<void>): Promise<void> {
    for (let other = this.#removing.get(digest); other; other = this.#removing.get(digest)) await other;
    if (this.#held.has(digest)) {
      throw new AppError('conflict', 'the image is used by a machine that is being created');
    }
    const removal = work();
    this.#removing.set(
      digest,
      removal.catch(() => undefined),
    );
    try {
      await removal;
    } finally {
      this.#removing.delete(digest);
      this.#removals += 1;
    }
  }

  /** What was resolved before a removal ended may be what it removed, and is resolved again. */
  async #take(resolve: () => Promise<Image>): Promise<Image> {
    for (;;) {
      const removalsBefore = this.#removals;
      const image = await resolve();
      const removal = this.#removing.get(image.digest);
      if (removal === undefined && removalsBefore === this.#removals) {
        this.#held.set(image.digest, (this.#held.get(image.digest) ?? 0) + 1);
        return image;
      }
      await removal;
    }
  }
}
