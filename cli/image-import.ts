/** Sends an image's archive to the daemon, and reports progress. */
import type { Image, ImageUploadOptions } from '../sdk/src/index.ts';
import { type Archive, openArchive } from './archive.ts';
import type { Context } from './context.ts';
import { megabytes } from './output.ts';

/** More than the daemon gives an import: it is the daemon that says why it took too long. */
const idleMs = 45 * 60_000;

/** Nothing is left of it, here or at the daemon, when it throws or is interrupted. */
export async function importImage(
  context: Context,
  name: string,
  path: string,
  options: Pick<ImageUploadOptions, 'kernel' | 'min_memory_mib'>,
): Promise<Image> {
  const { patientClient, progress, signal } = context;
  const archive = openArchive(path, context.env);
  const sent = new Sent(context, archive, path);
  try {
    const upload = () => patientClient.images.upload(name, sent.bytes(), { ...options, signal, idleMs });
    const image = await progress.during(() => sent.words(), upload);
    for (const words of archive.warnings()) context.note(words);
    return image;
  } finally {
    await archive.close();
  }
}

class Sent {
  readonly #context: Context;
  readonly #archive: Archive;
  readonly #path: string;
  #length = 0;
  #isWhole = false;

  constructor(context: Context, archive: Archive, path: string) {
    this.#context = context;
    this.#archive = archive;
    this.#path = path;
  }

  words(): string {
    if (this.#isWhole) return `sent ${megabytes(this.#length)}, making the file system…`;
    const { length } = this.#archive;
    return `sending ${megabytes(this.#length)}${length === null ? '' : ` of ${megabytes(length)}`}`;
  }

  async *bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    const { progress } = this.#context;
    if (!progress.isShown) this.#context.note(`sending ${this.#path}`);
    for await (const chunk of this.#archive.bytes) {
      this.#length += chunk.length;
      yield chunk;
    }
    this.#isWhole = true;
    if (!progress.isShown) this.#context.note(this.words());
  }
}
