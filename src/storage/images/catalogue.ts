/**
 * The records of images in the state directory, one file each; read once, because nobody else changes them.
 */
import { chmod, mkdir, readdir, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import { syncDirectory, writeFileAtomic } from '../../lib/files.ts';
import { imageNameOf, type StateLayout } from '../layout.ts';
import { type ImageRecord, imageRecord, readRecord } from './records.ts';

const suffix = '.json';

type Entry = { readonly record: ImageRecord } | { readonly error: unknown };

export class ImageCatalogue {
  readonly #state: StateLayout;
  /** By the record's path. */
  #entries: Promise<Map<string, Entry>> | null = null;
  /** The same by content (the first of several); null before they are read. */
  #byDigest: ReadonlyMap<string, ImageRecord> | null = null;

  constructor(state: StateLayout) {
    this.#state = state;
  }

  /** Raises `internal` when the record is damaged. */
  async get(tenant: string | null, name: string): Promise<ImageRecord | null> {
    const entry = (await this.#load()).get(this.#state.imageName(name, tenant));
    if (entry && 'error' in entry) throw entry.error;
    return entry?.record ?? null;
  }

  /** All readable records. */
  async all(): Promise<readonly ImageRecord[]> {
    return wholeOf(await this.#load());
  }

  /** The record of this content, of any tenant. */
  async of(digest: string): Promise<ImageRecord | null> {
    await this.#load();
    return this.known(digest) ?? null;
  }

  /** The result of `of` at once; undefined before the records were read. */
  known(digest: string): ImageRecord | null | undefined {
    return this.#byDigest === null ? undefined : (this.#byDigest.get(digest) ?? null);
  }

  /** Whether any record cannot be read. */
  async isDamaged(): Promise<boolean> {
    return [...(await this.#load()).values()].some((entry) => 'error' in entry);
  }

  /** Replaces the record with the same name and tenant. */
  async put(record: ImageRecord): Promise<void> {
    const entries = await this.#load();
    const path = this.#state.imageName(record.name, record.tenant);
    if (record.tenant !== null) {
      await mkdir(this.#state.imageNamesOf(record.tenant), { recursive: true, mode: 0o700 });
      await syncDirectory(this.#state.tenantImages);
    }
    await writeFileAtomic(path, `${JSON.stringify(record)}\n`, 0o644);
    entries.set(path, { record });
    this.#byDigest = byDigest(entries);
  }

  async delete({ tenant, name }: Pick<ImageRecord, 'tenant' | 'name'>): Promise<void> {
    const entries = await this.#load();
    const path = this.#state.imageName(name, tenant);
    await rm(path, { force: true });
    await syncDirectory(dirname(path));
    entries.delete(path);
    this.#byDigest = byDigest(entries);
    // Not removed while the tenant has other images.
    if (tenant !== null) await rmdir(this.#state.imageNamesOf(tenant)).catch(() => undefined);
  }

  /** The directories of records, for removing leftovers of a crash. */
  async directories(): Promise<readonly string[]> {
    const entries = await readdir(this.#state.tenantImages, { withFileTypes: true }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return [];
        throw error;
      },
    );
    const tenants = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    return [this.#state.imageNames, ...tenants.map((tenant) => join(this.#state.tenantImages, tenant))];
  }

  #load(): Promise<Map<string, Entry>> {
    this.#entries ??= this.#read().catch((error: unknown) => {
      this.#entries = null;
      throw error;
    });
    return this.#entries;
  }

  async #read(): Promise<Map<string, Entry>> {
    const entries = new Map<string, Entry>();
    for (const dir of await this.directories()) {
      const tenant = dir === this.#state.imageNames ? null : basename(dir);
      for (const file of (await namesIn(dir)).filter((name) => name.endsWith(suffix))) {
        const path = join(dir, file);
        entries.set(path, await readEntry(path, imageNameOf(basename(file, suffix)), tenant));
      }
    }
    this.#byDigest = byDigest(entries);
    return entries;
  }
}

function wholeOf(entries: ReadonlyMap<string, Entry>): readonly ImageRecord[] {
  return [...entries.values()].flatMap((entry) => ('record' in entry ? [entry.record] : []));
}

function byDigest(entries: ReadonlyMap<string, Entry>): ReadonlyMap<string, ImageRecord> {
  return new Map(
    wholeOf(entries)
      .map((record) => [record.digest, record] as const)
      .reverse(),
  );
}

async function readEntry(path: string, name: string | null, tenant: string | null): Promise<Entry> {
  try {
    const record = await readRecord(path, imageRecord);
    if (record?.name === name && record.tenant === tenant) return { record };
    return { error: new AppError('internal', `${path} is the record of another image`) };
  } catch (error) {
    return { error };
  }
}

/** Sorted names in a directory without hidden ones; empty when it does not exist. */
export async function namesIn(dir: string): Promise<readonly string[]> {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => !name.startsWith('.')).sort();
}

/** Makes a directory with this mode whatever the umask; also sets it on an existing one. */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  await mkdir(path, { recursive: true, mode });
  await chmod(path, mode);
}
