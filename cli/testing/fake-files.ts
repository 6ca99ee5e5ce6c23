/** The files of the fake daemon's machines: a directory of this host, packed and unpacked by the local tar. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { lstat, readlink, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Refusal } from './refusal.ts';

export class FakeFiles {
  /** What is sent instead of an archive of the machine's files. */
  archive: AsyncIterable<Uint8Array> | null = null;
  /** The owners that were asked for when something was unpacked; null: those of the archive. */
  readonly owners: (string | null)[] = [];
  readonly #note: (entry: string) => void;
  #root: string | null = null;

  constructor(note: (entry: string) => void) {
    this.#note = note;
  }

  /** The directory that stands for the machines' root. */
  get root(): string {
    this.#root ??= mkdtempSync(join(tmpdir(), 'flotilla-guest-'));
    return this.#root;
  }

  close(): void {
    if (this.#root !== null) rmSync(this.#root, { recursive: true });
  }

  /** Throws Refusal. */
  async answer(
    line: string,
    query: URLSearchParams,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const path = query.get('path') ?? '';
    const [method, verb] = [request.method, line.split('/').at(-1)];
    if (verb === 'stat') return this.#stat(path, query.get('follow') === 'true', response);
    if (verb === 'archive' && method === 'GET') return this.#pack(path, query.get('name'), response);
    if (verb === 'archive' && method === 'PUT')
      return this.#unpack(path, query.get('owner'), request, response);
    throw new Refusal(404, 'NOT_FOUND', `no route ${line}`);
  }

  async #stat(path: string, follow: boolean, response: ServerResponse): Promise<void> {
    const real = join(this.root, path);
    const found = await (follow ? stat(real) : lstat(real)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOTDIR') throw new Refusal(400, 'VALIDATION_ERROR', `${path}: not a directory`);
      throw new Refusal(404, 'NOT_FOUND', `${path}: no such file or directory`);
    });
    const type = found.isDirectory() ? 'directory' : found.isSymbolicLink() ? 'symlink' : 'file';
    const target = type === 'symlink' ? await readlink(real) : null;
    const mode = (found.mode & 0o7777).toString(8).padStart(4, '0');
    const times = {
      modified_at: found.mtime.toISOString(),
      mod_time: found.mtime.toISOString(),
      version: '1',
    };
    const owner = { uid: found.uid, gid: found.gid, owner: null, group: null };
    const names = { path, name: basename(path), name_base64: null, is_dir: type === 'directory' };
    const body = { ...names, ...owner, ...times, type, target, size: found.size, mode };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  async #pack(path: string, name: string | null, response: ServerResponse): Promise<void> {
    response.once('close', () =>
      this.#note(response.writableFinished ? 'downloaded' : 'download broken off'),
    );
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    if (this.archive !== null) {
      await pipeline(this.archive, response).catch(() => undefined);
      return;
    }
    const bare = path.replace(/\/\.$/, '');
    const [from, what] = path === bare ? [`^${basename(bare)}`, basename(bare)] : ['^[.]', '.'];
    const directory = join(this.root, path === bare ? join(bare, '..') : bare);
    const flags = ['--create', '--format=posix', '--sparse', '--xattrs', `--transform=s/${from}/${name}/S`];
    const tar = spawn('tar', ['--file=-', ...flags, `--directory=${directory}`, what], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    response.once('close', () => tar.kill());
    await pipeline(tar.stdout, response).catch(() => undefined);
  }

  async #unpack(
    path: string,
    owner: string | null,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    this.owners.push(owner);
    this.#note('unpacking');
    const tar = spawn(
      'tar',
      [
        '--file=-',
        '--extract',
        '--same-permissions',
        '--xattrs',
        '--no-same-owner',
        `--directory=${join(this.root, path)}`,
      ],
      {
        stdio: ['pipe', 'ignore', 'inherit'],
      },
    );
    const ended = once(tar, 'close');
    try {
      // tar ends at the end of the archive, before that of the body.
      tar.stdin.on('error', () => undefined);
      for await (const chunk of request) tar.stdin.write(chunk);
      tar.stdin.end();
    } catch {
      tar.kill();
      return this.#note('upload broken off');
    }
    const [code] = await ended;
    if (code !== 0) throw new Refusal(400, 'VALIDATION_ERROR', 'this is no tar archive');
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ count: 1 }));
  }
}
