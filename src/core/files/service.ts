/**
 * Reads and changes the files in running machines, for tenants. Called by dialects and tools; knows nothing of how a
 * guest does it.
 */
import { AppError } from '../errors.ts';
import { type AnsweringDeps, findAnswering } from '../machines/answering.ts';
import { endingIterator, PerMachineLimit } from '../machines/per-machine-limit.ts';
import type { Edges } from '../machines/steps/context.ts';
import type { GuestTarget } from '../ports/guest.ts';
import type {
  FileAttributes,
  FileChange,
  FileContent,
  FileEntry,
  FileList,
  FileReading,
  GuestFiles,
  ListRequest,
  PackRequest,
  ReadRequest,
  UnpackRequest,
  WriteRequest,
} from '../ports/guest-files.ts';

/** Calls about files that one machine may have open: a guest, its link and this host have limits. */
export const transfersPerMachineMax = 32;
const pathBytesMax = 4095;
const modePattern = /^[0-7]{1,4}$/;

export interface FileServiceDeps extends AnsweringDeps {
  readonly edges: Edges;
}

/** Whose machine it is, and its id or name. */
export interface FilesOf {
  readonly tenant: string;
  readonly machine: string;
}

export interface FilePart {
  readonly entry: FileEntry;
  readonly content: Buffer;
  /** Whether there is nothing after this part. */
  readonly isEnd: boolean;
}

/**
 * All raise `not_found` (machine, file), `conflict` (the machine does not run), `invalid`, `exhausted`, and the errors
 * of `GuestFiles`.
 */
export class FileService {
  readonly #deps: FileServiceDeps;
  readonly #transfers: PerMachineLimit;

  constructor(deps: FileServiceDeps) {
    this.#deps = deps;
    this.#transfers = new PerMachineLimit(
      deps.activity,
      transfersPerMachineMax,
      (machineId) =>
        new AppError(
          'exhausted',
          `machine ${machineId} has ${transfersPerMachineMax} file transfers already`,
          { hint: 'Wait for one to end.' },
        ),
    );
  }

  async stat(of: FilesOf, path: string, follow: boolean, signal: AbortSignal): Promise<FileEntry> {
    checkPath(path);
    return this.#in(of, (guest, target) => guest.stat(target, path, follow, signal));
  }

  /** The transfer ends with its content: iterate it, or return early. */
  async read(of: FilesOf, request: ReadRequest, signal: AbortSignal): Promise<FileReading> {
    checkPath(request.path);
    return this.#reading(of, (guest, target) => guest.read(target, request, signal));
  }

  /** Reads at most `bytesMax` bytes from an offset, for callers that need them at once. */
  async readPart(of: FilesOf, path: string, offset: number, bytesMax: number, signal: AbortSignal) {
    const { entry, content } = await this.read(of, { path, offset, length: bytesMax + 1 }, signal);
    const pieces: Uint8Array[] = [];
    for await (const piece of content) pieces.push(piece);
    const all = Buffer.concat(pieces);
    const isEnd = all.length <= bytesMax;
    return { entry, content: all.subarray(0, bytesMax), isEnd } satisfies FilePart;
  }

  async write(
    of: FilesOf,
    request: WriteRequest,
    content: FileContent,
    signal: AbortSignal,
  ): Promise<FileEntry> {
    checkPath(request.path);
    checkAttributes(request);
    return this.#in(of, (guest, target) => guest.write(target, request, content, signal));
  }

  async list(of: FilesOf, request: ListRequest, signal: AbortSignal): Promise<FileList> {
    checkPath(request.path);
    return this.#in(of, (guest, target) => guest.list(target, request, signal));
  }

  async makeDirectory(of: FilesOf, request: WriteRequest, signal: AbortSignal): Promise<FileEntry> {
    checkPath(request.path);
    checkAttributes(request);
    return this.#in(of, (guest, target) => guest.makeDirectory(target, request, signal));
  }

  /** Unless `replace` is set, nothing may be at the new path. */
  async move(
    of: FilesOf,
    from: string,
    to: string,
    replace: boolean,
    signal: AbortSignal,
  ): Promise<FileEntry> {
    checkPath(from, 'from');
    checkPath(to, 'to');
    return this.#in(of, (guest, target) => guest.move(target, from, to, replace, signal));
  }

  async remove(of: FilesOf, path: string, recursive: boolean, signal: AbortSignal): Promise<void> {
    checkPath(path);
    return this.#in(of, (guest, target) => guest.remove(target, path, recursive, signal));
  }

  /** The transfer ends with its content: iterate it, or return early. */
  async pack(of: FilesOf, request: PackRequest, signal: AbortSignal): Promise<FileReading> {
    checkPath(request.path);
    checkName(request.name);
    return this.#reading(of, (guest, target) => guest.pack(target, request, signal));
  }

  async unpack(of: FilesOf, request: UnpackRequest, archive: FileContent, signal: AbortSignal) {
    checkPath(request.path);
    return this.#in(of, (guest, target) => guest.unpack(target, request, archive, signal));
  }

  /** The watch ends with its iteration: iterate it, or return early. */
  async watch(of: FilesOf, path: string, recursive: boolean, signal: AbortSignal) {
    checkPath(path);
    return this.#held<AsyncIterable<FileChange>>(of, async (guest, target, free) => {
      const changes = await guest.watch(target, path, recursive, signal);
      return { [Symbol.asyncIterator]: () => endingIterator(changes, free) };
    });
  }

  #reading(
    of: FilesOf,
    open: (guest: GuestFiles, target: GuestTarget) => Promise<FileReading>,
  ): Promise<FileReading> {
    return this.#held(of, async (guest, target, free) => {
      const reading = await open(guest, target);
      return {
        ...reading,
        content: { [Symbol.asyncIterator]: () => endingIterator(reading.content, free) },
      };
    });
  }

  #in<T>(of: FilesOf, act: (guest: GuestFiles, target: GuestTarget) => Promise<T>): Promise<T> {
    return this.#held(of, async (guest, target, free) => {
      const result = await act(guest, target);
      free();
      return result;
    });
  }

  /** Holds a slot of the machine until `free` is called, or `act` fails. */
  async #held<T>(
    { tenant, machine: idOrName }: FilesOf,
    act: (guest: GuestFiles, target: GuestTarget, free: () => void) => Promise<T>,
  ): Promise<T> {
    const { machine, target } = await findAnswering(this.#deps, tenant, idOrName);
    const free = this.#transfers.take(machine.id);
    try {
      return await act(this.#deps.edges.guest.files, target, free);
    } catch (error) {
      free();
      throw error;
    }
  }
}

function checkPath(path: string, name = 'path'): void {
  if (!path.startsWith('/')) throw new AppError('invalid', `${name} must be absolute, not '${path}'`);
  if (path.includes('\0')) throw new AppError('invalid', `${name} must not contain NUL`);
  if (Buffer.byteLength(path) > pathBytesMax)
    throw new AppError('invalid', `${name} must have at most ${pathBytesMax} bytes`);
}

function checkName(name: string | undefined): void {
  if (name === '' || name === '..' || name?.includes('/') || name?.includes('\0'))
    throw new AppError('invalid', `name must be one part of a path, not '${name}'`);
}

function checkAttributes({ mode }: FileAttributes): void {
  if (mode !== undefined && !modePattern.test(mode))
    throw new AppError('invalid', `mode must be one to four octal digits such as 0644, not '${mode}'`);
}
