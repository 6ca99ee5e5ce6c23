/**
 * The use cases of images: list, import and delete. A tenant sees the shared images and its own. Only the
 * operator may name files of this host or change shared images.
 */
import { shortId } from '../../lib/ids.ts';
import { invariant } from '../../lib/invariant.ts';
import type { Logger } from '../../lib/log.ts';
import { AppError } from '../errors.ts';
import type { Caller } from '../keys/caller.ts';
import type { Operation, OperationKind } from '../operations/operation.ts';
import type { OperationRunner } from '../operations/runner.ts';
import type { Garbage, Image, ImageImport, ImageLibrary, ImageSource } from '../ports/images.ts';
import type { MachineRecords } from '../ports/records.ts';
import type { Store } from '../ports/store.ts';
import type { ImageOperations, Importing } from './operations.ts';
import type { ImageResolver } from './resolver.ts';
import { checkUnused, imageSubject, requireUnused } from './subject.ts';
import type { ImportTurns } from './turns.ts';
import { findImageUsers } from './users.ts';

export interface ImageServiceDeps {
  readonly images: ImageLibrary;
  readonly resolver: ImageResolver;
  readonly store: Store;
  readonly records: Pick<MachineRecords, 'list'>;
  /** The host whose machines use the images. */
  readonly hostId: string;
  readonly runner: OperationRunner;
  readonly operations: ImageOperations;
  readonly turns: ImportTurns;
  readonly log: Logger;
}

export interface ImageRequest extends Omit<ImageImport, 'tenant' | 'source'> {
  readonly source: RequestSource;
  /** Whether the image is for all tenants. */
  readonly isShared: boolean;
}

/** The source of an import: a path on this host, or an upload. */
export type RequestSource =
  | Exclude<ImageSource, { kind: 'upload' }>
  | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Uint8Array> };

export interface ImagePage {
  readonly images: readonly Image[];
  /** Number of images on all pages. */
  readonly total: number;
}

/** Limit for reading the catalogue. */
const lookTimeoutMs = 15_000;
/** From the beginning of the import's turn to its end: 64 GiB at about 60 MiB/s. */
export const importTimeoutMsDefault = 20 * 60_000;
/** Limit of imported images per tenant, and of shared ones. */
export const importedImagesMax = 200;

export class ImageService {
  readonly #deps: ImageServiceDeps;

  constructor(deps: ImageServiceDeps) {
    this.#deps = deps;
  }

  /** One page of the images that the caller can use, ordered by name. */
  async list(caller: Caller, page: { readonly limit: number; readonly offset: number }): Promise<ImagePage> {
    const images = await this.#deps.images.list(caller.tenant);
    return { images: images.slice(page.offset, page.offset + page.limit), total: images.length };
  }

  /** By name, in any spelling; follows no alias. Raises `not_found`. */
  get(caller: Caller, reference: string): Promise<Image> {
    return this.#deps.resolver.spelled(caller.tenant, reference, AbortSignal.timeout(lookTimeoutMs));
  }

  /**
   * Imports an image. Raises the library's errors, `forbidden` when a caller other than the operator names a
   * path or shares the image, `exhausted` when too many imports wait, the turn does not come in time or there
   * are too many images, and `timeout`.
   */
  async add(caller: Caller, request: ImageRequest, signal: AbortSignal): Promise<Image> {
    checkImporter(caller, request);
    return this.#deps.turns.ofTenant(caller.tenant, signal, () => this.#carryOut(caller, request, signal));
  }

  /** By its exact name. Raises `not_found`, `forbidden` (a shared image), `conflict` (built in, or in use by machines or snapshots). */
  async delete(caller: Caller, name: string): Promise<void> {
    const { resolver, hostId, runner, operations } = this.#deps;
    const image = await resolver.exact(caller.tenant, name, AbortSignal.timeout(lookTimeoutMs));
    checkDeletable(caller, image);
    await this.#requireUnknownToRecords(image);
    const { operation } = await runner.begin(async (tx) => {
      await requireUnused(tx, hostId, image);
      const underWay = await tx.operations.openOn(imageSubject(hostId, image));
      if (underWay?.kind === 'image.delete') return { operation: underWay };
      const begun = this.#newOperation('image.delete', caller, image, { image });
      await tx.operations.insert(begun);
      return { operation: begun };
    });
    await runner.run(operation, operations.deleting);
  }

  /** Removes the image data that no image, machine or snapshot needs, and returns what was removed. */
  async collect(): Promise<readonly Garbage[]> {
    const { images, store, records, hostId } = this.#deps;
    const { digests, unreadable } = await findImageUsers(store, records, hostId);
    if (unreadable.length > 0) return [];
    return images.collect(new Set([...digests, ...(await store.snapshots.imageDigests(hostId))]));
  }

  /** Checks machines that only the records beside the disks know: the database does not count them. */
  async #requireUnknownToRecords(image: Image): Promise<void> {
    const { store, records, hostId } = this.#deps;
    const { digests, unreadable } = await findImageUsers(store, records, hostId);
    if (unreadable.length > 0) {
      throw new AppError(
        'conflict',
        `image '${image.name}' may be used by a machine whose record cannot be read`,
        { hint: 'Ask the operator: ./flotilla doctor names the machine.' },
      );
    }
    checkUnused(image, {
      machineCount: digests.filter((digest) => digest === image.digest).length,
      snapshotCount: await store.snapshots.countOnImage(hostId, image.digest),
    });
  }

  async #carryOut(caller: Caller, request: ImageRequest, signal: AbortSignal): Promise<Image> {
    const { images, runner, operations } = this.#deps;
    const { isShared, source, ...rest } = request;
    const tenant = isShared ? null : caller.tenant;
    await images.requireFree(tenant, request.name);
    await this.#checkCount(tenant);
    const kept: ImageImport = {
      ...rest,
      tenant,
      source: source.kind === 'stream' ? { kind: 'upload' } : source,
    };
    const operation = this.#newOperation('image.import', caller, kept, { request: kept });
    await runner.begin(async (tx) => {
      await tx.operations.insert(operation);
      return { operation };
    });
    const chunks = source.kind === 'stream' ? source.chunks : null;
    const { image } = await operations.withUpload(operation.id, chunks, () => this.#run(operation, signal));
    invariant(image !== null, `import ${operation.id} succeeded without an image`);
    return image;
  }

  /** Runs an import for a caller; if the caller disconnects, the import is cancelled. */
  async #run(operation: Operation, signal: AbortSignal): Promise<Importing> {
    const { runner, operations, log } = this.#deps;
    const cancel = () =>
      void runner.cancel(operation.id).catch((error: unknown) => {
        log.warn({ operation: operation.id, err: error }, 'import not cancelled');
      });
    const ended = runner.run(operation, operations.importing);
    if (signal.aborted) cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      return await ended;
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  #newOperation(
    kind: OperationKind,
    { tenant }: Caller,
    image: Pick<Image, 'tenant' | 'name'>,
    params: Readonly<Record<string, unknown>>,
  ): Operation {
    return this.#deps.runner.newOperation({
      id: shortId(),
      tenant,
      kind,
      subjects: [imageSubject(this.#deps.hostId, image)],
      params,
    });
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
      hint: 'Leave it: set-up would make it again. Imported images can be deleted.',
    });
  }
  if (image.tenant === null && !caller.isOperator) {
    throw new AppError('forbidden', `image '${image.name}' is shared`, {
      hint: 'Ask the operator of this host to delete it, because everyone may use it.',
    });
  }
}
