/**
 * The boot kits in the state directory, by digest: the host's, which set-up made, and those of images with
 * their own kernel. A running machine's kit stays, whatever set-up makes later.
 */
import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import type { BootKit } from '../../core/ports/images.ts';
import { syncDirectory, writeFileAtomic } from '../../lib/files.ts';
import { shortId } from '../../lib/ids.ts';
import type { CacheLayout, StateLayout } from '../layout.ts';
import { makeDirectory } from './catalogue.ts';
import { garbageAgeMsMin } from './garbage.ts';
import { importFile } from './importing.ts';
import { type BootKitRecord, bootKitRecord, currentBootKit, readRecord } from './records.ts';
import { stagingPrefix } from './staging.ts';

export class BootKits {
  readonly #state: StateLayout;
  readonly #cache: CacheLayout;
  /** Read once each: a kit never changes. */
  readonly #known = new Map<string, BootKit>();
  #current: BootKit | null = null;

  constructor(layouts: { readonly state: StateLayout; readonly cache: CacheLayout }) {
    this.#state = layouts.state;
    this.#cache = layouts.cache;
  }

  /** The host's kit; null when none has been imported. */
  async current(): Promise<BootKit | null> {
    if (this.#current) return this.#current;
    const pointer = await readRecord(this.#state.currentBootKit, currentBootKit);
    this.#current = pointer && (await this.#read(pointer.digest));
    return this.#current;
  }

  /** The result of `current`, if it was called. */
  get knownCurrent(): BootKit | null {
    return this.#current;
  }

  /** The result of `get`, if it was called. */
  known(digest: string): BootKit | null {
    return this.#known.get(digest) ?? null;
  }

  /** Raises `unavailable` when it does not exist. */
  async get(digest: string): Promise<BootKit> {
    const kit = this.#known.get(digest) ?? (await this.#read(digest));
    if (!kit) {
      throw new AppError(
        'unavailable',
        `the kernel of this image is missing: ${this.#state.bootKit(digest)}`,
        {
          hint: 'Restore it from a backup, or import the image again under another name.',
        },
      );
    }
    this.#known.set(digest, kit);
    return kit;
  }

  /** The host's kit, and the previous one for as long as a start may use it. */
  async currentDigests(now: number): Promise<readonly string[]> {
    const pointer = await readRecord(this.#state.currentBootKit, currentBootKit);
    if (!pointer) return [];
    const { mtimeMs } = await stat(this.#state.currentBootKit);
    const isRecent = now - mtimeMs < garbageAgeMsMin;
    return [pointer.digest, ...(isRecent && pointer.before ? [pointer.before] : [])];
  }

  /** Imports the kit that set-up has made since. Calls must not overlap. */
  async bringIn(): Promise<void> {
    const offered = await readRecord(join(this.#cache.bootKit, 'kit.json'), bootKitRecord);
    if (!offered) return;
    const current = await readRecord(this.#state.currentBootKit, currentBootKit);
    const isThere = await this.#has(offered.digest);
    if (isThere && current?.digest === offered.digest) return;
    if (!isThere) await this.#copy(this.#cache.bootKit, offered);
    const pointer = `${JSON.stringify({ digest: offered.digest, before: current?.digest ?? null })}\n`;
    await writeFileAtomic(this.#state.currentBootKit, pointer, 0o644);
    this.#current = null;
  }

  /** Adds a kit made in `dir`. Calls must not overlap. */
  async add(dir: string, record: BootKitRecord): Promise<void> {
    if (!(await this.#has(record.digest))) await this.#copy(dir, record);
  }

  /** Removes the kit unless it is the host's. */
  async remove(digest: string): Promise<void> {
    const current = await readRecord(this.#state.currentBootKit, currentBootKit);
    if (current?.digest === digest) return;
    this.#known.delete(digest);
    await rm(this.#state.bootKit(digest), { recursive: true, force: true });
  }

  #has(digest: string): Promise<boolean> {
    return stat(join(this.#state.bootKit(digest), 'kit.json')).then(
      () => true,
      () => false,
    );
  }

  async #read(digest: string): Promise<BootKit | null> {
    const dir = this.#state.bootKit(digest);
    const record = await readRecord(join(dir, 'kit.json'), bootKitRecord);
    if (!record) return null;
    return {
      kernelPath: join(dir, 'kernel'),
      initrdPath: join(dir, 'initrd'),
      kernelRelease: record.kernelRelease,
      kernelArgs: record.kernelArgs,
      needsAcpi: record.needsAcpi,
    };
  }

  async #copy(source: string, record: BootKitRecord): Promise<void> {
    const staging = join(this.#state.boot, `${stagingPrefix}${shortId()}`);
    try {
      await makeDirectory(staging, 0o755);
      await importFile(join(source, 'kernel'), join(staging, 'kernel'), record.kernelDigest);
      await importFile(join(source, 'initrd'), join(staging, 'initrd'), record.initrdDigest);
      await writeFileAtomic(join(staging, 'kit.json'), `${JSON.stringify(record)}\n`, 0o444);
      await rename(staging, this.#state.bootKit(record.digest));
      await syncDirectory(this.#state.boot);
    } catch (error) {
      await rm(staging, { recursive: true, force: true });
      throw error;
    }
  }
}
