/**
 * The images and boot kits this host starts machines from. They are made in the cache by set-up and brought here once,
 * under the digest of their content; nothing a machine uses points into the cache. Blobs never change and are readable
 * by the VMMs' own users. It must not know what machines there are.
 */
import { chmod, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { z } from 'zod';
import { AppError, wrapError } from '../../core/errors.ts';
import type { BootKit, Image, Images } from '../../core/ports/images.ts';
import { syncDirectory, writeFileAtomic } from '../../lib/files.ts';
import { shortId } from '../../lib/ids.ts';
import type { CacheLayout, StateLayout } from '../layout.ts';
import { explained, importFile } from './importing.ts';
import { bootKitRecord, currentBootKit, imageRecord, readRecord } from './records.ts';

const stagingPrefix = '.import-';
const setupHint = 'Run ./flotilla setup to make the built-in images busybox and debian-12.';

type BootKitRecord = z.infer<typeof bootKitRecord>;

export class ImageStore implements Images {
  readonly #state: StateLayout;
  readonly #cache: CacheLayout;
  /** Read once: only this store changes what it is. */
  #bootKit: BootKit | null = null;
  /** Imports run one after another; it never rejects. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(layouts: { readonly state: StateLayout; readonly cache: CacheLayout }) {
    this.#state = layouts.state;
    this.#cache = layouts.cache;
  }

  /**
   * Brings in what the cache has and we have not, or has made anew, and removes what an interrupted import left. To be
   * called when the daemon starts; may be repeated. An empty cache is no failure. What cannot be brought in does not
   * keep the rest out; the first such failure is raised at the end.
   */
  sync(): Promise<void> {
    return this.#exclusively(async () => {
      await this.#makeDirectories();
      await this.#removeLeftovers();
      const failures: unknown[] = [];
      const attempt = (doing: string, work: Promise<void>) =>
        work.catch((error) => failures.push(wrapError(explained(error), doing)));
      for (const name of await namesIn(this.#cache.images)) {
        await attempt(`import image ${name}`, this.#importImage(name));
      }
      await attempt('import boot kit', this.#importBootKit());
      if (failures.length > 0) throw failures[0];
    });
  }

  async resolve(name: string): Promise<Image> {
    if (!imageRecord.shape.name.safeParse(name).success || name.includes('..'))
      throw await this.#notFound(name);
    const known = await this.#readImage(name);
    if (known) return known;
    await this.#exclusively(async () => {
      await this.#makeDirectories();
      await this.#importImage(name);
    });
    const imported = await this.#readImage(name);
    if (!imported) throw await this.#notFound(name);
    return imported;
  }

  /** Sorted by name. */
  async list(): Promise<readonly Image[]> {
    const names = (await namesIn(this.#state.imageNames)).filter((name) => name.endsWith('.json'));
    const images = await Promise.all(names.map((name) => this.#readImage(name.slice(0, -'.json'.length))));
    return images.filter((image) => image !== null);
  }

  async bootKit(): Promise<BootKit> {
    this.#bootKit ??= await this.#readBootKit();
    if (this.#bootKit) return this.#bootKit;
    await this.#exclusively(async () => {
      await this.#makeDirectories();
      await this.#importBootKit();
    });
    this.#bootKit = await this.#readBootKit();
    if (this.#bootKit) return this.#bootKit;
    throw new AppError('unavailable', 'there is no kernel to boot guests with yet', {
      hint: 'Run ./flotilla setup.',
    });
  }

  async #notFound(name: string): Promise<AppError> {
    const there = (await this.list()).map((image) => image.name);
    const hint = there.length > 0 ? `There is: ${there.join(', ')}. ${setupHint}` : setupHint;
    return new AppError('not_found', `no image ${JSON.stringify(name.slice(0, 127))}`, { hint });
  }

  /** Null unless both the name and the blob it points to are here. */
  async #readImage(name: string): Promise<Image | null> {
    const image = await readRecord(this.#state.imageName(name), imageRecord);
    return image !== null && (await exists(this.#state.blob(image.digest))) ? image : null;
  }

  async #readBootKit(): Promise<BootKit | null> {
    const current = await readRecord(this.#state.currentBootKit, currentBootKit);
    if (!current) return null;
    const dir = this.#state.bootKit(current.digest);
    const record = await readRecord(join(dir, 'kit.json'), bootKitRecord);
    if (!record) return null;
    return {
      kernelPath: join(dir, 'kernel'),
      initrdPath: join(dir, 'initrd'),
      kernelRelease: record.kernelRelease,
      kernelArgs: record.kernelArgs,
    };
  }

  async #importImage(name: string): Promise<void> {
    const dir = this.#cache.image(name);
    const offered = await readRecord(join(dir, 'image.json'), imageRecord);
    if (!offered) return;
    if (offered.name !== name) throw new AppError('internal', `${dir} holds the image ${offered.name}`);
    if ((await this.#readImage(name))?.digest === offered.digest) return;
    const blob = this.#state.blob(offered.digest);
    if (!(await exists(blob))) {
      const staging = join(this.#state.blobs, `${stagingPrefix}${shortId()}`);
      await importFile(join(dir, 'root.ext4'), staging, offered.digest);
      await rename(staging, blob);
      await syncDirectory(this.#state.blobs);
    }
    await writeFileAtomic(this.#state.imageName(name), `${JSON.stringify(offered)}\n`, 0o644);
  }

  async #importBootKit(): Promise<void> {
    const offered = await readRecord(join(this.#cache.bootKit, 'kit.json'), bootKitRecord);
    if (!offered) return;
    const current = await readRecord(this.#state.currentBootKit, currentBootKit);
    const dir = this.#state.bootKit(offered.digest);
    const isThere = await exists(join(dir, 'kit.json'));
    if (isThere && current?.digest === offered.digest) return;
    if (!isThere) await this.#copyBootKit(offered, dir);
    const pointer = `${JSON.stringify({ digest: offered.digest })}\n`;
    await writeFileAtomic(this.#state.currentBootKit, pointer, 0o644);
    this.#bootKit = null;
  }

  async #copyBootKit(offered: BootKitRecord, dir: string): Promise<void> {
    const staging = join(this.#state.boot, `${stagingPrefix}${shortId()}`);
    try {
      await makeDirectory(staging, 0o755);
      await importFile(join(this.#cache.bootKit, 'kernel'), join(staging, 'kernel'), offered.kernelDigest);
      await importFile(join(this.#cache.bootKit, 'initrd'), join(staging, 'initrd'), offered.initrdDigest);
      await writeFileAtomic(join(staging, 'kit.json'), `${JSON.stringify(offered)}\n`, 0o444);
      await rename(staging, dir);
      await syncDirectory(this.#state.boot);
    } catch (error) {
      await rm(staging, { recursive: true, force: true });
      throw error;
    }
  }

  async #makeDirectories(): Promise<void> {
    for (const dir of [
      dirname(this.#state.blobs),
      this.#state.blobs,
      this.#state.imageNames,
      this.#state.boot,
    ]) {
      await makeDirectory(dir, 0o755);
    }
  }

  async #removeLeftovers(): Promise<void> {
    for (const dir of [this.#state.blobs, this.#state.imageNames, this.#state.boot]) {
      const leftovers = (await readdir(dir)).filter((name) => /^\.(import|tmp)-/.test(name));
      for (const name of leftovers) await rm(join(dir, name), { recursive: true, force: true });
    }
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work).catch((error: unknown) => {
      throw explained(error);
    });
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** Makes a directory with this mode whatever the umask; one that exists gets it too. */
async function makeDirectory(path: string, mode: number): Promise<void> {
  await mkdir(path, { recursive: true, mode });
  await chmod(path, mode);
}

/** Names in a directory, sorted, without hidden ones; none when it is absent. */
async function namesIn(dir: string): Promise<readonly string[]> {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => !name.startsWith('.')).sort();
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
