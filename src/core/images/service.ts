/**
 * The use cases of images: what a caller can see, import and delete. A tenant sees the shared images and its own; only
 * the operator names files of this host or touches what is shared.
 */
import { deadline } from '../../lib/abort.ts';
import { Limiter, QueueFullError } from '../../lib/limiter.ts';
import { AppError } from '../errors.ts';
import type { Caller } from '../keys/caller.ts';
import type { Image, ImageImport, ImageLibrary } from '../ports/images.ts';
import type { Store } from '../ports/store.ts';
import type { ImageHolds } from './holds.ts';

export interface ImageServiceDeps {
  readonly images: ImageLibrary;
  readonly store: Store;
  /** The host whose machines use the images. */
  readonly hostId: string;
  /** The same that machines are created with. */
  readonly holds: ImageHolds;
  /** For tests; see `importTimeoutMsDefault`. */
  readonly importTimeoutMs?: number;
  /** For tests; see `turnTimeoutMsDefault`. */
  readonly turnTimeoutMs?: number;
}

export interface ImageRequest extends Omit<ImageImport, 'tenant'> {
  /** For everyone, and not for the caller's tenant alone. */
  readonly isShared: boolean;
}

export interface ImagePage {
  readonly images: readonly Image[];
  /** How many there are, on all pages. */
  readonly total: number;
}

/** For a look into the catalogue. */
const lookTimeoutMs = 15_000;
/** From an import's turn to its end: 64 GiB at some 60 MiB a second. */
export const importTimeoutMsDefault = 20 * 60_000;
/** Imports that may wait for the one under way: each holds a connection open. */
export const importQueueMax = 4;
/** How long an import waits for its turn: a client that goes while its upload waits is not seen to go. */
export const turnTimeoutMsDefault = 30_000;
const turnHint = 'Try again when the imports before it are done.';
/** Of one tenant, and shared ones that were imported. */
export const importedImagesMax = 200;

export class ImageService {
  readonly #deps: ImageServiceDeps;
  /** An import fills the disk's bandwidth by itself. */
  readonly #turns = new Limiter(1, importQueueMax);
  readonly #closing = new AbortController();
  readonly #underway = new Set<Promise<unknown>>();
  /** Of tenants that import now. */
  readonly #perTenant = new Map<string, { readonly turns: Limiter; users: number }>();

  constructor(deps: ImageServiceDeps) {
    this.#deps = deps;
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
    const { images, store, holds, hostId } = this.#deps;
    const image = await images.resolve(caller.tenant, name, AbortSignal.timeout(lookTimeoutMs));
    checkDeletable(caller, image);
    await holds.remove(image.digest, async () => {
      const machines = await store.machines.all(hostId);
      const count = machines.filter(({ imageDigest }) => imageDigest === image.digest).length;
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

  async #add(caller: Caller, request: ImageRequest, signal: AbortSignal): Promise<Image> {
    const { isShared, ...rest } = request;
    const tenant = isShared ? null : caller.tenant;
    const release = await this.#turn(caller.tenant, signal);
    const timeoutMs = this.#deps.importTimeoutMs ?? importTimeoutMsDefault;
    const limit = deadline(
      timeoutMs,
      () => new AppError('timeout', `the import did not end within ${timeoutMs / 1000} s`),
      signal,
    );
    try {
      await this.#checkCount(tenant);
      return await this.#deps.images.add({ ...rest, tenant }, limit.signal);
    } finally {
      limit.clear();
      release();
    }
  }

  /**
   * Waits for the tenant's turn, then for the host's, and answers how both are given up. A tenant's second import comes
   * after what others wait with meanwhile.
   */
  async #turn(tenant: string, signal: AbortSignal): Promise<() => void> {
    const timeoutMs = this.#deps.turnTimeoutMs ?? turnTimeoutMsDefault;
    const message = `the import’s turn did not come within ${timeoutMs / 1000} s`;
    const limit = deadline(timeoutMs, () => new AppError('exhausted', message, { hint: turnHint }), signal);
    const own = this.#tenantTurns(tenant);
    try {
      const tenantFull = 'your tenant has an import under way and one that waits already';
      const leaveTenant = await acquire(own.turns, limit.signal, tenantFull);
      try {
        const hostFull = `${importQueueMax} imports wait already`;
        const leaveHost = await acquire(this.#turns, limit.signal, hostFull);
        return () => {
          leaveHost();
          leaveTenant();
          own.leave();
        };
      } catch (error) {
        leaveTenant();
        throw error;
      }
    } catch (error) {
      own.leave();
      throw error;
    } finally {
      limit.clear();
    }
  }

  /** One goes on and one waits; kept while somebody uses it. */
  #tenantTurns(tenant: string): { readonly turns: Limiter; readonly leave: () => void } {
    const entry = this.#perTenant.get(tenant) ?? { turns: new Limiter(1, 1), users: 0 };
    this.#perTenant.set(tenant, entry);
    entry.users += 1;
    const leave = () => {
      entry.users -= 1;
      if (entry.users === 0) this.#perTenant.delete(tenant);
    };
    return { turns: entry.turns, leave };
  }

  async #checkCount(tenant: string | null): Promise<void> {
    if ((await this.#deps.images.countImported(tenant)) < importedImagesMax) return;
    throw new AppError('exhausted', `there are ${importedImagesMax} imported images already`, {
      hint: 'Delete images that are no longer used.',
    });
  }
}

async function acquire(turns: Limiter, signal: AbortSignal, fullMessage: string): Promise<() => void> {
  try {
    return await turns.acquire(signal);
  } catch (error) {
    if (!(error instanceof QueueFullError)) throw error;
    throw new AppError('exhausted', fullMessage, { cause: error, hint: turnHint });
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
