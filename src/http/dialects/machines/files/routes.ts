/** The handlers of `/machines/{id}/files`: a few lines each between HTTP and core. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { AppError } from '../../../../core/errors.ts';
import type { FilesOf } from '../../../../core/files/service.ts';
import { type FileEntry, guestEntryBytesMax } from '../../../../core/ports/guest-files.ts';
import { hasBody } from '../../../body.ts';
import type { HttpDeps, HttpEnv } from '../../../context.ts';
import { nounApp } from '../../../documented.ts';
import { eventStream, liveHeaders, toStream } from '../../../streaming.ts';
import { uploadedChunks, uploadLimitsDefault } from '../../../uploaded-chunks.ts';
import { routes } from './definitions.ts';
import { readJsonUpload } from './json-upload.ts';
import type { FileBody } from './schema.ts';
import {
  checkTraversal,
  contentHeaders,
  type FileLimits,
  FileTimedOut,
  fileLimitsDefault,
  isMatch,
  rangeOf,
  toBase64Answer,
  toEvents,
  tooLarge,
} from './transfer.ts';

/** A transfer may last as long as it moves. */
const uploadLimits = { ...uploadLimitsDefault, graceMs: Number.MAX_SAFE_INTEGER };

interface Context {
  readonly env: HttpEnv['Bindings'];
  get(key: 'caller'): HttpEnv['Variables']['caller'];
  get(key: 'session'): HttpEnv['Variables']['session'];
  readonly req: { valid(target: 'param'): { readonly id: string } };
}

export function filesApp({ files, fileLimits = fileLimitsDefault }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  const of = (c: Context): FilesOf => ({
    tenant: c.get('caller').tenant,
    machine: c.req.valid('param').id,
  });
  const signalOf = (c: Context) => c.get('session').signal;
  const upload = (c: Context) => {
    if (!hasBody(c.env.incoming)) return none();
    return uploadedChunks(c.env.incoming, c.env.outgoing, uploadLimits);
  };

  app.openapi(routes.write, async (c) => {
    const { path, content } = await readJsonUpload(upload(c), fileLimits);
    checkTraversal(path);
    const { bytes } = await files.write(of(c), { path }, content, within(fileLimits, signalOf(c)));
    return c.json({ success: true as const, bytes_written: bytes }, 200);
  });
  app.openapi(routes.read, async (c) => {
    const { path } = c.req.valid('query');
    checkTraversal(path);
    const session = c.get('session');
    const { entry, content } = await files.read(of(c), { path }, within(fileLimits, session.signal));
    if (entry.bytes > fileLimits.bytesMax || c.env.isHead) await content[Symbol.asyncIterator]().return?.();
    if (entry.bytes > fileLimits.bytesMax) throw tooLarge(entry.bytes, fileLimits);
    const headers = { 'Content-Type': 'application/json' };
    if (c.env.isHead) return c.body(null, 200, headers) as never;
    return c.body(toStream(toBase64Answer(content, fileLimits), session.cutOnAbort()), 200, headers) as never;
  });
  app.openapi(routes.stat, async (c) => {
    const { path, follow } = c.req.valid('query');
    checkTraversal(path);
    const entry = await files.stat(of(c), path, follow, signalOf(c));
    const body = toFileBody(entry);
    return c.json({ path, ...body, mod_time: body.modified_at, is_dir: entry.type === 'directory' }, 200);
  });
  app.openapi(routes.remove, async (c) => {
    const { path, recursive } = c.req.valid('query');
    checkTraversal(path);
    await files.remove(of(c), path, recursive, signalOf(c));
    return c.body(null, 204);
  });
  app.openapi(routes.get, async (c) => {
    const { path } = c.req.valid('query');
    const session = c.get('session');
    const header = (name: string) => c.req.header(name);
    const asked = header('range');
    // Only these need to know the file before it is opened.
    const before =
      c.env.isHead || asked !== undefined || header('if-none-match') !== undefined
        ? await files.stat(of(c), path, true, session.signal)
        : null;
    if (before !== null && isMatch(header('if-none-match'), before))
      return c.body(null, 304, contentHeaders(before));
    const isRangeWanted =
      header('if-range') === undefined || (before !== null && isMatch(header('if-range'), before));
    const range = before === null || !isRangeWanted ? null : rangeOf(asked, before.bytes);
    if (c.env.isHead && before !== null) {
      if (before.type !== 'file') throw new AppError('invalid', `${path}: is no regular file`);
      const length = range?.length ?? before.bytes;
      const part = range === null ? {} : rangeHeader(range.offset, length, before);
      return c.body(null, range === null ? 200 : 206, {
        ...contentHeaders(before),
        ...part,
        'Content-Length': String(length),
      });
    }
    const { entry, length, content } = await files.read(of(c), { path, ...range }, session.signal);
    if (range !== null && entry.version !== before?.version) {
      await content[Symbol.asyncIterator]().return?.();
      throw new AppError('conflict', `${path}: was changed meanwhile; ask again`, { isPassing: true });
    }
    const headers = {
      ...contentHeaders(entry),
      ...(length === null ? {} : { 'Content-Length': String(length) }),
      ...(range === null ? {} : rangeHeader(range.offset, range.length, entry)),
    };
    return c.body(toStream(content, session.cutOnAbort()), range === null ? 200 : 206, headers);
  });
  app.openapi(routes.put, async (c) => {
    const { path, mode, owner, parents } = c.req.valid('query');
    const attributes = { ...(mode === undefined ? {} : { mode }), ...(owner === undefined ? {} : { owner }) };
    const entry = await files.write(of(c), { path, parents, ...attributes }, upload(c), signalOf(c));
    return c.json(toFileBody(entry), 200);
  });
  app.openapi(routes.list, async (c) => {
    const { path, after, limit } = c.req.valid('query');
    const session = c.get('session');
    session.reserve(limit * guestEntryBytesMax);
    const { entries, hasMore } = await files.list(of(c), { path, after, limit }, session.signal);
    const next = hasMore ? (entries.at(-1)?.name ?? null) : null;
    return c.json({ path, entries: entries.map(toFileBody), next }, 200);
  });
  app.openapi(routes.mkdir, async (c) => {
    const { path, parents, mode, owner } = c.req.valid('json');
    const attributes = { ...(mode === undefined ? {} : { mode }), ...(owner === undefined ? {} : { owner }) };
    const entry = await files.makeDirectory(of(c), { path, parents, ...attributes }, signalOf(c));
    return c.json(toFileBody(entry), 200);
  });
  app.openapi(routes.move, async (c) => {
    const { from, to, overwrite } = c.req.valid('json');
    return c.json(toFileBody(await files.move(of(c), from, to, overwrite, signalOf(c))), 200);
  });
  app.openapi(routes.pack, async (c) => {
    const session = c.get('session');
    const headers = { 'Content-Type': 'application/octet-stream', 'X-Content-Type-Options': 'nosniff' };
    const { path, name } = c.req.valid('query');
    if (c.env.isHead) {
      await files.stat(of(c), path, false, session.signal);
      return c.body(null, 200, headers);
    }
    const { content } = await files.pack(
      of(c),
      { path, ...(name === undefined ? {} : { name }) },
      session.signal,
    );
    return c.body(toStream(content, session.cutOnAbort()), 200, headers);
  });
  app.openapi(routes.unpack, async (c) => {
    const { path, owner, parents } = c.req.valid('query');
    const request = { path, parents, ...(owner === undefined ? {} : { owner }) };
    return c.json({ count: await files.unpack(of(c), request, upload(c), signalOf(c)) }, 200);
  });
  app.openapi(routes.watch, async (c) => {
    const { path, recursive } = c.req.valid('query');
    const session = c.get('session');
    const headers = { 'Content-Type': eventStream, ...liveHeaders };
    if (c.env.isHead) {
      await files.stat(of(c), path, true, session.signal);
      return c.body(null, 200, headers) as never;
    }
    const changes = await files.watch(of(c), path, recursive, session.signal);
    return c.body(toStream(toEvents(changes), session.cutOnAbort()), 200, headers) as never;
  });
  return app;
}

/** Hyperfleet’s routes have a deadline for the whole transfer. */
function within({ transferMs }: FileLimits, signal: AbortSignal): AbortSignal {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(new FileTimedOut(transferMs)), transferMs);
  timer.unref();
  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  return AbortSignal.any([signal, timeout.signal]);
}

function rangeHeader(offset: number, length: number, { bytes }: FileEntry) {
  return { 'Content-Range': `bytes ${offset}-${offset + length - 1}/${bytes}` };
}

async function* none(): AsyncGenerator<Uint8Array> {}

function toFileBody(entry: FileEntry): FileBody {
  const { name, type, mode, uid, gid, owner, group, version, target } = entry;
  return {
    ...{ name, name_base64: entry.nameBase64, type, size: entry.bytes, mode, uid, gid, owner, group },
    ...{ modified_at: new Date(entry.modifiedAtMs).toISOString(), version, target },
  };
}
