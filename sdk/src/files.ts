/**
 * Files of running machines: contents of any size, directories, whole trees as tar archives, and what changes.
 *
 *   await client.files.write('web', '/srv/hello.txt', 'hello');
 *   for await (const piece of client.files.stream('web', '/var/log/app.log')) process.stdout.write(piece);
 */
import { linkedAbort } from './abort.ts';
import { type AnswerOf, call, checkAnswer, type OperationId, type QueryOf, requestOf } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import { clientErrorCodes, FlotillaError } from './errors.ts';
import { operationTable } from './generated/operations.ts';
import type { RestArguments } from './handle.ts';
import { openStream, type StreamOptions, silenceGuard, silenceMsDefault } from './stream.ts';
import type { Call, CallOptions, Transport } from './transport.ts';
import { badResponse } from './transport.ts';
import type { FileChange, FileEntry, FileList, FileStat } from './types.ts';
import { type UploadOptions, type UploadSource, upload } from './upload.ts';

export interface FileAttributes {
  /** In octal digits, such as `0644`. Default: as before, else the server’s. */
  readonly mode?: string | undefined;
  /** USER or USER:GROUP, by name or number. Default: as before, else root. */
  readonly owner?: string | undefined;
  /** Makes the missing directories above. */
  readonly parents?: boolean | undefined;
}

export interface WriteFileOptions extends FileAttributes, UploadOptions {}
export interface UnpackOptions extends Omit<FileAttributes, 'mode'>, UploadOptions {}

export interface ReadFileOptions extends StreamOptions {
  /** The first byte to read. */
  readonly offset?: number | undefined;
  /** How many bytes to read, at most. Default: to the end. */
  readonly length?: number | undefined;
}

export interface PackOptions extends StreamOptions {
  /** Of the first entry; `.` makes an archive of what is in the directory. */
  readonly name?: string | undefined;
}

export interface WatchOptions extends StreamOptions {
  readonly recursive?: boolean | undefined;
}

/** `read` gives no more; `stream` has no limit. */
const readBytesMax = 64 * 2 ** 20;

export class Files {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Describes a file; of a symbolic link the link itself, unless `follow` is set. */
  stat(
    id: string,
    path: string,
    { follow, ...options }: CallOptions & { readonly follow?: boolean | undefined } = {},
  ): Promise<FileStat> {
    return call(
      this.#transport,
      'statFile',
      { path: { id }, query: { path, follow } },
      deadlinesMs.read,
      options,
    );
  }

  /**
   * Yields a file’s bytes. Throws a FlotillaError when the file changes meanwhile, so what arrives whole is of one
   * moment. Leaving the loop early ends the transfer.
   */
  stream(id: string, path: string, options: ReadFileOptions = {}): AsyncGenerator<Uint8Array, void> {
    const { offset = 0, length, ...rest } = options;
    const request = requestOf('downloadFile', { path: { id }, query: { path } });
    const isPart = offset > 0 || length !== undefined;
    const range = `bytes=${offset}-${length === undefined ? '' : offset + length - 1}`;
    return this.#pieces('downloadFile', isPart ? { ...request, headers: { range } } : request, rest);
  }

  /** A file’s bytes, at most 64 MiB. */
  async read(id: string, path: string, options?: ReadFileOptions): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of this.stream(id, path, options)) {
      bytes += piece.length;
      if (bytes > readBytesMax) throw badResponse(`${path} has more than ${readBytesMax} bytes: use stream`);
      pieces.push(piece);
    }
    const whole = new Uint8Array(bytes);
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  /** A file’s content as text. */
  async readText(id: string, path: string, options?: ReadFileOptions): Promise<string> {
    return new TextDecoder().decode(await this.read(id, path, options));
  }

  /**
   * Writes a file. Nobody in the guest sees a part of it, and a call that fails changes nothing. Text is sent as UTF-8.
   * Never retried, and without a total deadline: see `upload.ts`.
   */
  async write(
    id: string,
    path: string,
    content: string | Uint8Array | UploadSource,
    options: WriteFileOptions = {},
  ): Promise<FileEntry> {
    const { signal, idleMs, ...query } = options;
    const request = requestOf('uploadFile', { path: { id }, query: { path, ...query } });
    return this.#upload('uploadFile', request, sourceOf(content), { signal, idleMs });
  }

  /** One page of a directory, by name; `next` of a page is `after` of the one that follows. */
  list(
    id: string,
    path: string,
    query: Omit<QueryOf<'listFiles'>, 'path'> = {},
    options?: CallOptions,
  ): Promise<FileList> {
    return call(
      this.#transport,
      'listFiles',
      { path: { id }, query: { path, ...query } },
      deadlinesMs.read,
      options,
    );
  }

  mkdir(
    id: string,
    path: string,
    attributes: FileAttributes = {},
    options?: CallOptions,
  ): Promise<FileEntry> {
    const body = { path, ...attributes };
    return call(
      this.#transport,
      'makeDirectory',
      { path: { id }, body } as never,
      deadlinesMs.write,
      options,
    );
  }

  /** Renames a file or directory. Unless `overwrite` is set, nothing may be at the new path. */
  move(
    id: string,
    from: string,
    to: string,
    { overwrite = false, ...options }: CallOptions & { readonly overwrite?: boolean | undefined } = {},
  ): Promise<FileEntry> {
    const body = { from, to, overwrite };
    return call(this.#transport, 'moveFile', { path: { id }, body }, deadlinesMs.write, options);
  }

  /** Deletes a file, a link or an empty directory; with `recursive` a directory and everything in it. */
  delete(
    id: string,
    path: string,
    { recursive, ...options }: CallOptions & { readonly recursive?: boolean | undefined } = {},
  ): Promise<void> {
    const query = { path, recursive };
    return call(this.#transport, 'deleteFile', { path: { id }, query }, deadlinesMs.delete, options);
  }

  /** Yields a tar archive of a file or tree, whose first entry is named like the path’s last part, or as `name` says. */
  pack(id: string, path: string, { name, ...options }: PackOptions = {}): AsyncGenerator<Uint8Array, void> {
    const request = requestOf('downloadArchive', { path: { id }, query: { path, name } });
    return this.#pieces('downloadArchive', request, options);
  }

  /** Unpacks a tar archive into a directory; resolves with the number of its files, links and directories. */
  async unpack(
    id: string,
    path: string,
    archive: Uint8Array | UploadSource,
    options: UnpackOptions = {},
  ): Promise<number> {
    const { signal, idleMs, ...query } = options;
    const request = requestOf('uploadArchive', { path: { id }, query: { path, ...query } });
    const { count } = await this.#upload('uploadArchive', request, sourceOf(archive), { signal, idleMs });
    return count;
  }

  /** Yields what changes, until the path is gone. After `overflow`, look again: changes were lost. */
  async *watch(id: string, path: string, options: WatchOptions = {}): AsyncGenerator<FileChange, void> {
    const { recursive, ...rest } = options;
    const request = requestOf('watchFiles', { path: { id }, query: { path, recursive } });
    const decoder = new TextDecoder();
    let text = '';
    for await (const piece of this.#pieces('watchFiles', request, rest)) {
      text += decoder.decode(piece, { stream: true });
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) {
        const data = event.split('\n').find((line) => line.startsWith('data: '));
        if (data !== undefined) yield JSON.parse(data.slice(6)) as FileChange;
      }
    }
  }

  async #upload<Id extends OperationId>(
    id: Id,
    request: Call,
    source: UploadSource,
    options: UploadOptions,
  ): Promise<AnswerOf<Id>> {
    const answer = await upload(this.#transport, request, source, operationTable[id].takes ?? '', options);
    return checkAnswer(id, request, answer) as AnswerOf<Id>;
  }

  async *#pieces(
    id: 'downloadFile' | 'downloadArchive' | 'watchFiles',
    request: Call,
    options: StreamOptions,
  ): AsyncGenerator<Uint8Array, void> {
    const connection = linkedAbort(options.signal);
    try {
      const body = await openStream(this.#transport, request, operationTable[id].stream, options, connection);
      const read = silenceGuard(body.getReader(), connection, options.silenceMs ?? silenceMsDefault);
      try {
        for (let piece = await read(); piece !== null; piece = await read()) yield piece;
      } catch (error) {
        options.signal?.throwIfAborted();
        throw connection.signal.aborted
          ? silent(connection.signal.reason)
          : this.#transport.unreachable(error);
      }
    } finally {
      connection.release();
      connection.abort(new Error('the reader left the stream'));
    }
  }
}

/** The files of one machine. */
export class MachineFiles {
  readonly #files: Files;
  readonly #id: string;

  constructor(files: Files, id: string) {
    this.#files = files;
    this.#id = id;
  }

  stat = (...args: RestArguments<Files['stat']>) => this.#files.stat(this.#id, ...args);
  stream = (...args: RestArguments<Files['stream']>) => this.#files.stream(this.#id, ...args);
  read = (...args: RestArguments<Files['read']>) => this.#files.read(this.#id, ...args);
  readText = (...args: RestArguments<Files['readText']>) => this.#files.readText(this.#id, ...args);
  write = (...args: RestArguments<Files['write']>) => this.#files.write(this.#id, ...args);
  list = (...args: RestArguments<Files['list']>) => this.#files.list(this.#id, ...args);
  mkdir = (...args: RestArguments<Files['mkdir']>) => this.#files.mkdir(this.#id, ...args);
  move = (...args: RestArguments<Files['move']>) => this.#files.move(this.#id, ...args);
  delete = (...args: RestArguments<Files['delete']>) => this.#files.delete(this.#id, ...args);
  pack = (...args: RestArguments<Files['pack']>) => this.#files.pack(this.#id, ...args);
  unpack = (...args: RestArguments<Files['unpack']>) => this.#files.unpack(this.#id, ...args);
  watch = (...args: RestArguments<Files['watch']>) => this.#files.watch(this.#id, ...args);
}

function sourceOf(content: string | Uint8Array | UploadSource): UploadSource {
  return typeof content === 'string' || content instanceof Uint8Array
    ? new Blob([content as Uint8Array<ArrayBuffer>])
    : content;
}

function silent(reason: unknown): FlotillaError {
  const message = reason instanceof Error ? reason.message : String(reason);
  return new FlotillaError({ status: 0, code: clientErrorCodes.timeout, message });
}
