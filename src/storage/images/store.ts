/**
 * The images and boot kits from which this host starts machines: made by set-up in the cache and imported
 * once, or imported by users. All are stored by the digest of their content; machines use nothing else. Blobs
 * never change and are readable for the VMMs' users. It must not know which machines exist.
 *
 * An image exists when both its record and its blob do. The blob is written last and removed first, so a
 * crash leaves at most a record, which the next start removes.
 */
import { readdir, rename, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, wrapError } from '../../core/errors.ts';
import { imageNameRule, isImageName } from '../../core/images/names.ts';
import type { BootKit, Garbage, Image, ImageImport, ImageLibrary } from '../../core/ports/images.ts';
import { abortable } from '../../lib/abort.ts';
import { exists, syncDirectory } from '../../lib/files.ts';
import { shortId } from '../../lib/ids.ts';
import { type Logger, silentLog } from '../../lib/log.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import type { CacheLayout, StateLayout } from '../layout.ts';
import { knownFormat } from './archive.ts';
import { ImageCatalogue, makeDirectory, namesIn } from './catalogue.ts';
import { basesOfDisks, digestsOfProcesses, planGarbage, readCandidates } from './garbage.ts';
import { explained, importFile } from './importing.ts';
import { BootKits } from './kits.ts';
import {
  type ImportLimits,
  importLimitsDefault,
  type MakeBootKit,
  makeImage,
  readKit,
  readMade,
} from './making.ts';
import { hasReceived, receive } from './receiving.ts';
import { type ImageRecord, imageRecord, readRecord } from './records.ts';
import { type Staging, stagingOf, stagingPrefix } from './staging.ts';

export interface ImageStoreOptions {
  readonly state: StateLayout;
  readonly cache: CacheLayout;
  /** Without it, images cannot be imported with their own kernel. */
  readonly makeBootKit?: MakeBootKit;
  readonly log?: Logger;
  /** Milliseconds since 1970; for tests. */
  readonly now?: () => number;
  /** For tests. */
  readonly limits?: Partial<ImportLimits>;
}

export interface SyncOptions {
  readonly signal?: AbortSignal;
  /** Ids of imports that will be taken up; their files are kept. */
  readonly importsUnderWay?: readonly string[];
}

export class ImageStore implements ImageLibrary {
  readonly #state: StateLayout;
  readonly #cache: CacheLayout;
  readonly #options: ImageStoreOptions;
  readonly #limits: ImportLimits;
  readonly #catalogue: ImageCatalogue;
  readonly #kits: BootKits;
  readonly #log: Logger;
  /** Directories of running imports. */
  readonly #staging = new Set<string>();
  /** Changes run one after another; never rejects. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ImageStoreOptions) {
    this.#state = options.state;
    this.#cache = options.cache;
    this.#options = options;
    this.#limits = { ...importLimitsDefault, ...options.limits };
    this.#catalogue = new ImageCatalogue(options.state);
    this.#kits = new BootKits(options);
    this.#log = options.log ?? silentLog;
  }

  /**
   * Imports images of the cache that are new or were rebuilt, and removes leftovers of interrupted imports.
   * Called when the daemon starts. Idempotent. An empty cache is not an error. An image that cannot be
   * imported does not prevent the others; the first such error is raised at the end. Ends with the signal's
   * reason.
   */
  sync({ signal, importsUnderWay = [] }: SyncOptions = {}): Promise<void> {
    for (const id of importsUnderWay) this.#staging.add(stagingOf(this.#state, id).dir);
    return this.#exclusively(async () => {
      await this.#makeDirectories();
      const failures: unknown[] = [];
      const attempt = (doing: string, work: Promise<void>) =>
        work.catch((error) => failures.push(wrapError(explained(error), doing)));
      for (const path of await this.#leftovers()) {
        await attempt('remove what an import left', removeTree(path));
      }
      for (const record of await this.#catalogue.all()) {
        if (record.isBuiltIn || (await this.#hasBlob(record))) continue;
        await attempt(`forget image ${record.name}`, this.#discard(record));
      }
      for (const name of await namesIn(this.#cache.images)) {
        signal?.throwIfAborted();
        await attempt(`import image ${name}`, this.#bringIn(name, signal));
      }
      signal?.throwIfAborted();
      await attempt('import boot kit', this.#kits.bringIn());
      if (failures.length > 0) throw failures[0];
    });
  }

  async named(tenant: string, name: string, signal: AbortSignal): Promise<Image | null> {
    return isImageName(name) ? await abortable(this.#find(tenant, name), signal) : null;
  }

  async list(tenant: string): Promise<readonly Image[]> {
    const byName = new Map<string, ImageRecord>();
    for (const record of await this.#catalogue.all()) {
      const isSeen = record.tenant === tenant || (record.tenant === null && !byName.has(record.name));
      if (isSeen && (await this.#hasBlob(record))) byName.set(record.name, record);
    }
    return [...byName.values()].map(toImage).sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  async find(digest: string, signal: AbortSignal): Promise<Image | null> {
    const records = await abortable(this.#catalogue.all(), signal);
    const record = records.find((each) => each.digest === digest);
    return record ? toImage(record) : null;
  }

  async bootKit(imageDigest: string, signal: AbortSignal): Promise<BootKit> {
    return await abortable(this.#bootKit(imageDigest), signal);
  }

  knownBootKit(imageDigest: string): BootKit | null {
    const record = this.#catalogue.known(imageDigest);
    if (record === undefined) return null;
    return record?.kitDigest ? this.#kits.known(record.kitDigest) : this.#kits.knownCurrent;
  }

  async #bootKit(imageDigest: string): Promise<BootKit> {
    const { kitDigest } = (await this.#catalogue.of(imageDigest)) ?? {};
    if (kitDigest) return this.#kits.get(kitDigest);
    const kit = await this.#kits.current();
    if (kit) return kit;
    await this.#exclusively(async () => {
      await this.#makeDirectories();
      await this.#kits.bringIn();
    });
    const broughtIn = await this.#kits.current();
    if (broughtIn) return broughtIn;
    throw new AppError('unavailable', 'there is no kernel to boot guests with yet', {
      hint: 'Run ./flotilla setup.',
    });
  }

  async requireFree(tenant: string | null, name: string): Promise<void> {
    if (!isImageName(name)) {
      throw new AppError('invalid', `not an image name: ${JSON.stringify(name.slice(0, 127))}`, {
        hint: `It ${imageNameRule}.`,
      });
    }
    await this.#findShared(name);
    await this.#requireFree(tenant, name);
  }

  receive(id: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    return this.#staged(id, signal, (staging) => receive(knownFormat(chunks), staging, this.#limits, signal));
  }

  hasReceived(id: string): Promise<boolean> {
    return hasReceived(stagingOf(this.#state, id));
  }

  build(id: string, request: ImageImport, signal: AbortSignal): Promise<void> {
    return this.#staged(id, signal, async (staging) => {
      await makeImage(request, staging, { ...this.#options, limits: this.#limits, signal });
    });
  }

  async made(id: string, request: ImageImport): Promise<Image | null> {
    const record = await readResult(stagingOf(this.#state, id), request);
    return record ? toImage(record) : null;
  }

  publish(id: string, request: ImageImport): Promise<Image> {
    return this.#exclusively(async () => {
      const staging = stagingOf(this.#state, id);
      const record = await readResult(staging, request);
      if (!record) throw new AppError('internal', `import ${id} has made no image`);
      const published = await this.#published(record);
      if (published) return toImage(published);
      await this.#bringIn(request.name);
      await this.#requireFree(request.tenant, request.name);
      await this.#put(record, staging);
      return toImage(record);
    });
  }

  async discard(id: string): Promise<void> {
    const { dir } = stagingOf(this.#state, id);
    this.#staging.delete(dir);
    // The next start tries again.
    await removeTree(dir).catch((error: unknown) => {
      this.#log.warn({ err: error, path: dir }, 'leftovers of an import not removed');
    });
  }

  async countImported(tenant: string | null): Promise<number> {
    const records = await this.#catalogue.all();
    return records.filter((record) => record.tenant === tenant && !record.isBuiltIn).length;
  }

  remove({ tenant, name, digest, createdAt }: Image): Promise<void> {
    return this.#exclusively(async () => {
      const record = await this.#catalogue.get(tenant, name);
      if (record?.digest === digest && record.createdAt === createdAt) await this.#discard(record);
    });
  }

  collect(used: ReadonlySet<string>): Promise<readonly Garbage[]> {
    return this.#exclusively(async () => {
      // An unreadable record may refer to any digest.
      if (await this.#catalogue.isDamaged()) return [];
      const now = this.#options.now?.() ?? Date.now();
      // Read first, so that anything put to use meanwhile counts as young.
      const candidates = await readCandidates(this.#state, now);
      const records = await this.#catalogue.all();
      const needed = new Set([
        ...used,
        ...records.flatMap(({ digest, kitDigest }) => [digest, ...(kitDigest ? [kitDigest] : [])]),
        ...(await this.#kits.currentDigests(now)),
        ...(await basesOfDisks([this.#state.disks, this.#state.quarantine])),
        ...(await digestsOfProcesses()),
      ]);
      const garbage = planGarbage(candidates, needed);
      for (const { kind, digest } of garbage) {
        if (kind === 'boot_kit') await this.#kits.remove(digest);
        else await rm(this.#state.blob(digest), { force: true });
      }
      if (garbage.length > 0) await syncDirectory(this.#state.blobs);
      return garbage;
    });
  }

  /** Runs one part of an import in its directory, which is kept from then on until `discard`. */
  async #staged(id: string, signal: AbortSignal, work: (staging: Staging) => Promise<void>): Promise<void> {
    const staging = stagingOf(this.#state, id);
    this.#staging.add(staging.dir);
    try {
      await this.#makeDirectories();
      await makeDirectory(staging.dir, 0o700);
      await work(staging);
    } catch (error) {
      throw signal.aborted ? signal.reason : explained(error);
    }
  }

  /** The record under which this image was already published. */
  async #published({ tenant, name, digest, createdAt }: ImageRecord): Promise<ImageRecord | null> {
    const known = await this.#catalogue.get(tenant, name);
    const isSame = known?.digest === digest && known.createdAt === createdAt;
    return isSame && (await this.#hasBlob(known)) ? known : null;
  }

  async #put(record: ImageRecord, { rootPath, kit }: Staging): Promise<void> {
    try {
      await this.#catalogue.put(record);
      const kitRecord = await readKit(kit);
      if (kitRecord) await this.#kits.add(kit, kitRecord);
      await rename(rootPath, this.#state.blob(record.digest));
      await syncDirectory(this.#state.blobs);
    } catch (error) {
      await this.#discard(record);
      throw error;
    }
  }

  async #requireFree(tenant: string | null, name: string): Promise<void> {
    const taken = (await this.#readImage(tenant, name)) ?? (await this.#readImage(null, name));
    if (!taken) return;
    const hint = taken.isBuiltIn ? 'Choose another name.' : 'Choose another name, or delete that one first.';
    throw new AppError('conflict', `an image named '${name}' exists already`, { hint });
  }

  /** Removes an image, and its content unless another record names it. */
  async #discard(record: ImageRecord): Promise<void> {
    const others = (await this.#catalogue.all()).filter(
      (each) => each.name !== record.name || each.tenant !== record.tenant,
    );
    if (!others.some(({ digest }) => digest === record.digest)) {
      await rm(this.#state.blob(record.digest), { force: true });
      await syncDirectory(this.#state.blobs);
    }
    if (record.kitDigest && !others.some(({ kitDigest }) => kitDigest === record.kitDigest)) {
      await this.#kits.remove(record.kitDigest);
    }
    await this.#catalogue.delete(record);
  }

  async #find(tenant: string, name: string): Promise<Image | null> {
    return (await this.#readImage(tenant, name)) ?? (await this.#findShared(name));
  }

  /** A shared image, which may have been added to the cache since. */
  async #findShared(name: string): Promise<Image | null> {
    const known = await this.#readImage(null, name);
    // Set-up's names are plain.
    if (known || /[/:]/.test(name)) return known;
    await this.#exclusively(async () => {
      await this.#makeDirectories();
      await this.#bringIn(name);
    });
    return this.#readImage(null, name);
  }

  /** Null unless both the record and its blob exist. */
  async #readImage(tenant: string | null, name: string): Promise<Image | null> {
    const record = await this.#catalogue.get(tenant, name);
    return record && (await this.#hasBlob(record)) ? toImage(record) : null;
  }

  #hasBlob({ digest }: ImageRecord): Promise<boolean> {
    return exists(this.#state.blob(digest));
  }

  async #bringIn(name: string, signal?: AbortSignal): Promise<void> {
    const dir = this.#cache.image(name);
    const offered = await readRecord(join(dir, 'image.json'), imageRecord);
    if (!offered) return;
    if (offered.name !== name) throw new AppError('internal', `${dir} holds the image ${offered.name}`);
    const known = await this.#catalogue.get(null, name).catch(() => null);
    // An image that the operator imported under this name stays.
    if (known && (await this.#hasBlob(known)) && (!known.isBuiltIn || known.digest === offered.digest))
      return;
    const blob = this.#state.blob(offered.digest);
    if (!(await exists(blob))) {
      const staging = join(this.#state.blobs, `${stagingPrefix}${shortId()}`);
      await importFile(join(dir, 'root.ext4'), staging, offered.digest, signal);
      await rename(staging, blob);
      await syncDirectory(this.#state.blobs);
    }
    await this.#catalogue.put({ ...offered, tenant: null, isBuiltIn: true, kitDigest: null });
    // A creation may have just resolved the name to it; collection spares young blobs.
    if (known) await touch(this.#state.blob(known.digest));
  }

  async #makeDirectories(): Promise<void> {
    const { images, blobs, imageNames, boot, tenantImages } = this.#state;
    for (const dir of [images, imageNames, boot]) await makeDirectory(dir, 0o755);
    // VMMs can open the one they were given; nobody can list those of other tenants.
    await makeDirectory(blobs, 0o711);
    await makeDirectory(tenantImages, 0o700);
  }

  /** Leftovers of imports that are not running. */
  async #leftovers(): Promise<readonly string[]> {
    const found: string[] = [];
    const dirs = [this.#state.images, this.#state.blobs, this.#state.boot];
    for (const dir of [...dirs, ...(await this.#catalogue.directories())]) {
      const names = (await readdir(dir)).filter((name) => /^\.(import|tmp)-/.test(name));
      found.push(...names.map((name) => join(dir, name)).filter((path) => !this.#staging.has(path)));
    }
    return found;
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work).catch((error: unknown) => {
      throw explained(error);
    });
    this.#last = result.catch(() => undefined);
    return result;
  }
}

/** The result of an import; null before there is one. */
async function readResult(
  staging: Staging,
  { name, tenant, memoryMibMin }: ImageImport,
): Promise<ImageRecord | null> {
  const made = await readMade(staging);
  if (!made) return null;
  const { rootMib, digest, createdAt, kitDigest } = made;
  const kernelRelease = (await readKit(staging.kit))?.kernelRelease ?? null;
  return {
    name,
    tenant,
    memoryMibMin,
    isBuiltIn: false,
    rootMib,
    digest,
    createdAt,
    kitDigest,
    kernelRelease,
  };
}

function toImage(record: ImageRecord): Image {
  const { kitDigest, ...image } = record;
  return { ...image, kernel: kitDigest === null ? 'host' : 'image' };
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}
