/** Images: the root file systems that machines start from. */
import { type AnswerOf, call, checkAnswer, type QueryOf, requestOf } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import { operationTable } from './generated/operations.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { Image, ImageList, ImportImage } from './types.ts';
import { type UploadOptions, type UploadSource, upload } from './upload.ts';

export interface ImageUploadOptions extends UploadOptions, QueryOf<'uploadImage'> {}

export class Images {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Returns one page, ordered by name; `total` is the number of all images. */
  list(query: QueryOf<'listImages'> = {}, options?: CallOptions): Promise<ImageList> {
    return call(this.#transport, 'listImages', { query }, deadlinesMs.read, options);
  }

  get(name: string, options?: CallOptions): Promise<Image> {
    return call(this.#transport, 'getImage', { path: { name } }, deadlinesMs.read, options);
  }

  /** Imports a file or directory of the daemon's host; resolves when the image is ready. */
  import(image: ImportImage, options?: CallOptions): Promise<Image> {
    return call(this.#transport, 'importImage', { body: image }, deadlinesMs.import, options);
  }

  /**
   * Imports a tar archive; resolves when the image is ready. Never retried, and without a total deadline: see
   * `upload.ts`.
   */
  async upload(name: string, archive: UploadSource, options: ImageUploadOptions = {}): Promise<Image> {
    const { signal, idleMs, ...query } = options;
    const request = requestOf('uploadImage', { path: { name }, query });
    const mediaType = operationTable.uploadImage.takes;
    const answer = await upload(this.#transport, request, archive, mediaType, { signal, idleMs });
    return checkAnswer('uploadImage', request, answer) as AnswerOf<'uploadImage'>;
  }

  /** Refused while a machine uses the image. */
  delete(name: string, options?: CallOptions): Promise<void> {
    return call(this.#transport, 'deleteImage', { path: { name } }, deadlinesMs.delete, options);
  }
}
