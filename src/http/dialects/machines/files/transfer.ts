/** How contents of files travel over HTTP: ranges, conditions, base64, events. */
import { AppError } from '../../../../core/errors.ts';
import type { FileChange, FileContent, FileEntry } from '../../../../core/ports/guest-files.ts';
import { RangeNotSatisfiable } from '../../../errors.ts';
import { withHeartbeats } from '../../../streaming.ts';

/** Hyperfleet’s limits of its own routes. */
export interface FileLimits {
  readonly bytesMax: number;
  readonly transferMs: number;
}

export const fileLimitsDefault: FileLimits = { bytesMax: 104_857_600, transferMs: 60_000 };

/** A path that could lead elsewhere, which Hyperfleet’s routes refuse. */
export class PathTraversal extends AppError {
  constructor(path: string) {
    super('invalid', `path must be absolute and must not contain '..': '${path}'`);
  }
}

/** A transfer of Hyperfleet’s routes that took too long. */
export class FileTimedOut extends AppError {
  constructor(transferMs: number) {
    super('guest', 'file operation timed out', {
      hint: `It took longer than ${transferMs} ms; /files/content has no such limit.`,
    });
  }
}

export function tooLarge(bytes: number, { bytesMax }: FileLimits): AppError {
  return new AppError('invalid', `file too large: ${bytes} bytes (max ${bytesMax})`, {
    hint: 'Use /files/content, which takes files of any size.',
  });
}

export function checkTraversal(path: string): void {
  if (!path.startsWith('/') || path.split('/').includes('..')) throw new PathTraversal(path);
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** The one range of a header; null for the whole file, as for several ranges or another unit. */
export function rangeOf(header: string | undefined, bytes: number): ByteRange | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (match === null || header === undefined || (first === '' && last === '')) return null;
  const offset = first === '' ? Math.max(0, bytes - Number(last)) : Number(first);
  const end = first === '' || last === '' ? bytes : Math.min(bytes, Number(last) + 1);
  if (first !== '' && last !== '' && Number(last) < Number(first)) return null;
  if (offset >= bytes || offset >= end) throw new RangeNotSatisfiable(header, bytes);
  return { offset, length: end - offset };
}

export const etagOf = ({ version }: FileEntry): string => `"${version}"`;

/** Whether one of the header’s tags is the entry’s. */
export function isMatch(header: string | undefined, entry: FileEntry): boolean {
  if (header === undefined) return false;
  const tags = header.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes('*') || tags.includes(etagOf(entry));
}

export function contentHeaders(entry: FileEntry): Record<string, string> {
  return {
    'Content-Type': 'application/octet-stream',
    // No browser may interpret a guest's file.
    'X-Content-Type-Options': 'nosniff',
    'Content-Disposition': 'attachment',
    'Cache-Control': 'private, no-cache',
    'Accept-Ranges': 'bytes',
    ETag: etagOf(entry),
    'Last-Modified': new Date(entry.modifiedAtMs).toUTCString(),
    'X-File-Mode': entry.mode,
    'X-File-Uid': String(entry.uid),
    'X-File-Gid': String(entry.gid),
  };
}

/** Hyperfleet’s answer to a read, made while the file is read. Throws when it is larger than announced. */
export async function* toBase64Answer(content: FileContent, limits: FileLimits): AsyncGenerator<Uint8Array> {
  yield Buffer.from('{"content":"');
  let kept: Buffer = Buffer.alloc(0);
  let bytes = 0;
  for await (const piece of content) {
    bytes += piece.length;
    if (bytes > limits.bytesMax) throw tooLarge(bytes, limits);
    const all = Buffer.concat([kept, piece]);
    // Three bytes are four characters; the rest waits for more.
    const whole = all.length - (all.length % 3);
    if (whole > 0) yield Buffer.from(all.subarray(0, whole).toString('base64'));
    kept = all.subarray(whole);
  }
  yield Buffer.from(`${kept.toString('base64')}","size":${bytes}}`);
}

/** Changes as server-sent events, with a comment now and then. Ends with its iteration. */
export async function* toEvents(changes: AsyncIterable<FileChange>): AsyncGenerator<Uint8Array> {
  yield Buffer.from(': watching\n\n');
  for await (const change of withHeartbeats(changes)) {
    if (change === null) {
      yield Buffer.from(': heartbeat\n\n');
      continue;
    }
    const { type, path, isDirectory, cookie } = change;
    const body = { type, path, is_directory: isDirectory, cookie };
    yield Buffer.from(`event: ${type}\ndata: ${JSON.stringify(body)}\n\n`);
  }
}
