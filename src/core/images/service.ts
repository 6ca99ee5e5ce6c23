/**
 * The use cases of images: what a caller can see, import and delete. A tenant sees the shared images and its own; only
 * the operator names files of this host or touches what is shared.
 */
import { deadline } from '../../lib/abort.ts';
import { shortId } from '../../lib/ids.ts';
import { AppError } from '../errors.ts';
import type { Caller } from '../keys/caller.ts';
import type { Garbage, Image, ImageImport, ImageLibrary, ImageSource } from '../ports/images.ts';
import type { MachineRecords } from '../ports/records.ts';
import type { Store } from '../ports/store.ts';
import type { ImageHolds } from './holds.ts';
import { ImportTurns, type TurnTimeouts } from './turns.ts';
import { findImageUsers } from './users.ts';

export interface ImageServiceDeps {
  readonly images: ImageLibrary;
  readonly store: Store;
  readonly records: Pick<MachineRecords, 'list'>;
  /** The host whose machines use the images. */
  readonly hostId: string;
  /** The same that machines are created with. */
  readonly holds: ImageHolds;
  /** For tests; see `importTimeoutMsDefault`. */
  readonly importTimeoutMs?: number;
  /** For tests. */
  readonly turnTimeouts?: TurnTimeouts;
}

export interface ImageRequest extends Omit<ImageImport, 'tenant' | 'source'> {
  readonly source: RequestSource;
  /** For everyone, and not for the caller's tenant alone. */
  readonly isShared: boolean;
}

/** What a caller can import: a path of this host, or what it sends. */
export type RequestSource =
  | Exclude<ImageSource, { kind: 'upload' }>
  | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Uint8Array> };

export interface ImagePage {
  readonly images: readonly Image[];
  /** How many there are, on all pages. */
  readonly total: number;
}

/** For a look into the catalogue. */
const lookTimeoutMs = 15_000;
/** From the host's turn to the end: 64 GiB at some 60 MiB a second. */
export const importTimeoutMsDefault = 20 * 60_000;
/** Of one tenant, and shared ones that were imported. */
export const importedImagesMax = 200;

export class ImageService {
  readonly #deps: ImageServiceDeps;
  readonly #turns: ImportTurns;
  readonly #closing = new AbortController();
  readonly #underway = new Set<Promise<unknown>>();

  constructor(deps: ImageServiceDeps) {
    this.#deps = deps;
    this.#turns = new ImportTurns(deps.turnTimeouts);
  }

  /** A page of what the caller can name, by name. */
  async list(caller: Caller, page: { readonly limit: number; readonly offset: number }): Promise<ImagePage> {
    const images = await this.#deps.images.list(caller.tenant);
    return { images: images.slice(page.offset, page.offset + page.limit), total: images.length };
  }

  /** Raises `not_found`. */
  get(caller: Caller, name: string): Promise<Image> {
    return this.#deps.images.resolve(caller.tenant, name, AbortSignal.timeout(lookTimeoutMs));
  }

  /**
   * Raises beside what the library raises: `forbidden` when a caller other than the operator names a path or wants to
   * share, `exhausted` when too many imports wait, its turn does not come or there are too many images, `timeout`.
   */
  async add(caller: Caller, request: ImageRequest, signal: AbortSignal): Promise<Image> {
    checkImporter(caller, request);
    const work = this.#add(caller, request, AbortSignal.any([signal, this.#closing.signal]));
    this.#underway.add(work);
    try {
      return await work;
    } finally {
      this.#underway.delete(work);
    }
  }

  /** Ends imports under way and resolves when nothing of them is left. */
  async close(): Promise<void> {
    this.#closing.abort(new AppError('unavailable', 'the daemon is shutting down'));
    await Promise.allSettled(this.#underway);
  }

  /** Raises `not_found`, `forbidden` (a shared one), `conflict` (built in, or machines use it). */
  async delete(caller: Caller, name: string): Promise<void> {
    const { images, store, records, holds, hostId } = this.#deps;
    const image = await images.resolve(caller.tenant, name, AbortSignal.timeout(lookTimeoutMs));
    checkDeletable(caller, image);
    await holds.remove(image.digest, async () => {
      const { digests, unreadable } = await findImageUsers(store, records, hostId);
      const count = digests.filter((digest) => digest === image.digest).length;
      if (unreadable.length > 0) {
        throw new AppError(
          'conflict',
          `image '${image.name}' may be used by a machine whose record cannot be read`,
          {
            hint: 'Ask the operator: ./flotilla doctor names the machine.',
          },
        );
      }
      if (count > 0) {
        throw new AppError(
          'conflict',
          `image '${image.name}' is used by ${count === 1 ? '1 machine' : `${count} machines`}`,
          { hint: 'Delete the machines first.', details: { machineCount: count } },
        );
      }
      await images.remove(image);
    });
  }

  /** Removes from this host what no image and no machine needs any more, and answers what that was. */
  async collect(): Promise<readonly Garbage[]> {
    const { images, store, records, holds, hostId } = this.#deps;
    // Held before recorded: a creation lets go only after its machine is recorded.
    const held = holds.held();
    const { digests, unreadable } = await findImageUsers(store, records, hostId);
    if (unreadable.length > 0) return [];
    return images.collect(new Set([...held, ...digests]));
  }

  async #add(caller: Caller, request: ImageRequest, signal: AbortSignal): Promise<Image> {
    const { isShared, source, ...rest } = request;
    const tenant = isShared ? null : caller.tenant;
    const id = shortId();
    return this.#turns.ofTenant(caller.tenant, signal, async () => {
      const { images } = this.#deps;
      await images.requireFree(tenant, request.name);
      await this.#checkCount(tenant);
      try {
        if (source.kind === 'stream') await images.receive(id, source.chunks, signal);
        const kept: ImageSource = source.kind === 'stream' ? { kind: 'upload' } : source;
        return await this.#turns.ofHost(signal, () =>
          this.#make(id, { ...rest, tenant, source: kept }, signal),
        );
      } finally {
        await images.discard(id);
      }
    });
  }

  async #make(id: string, request: ImageImport, signal: AbortSignal): Promise<Image> {
    const timeoutMs = this.#deps.importTimeoutMs ?? importTimeoutMsDefault;
    const reason = () => new AppError('timeout', `the import did not end within ${timeoutMs / 1000} s`);
    const limit = deadline(timeoutMs, reason, signal);
    try {
      await this.#deps.images.build(id, request, limit.signal);
      return await this.#deps.images.publish(id, request);
    } finally {
      limit.clear();
    }
  }

  async #checkCount(tenant: string | null): Promise<void> {
    if ((await this.#deps.images.countImported(tenant)) < importedImagesMax) return;
    throw new AppError('exhausted', `there are ${importedImagesMax} imported images already`, {
      hint: 'Delete images that are no longer used.',
    });
  }
}

function checkImporter(caller: Caller, { source, isShared }: ImageRequest): void {
  if (caller.isOperator) return;
  if (source.kind !== 'stream') {
    throw new AppError('forbidden', 'only the operator imports files of this host', {
      hint: 'Upload the root file system as a tar archive: PUT /api/v1/images/{name}.',
    });
  }
  if (isShared) {
    throw new AppError('forbidden', 'only the operator imports images for everyone', {
      hint: 'Leave out `shared`.',
    });
  }
}

function checkDeletable(caller: Caller, image: Image): void {
  if (image.isBuiltIn) {
    throw new AppError('conflict', `image '${image.name}' is built in`, {
      hint: 'Set-up would make it again; images that were imported can be deleted.',
    });
  }
  if (image.tenant === null && !caller.isOperator) {
    throw new AppError('forbidden', `image '${image.name}' is shared`, {
      hint: 'Only the operator deletes what everyone may use.',
    });
  }
}
