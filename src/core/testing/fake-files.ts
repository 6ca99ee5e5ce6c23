/** The files of all fake guests: a flat table of paths, without links, owners and modes of their own. */
import { AppError } from '../errors.ts';
import type { GuestTarget } from '../ports/guest.ts';
import type {
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

export class FakeGuestFiles implements GuestFiles {
  readonly contents = new Map<string, Buffer>();
  /** What a watch reports before it ends. */
  changes: readonly FileChange[] = [];

  async stat(_target: GuestTarget, path: string): Promise<FileEntry> {
    return this.#entry(path);
  }

  async read(_target: GuestTarget, { path, offset = 0, length }: ReadRequest): Promise<FileReading> {
    const entry = this.#entry(path);
    if (entry.type === 'directory')
      throw new AppError('invalid', `${path}: is a directory; get it as an archive`);
    const whole = this.contents.get(path) ?? Buffer.alloc(0);
    if (offset > whole.length) throw new AppError('invalid', `${path}: has only ${whole.length} bytes`);
    const content = whole.subarray(offset, length === undefined ? whole.length : offset + length);
    return { entry, length: content.length, content: inPieces(content) };
  }

  async write(
    _target: GuestTarget,
    { path }: WriteRequest,
    content: FileContent,
    signal: AbortSignal,
  ): Promise<FileEntry> {
    if (path.endsWith('/')) throw new AppError('invalid', `${path}: is a directory`);
    const whole = await gathered(content);
    signal.throwIfAborted();
    this.contents.set(path, whole);
    return this.#entry(path);
  }

  async list(_target: GuestTarget, { path, after = '', limit }: ListRequest): Promise<FileList> {
    if (this.contents.has(path)) throw new AppError('invalid', `${path}: not a directory`);
    if (path !== '/') this.#entry(path);
    const prefix = path === '/' ? '/' : `${path}/`;
    const below = [...this.contents.keys()].filter((each) => each.startsWith(prefix));
    const names = new Set(below.map((each) => each.slice(prefix.length).split('/')[0] ?? ''));
    const found = [...names].filter((name) => name > after).sort();
    return {
      entries: found.slice(0, limit).map((name) => this.#entry(`${prefix}${name}`)),
      hasMore: found.length > limit,
    };
  }

  async makeDirectory(_target: GuestTarget, { path, parents = false }: WriteRequest): Promise<FileEntry> {
    if (!parents && this.#isThere(path)) throw new AppError('conflict', `${path}: file exists`);
    this.contents.set(`${path}/.keep`, Buffer.alloc(0));
    return this.#entry(path);
  }

  async move(_target: GuestTarget, from: string, to: string, replace: boolean): Promise<FileEntry> {
    this.#entry(from);
    if (!replace && this.#isThere(to)) throw new AppError('conflict', `${to}: file exists`);
    for (const [path, content] of [...this.contents]) {
      if (path !== from && !path.startsWith(`${from}/`)) continue;
      this.contents.delete(path);
      this.contents.set(`${to}${path.slice(from.length)}`, content);
    }
    return this.#entry(to);
  }

  async remove(_target: GuestTarget, path: string, recursive: boolean): Promise<void> {
    const { type } = this.#entry(path);
    if (type === 'directory' && !recursive) throw new AppError('conflict', `${path}: directory not empty`);
    for (const each of [...this.contents.keys()])
      if (each === path || each.startsWith(`${path}/`)) this.contents.delete(each);
  }

  /** No tar archive, but the contents one after the other. */
  async pack(_target: GuestTarget, { path }: PackRequest): Promise<FileReading> {
    const entry = this.#entry(path);
    const below = [...this.contents].filter(([each]) => each === path || each.startsWith(`${path}/`));
    return { entry, length: null, content: inPieces(Buffer.concat(below.map(([, content]) => content))) };
  }

  async unpack(_target: GuestTarget, { path }: UnpackRequest, archive: FileContent): Promise<number> {
    this.contents.set(`${path}/archive`, await gathered(archive));
    return 1;
  }

  async watch(_target: GuestTarget, path: string): Promise<AsyncIterable<FileChange>> {
    this.#entry(path);
    const { changes } = this;
    return (async function* () {
      yield* changes;
    })();
  }

  #isThere(path: string): boolean {
    return (
      path === '/' || [...this.contents.keys()].some((each) => each === path || each.startsWith(`${path}/`))
    );
  }

  #entry(path: string): FileEntry {
    if (!this.#isThere(path)) throw new AppError('not_found', `${path}: no such file or directory`);
    const content = this.contents.get(path);
    return {
      ...{ name: path.slice(path.lastIndexOf('/') + 1), nameBase64: null, bytes: content?.length ?? 4096 },
      ...{
        type: content === undefined ? 'directory' : 'file',
        mode: content === undefined ? '0755' : '0644',
      },
      ...{ uid: 0, gid: 0, owner: 'root', group: 'root', modifiedAtMs: 0, target: null },
      version: `v-${content?.length ?? 0}`,
    };
  }
}

async function* inPieces(content: Buffer): AsyncGenerator<Uint8Array> {
  const pieceBytes = 64 * 1024;
  for (let at = 0; at < content.length; at += pieceBytes) yield content.subarray(at, at + pieceBytes);
}

async function gathered(content: FileContent): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces);
}
