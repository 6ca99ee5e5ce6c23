/** Implements `GuestFiles` on the links of `GuestClient`: the calls whose names begin with `file_`. */
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import type { GuestTarget } from '../core/ports/guest.ts';
import {
  type FileAttributes,
  type FileChange,
  type FileContent,
  type FileEntry,
  type FileList,
  type FileReading,
  fileChangeTypes,
  fileTypes,
  type GuestFiles,
  guestEntryBytesMax,
  guestListMax,
  type ListRequest,
  type PackRequest,
  type ReadRequest,
  type UnpackRequest,
  type WriteRequest,
} from '../core/ports/guest-files.ts';
import type { AgentSession } from './agent-session.ts';
import { type AnsweredCall, type CallOptions, openCall, simpleCall } from './calls.ts';
import { Download, linesOf, type TransferOptions, upload } from './file-transfer.ts';
import { cleanWords, encodeLine, parseLine } from './lines.ts';

export interface FileClientOptions {
  /** The session of a link that is up, or comes up in time. */
  readonly session: (target: GuestTarget, signal: AbortSignal) => Promise<AgentSession>;
  readonly callMs: number;
  /** How long the guest may let a transfer stand still. */
  readonly idleMs: number;
}

/** What an agent may be too old for. */
type FileFeature = 'files' | 'pack_name';

const idMax = 2 ** 32 - 1;
/** A path of 4095 bytes, escaped in JSON, with the rest of a change. */
const changeBytesMax = 32 * 1024;

const bytesSchema = z.number().min(0).max(Number.MAX_SAFE_INTEGER);

const entrySchema = z
  .object({
    name: z.string(),
    name_base64: z.string().optional(),
    type: z.enum(fileTypes),
    size: bytesSchema,
    mode: z.int().min(0).max(0o7777),
    uid: z.int().min(0).max(idMax),
    gid: z.int().min(0).max(idMax),
    owner: z.string().max(256).optional(),
    group: z.string().max(256).optional(),
    // So many digits are within the range of a Date.
    modified_ns: z.string().regex(/^-?\d{1,20}$/),
    version: z.string().regex(/^[0-9a-z-]{1,128}$/),
    target: z.string().optional(),
  })
  .transform(
    (entry): FileEntry => ({
      ...{ name: entry.name, nameBase64: entry.name_base64 ?? null, type: entry.type, bytes: entry.size },
      ...{ mode: entry.mode.toString(8).padStart(4, '0'), uid: entry.uid, gid: entry.gid },
      ...{ owner: entry.owner ?? null, group: entry.group ?? null, version: entry.version },
      modifiedAtMs: Number(BigInt(entry.modified_ns) / 1_000_000n),
      target: entry.target ?? null,
    }),
  );
const withEntry = z.object({ entry: entrySchema });
const withLength = z.object({ entry: entrySchema, length: bytesSchema.or(z.literal(-1)) });
const changeSchema = z.object({
  type: z.enum(fileChangeTypes),
  path: z.string().optional(),
  is_directory: z.boolean().default(false),
  cookie: z.int().min(0).max(idMax).default(0),
});

export class FileClient implements GuestFiles {
  readonly #options: FileClientOptions;

  constructor(options: FileClientOptions) {
    this.#options = options;
  }

  async stat(target: GuestTarget, path: string, follow: boolean, signal: AbortSignal): Promise<FileEntry> {
    return this.#forEntry(target, 'file_stat', { path, follow }, signal);
  }

  async read(target: GuestTarget, request: ReadRequest, signal: AbortSignal): Promise<FileReading> {
    const call = await this.#open(target, 'file_read', request, signal);
    return reading(call, () => {
      const { entry, length } = parsed('file_read', withLength, call.results);
      const announced = length < 0 ? {} : { length };
      const content = new Download(call, 'file_read', { ...this.#transfer(signal), ...announced });
      return { entry, length: announced.length ?? null, content };
    });
  }

  async write(
    target: GuestTarget,
    { path, parents = false, ...attributes }: WriteRequest,
    content: FileContent,
    signal: AbortSignal,
  ): Promise<FileEntry> {
    const args = { path, parents, ...attributesOf(attributes) };
    const call = await this.#open(target, 'file_write', args, signal);
    const results = await upload(call, 'file_write', content, this.#transfer(signal));
    return parsed('file_write', withEntry, results).entry;
  }

  async list(target: GuestTarget, { path, after = '', limit }: ListRequest, signal: AbortSignal) {
    const args = { path, after, limit: Math.min(limit, guestListMax) };
    const call = await this.#open(target, 'file_list', args, signal);
    const download = this.#download(call, 'file_list', signal);
    const entries: FileEntry[] = [];
    for await (const line of linesOf(download, guestEntryBytesMax)) {
      if (entries.length === args.limit) throw new AppError('guest', "the guest's list is too long");
      entries.push(parsed('file_list', entrySchema, parseLine(line)));
    }
    const { has_more } = parsed('file_list', z.object({ has_more: z.boolean() }), download.results);
    return { entries, hasMore: has_more } satisfies FileList;
  }

  async makeDirectory(
    target: GuestTarget,
    { path, parents = false, ...attributes }: WriteRequest,
    signal: AbortSignal,
  ): Promise<FileEntry> {
    const args = { path, parents, ...attributesOf(attributes) };
    return this.#forEntry(target, 'file_mkdir', args, signal);
  }

  async move(target: GuestTarget, from: string, to: string, replace: boolean, signal: AbortSignal) {
    return this.#forEntry(target, 'file_move', { from, to, replace }, signal);
  }

  async remove(target: GuestTarget, path: string, recursive: boolean, signal: AbortSignal): Promise<void> {
    // A large tree takes its time.
    const options = { signal, callMs: this.#options.idleMs };
    await simpleCall(await this.#session(target, signal), 'file_remove', { path, recursive }, options);
  }

  async pack(target: GuestTarget, request: PackRequest, signal: AbortSignal): Promise<FileReading> {
    const feature = request.name === undefined ? 'files' : 'pack_name';
    const call = await this.#open(target, 'file_pack', request, signal, feature);
    return reading(call, () => {
      const { entry } = parsed('file_pack', withEntry, call.results);
      return { entry, length: null, content: this.#download(call, 'file_pack', signal) };
    });
  }

  async unpack(
    target: GuestTarget,
    { path, owner = '', parents = false }: UnpackRequest,
    archive: FileContent,
    signal: AbortSignal,
  ): Promise<number> {
    const call = await this.#open(target, 'file_unpack', { path, owner, parents }, signal);
    const results = await upload(call, 'file_unpack', archive, this.#transfer(signal));
    return parsed('file_unpack', z.object({ count: z.int().min(0) }), results).count;
  }

  async watch(target: GuestTarget, path: string, recursive: boolean, signal: AbortSignal) {
    const call = await this.#open(target, 'file_watch', { path, recursive }, signal);
    return changesOf(new Download(call, 'file_watch', { signal, idleMs: Number.POSITIVE_INFINITY }));
  }

  async #forEntry(target: GuestTarget, name: string, args: object, signal: AbortSignal): Promise<FileEntry> {
    const results = await simpleCall(await this.#session(target, signal), name, args, this.#call(signal));
    return parsed(name, withEntry, results).entry;
  }

  async #open(
    target: GuestTarget,
    name: string,
    args: object,
    signal: AbortSignal,
    feature: FileFeature = 'files',
  ): Promise<AnsweredCall> {
    const line = encodeLine({ call: name, ...args });
    return openCall(await this.#session(target, signal, feature), name, line, this.#call(signal));
  }

  #download(call: AnsweredCall, name: string, signal: AbortSignal): Download {
    return new Download(call, name, this.#transfer(signal));
  }

  #transfer(signal: AbortSignal): TransferOptions {
    return { signal, idleMs: this.#options.idleMs };
  }

  #call(signal: AbortSignal): CallOptions {
    return { signal, callMs: this.#options.callMs };
  }

  /** Raises `unsupported` when the agent is older. */
  async #session(target: GuestTarget, signal: AbortSignal, feature: FileFeature = 'files') {
    const session = await this.#options.session(target, signal);
    const { features, agentVersion } = await session.hello(this.#call(signal));
    if (features.includes(feature)) return session.yamux;
    const lack = feature === 'files' ? 'transfers no files' : 'gives archives no other names';
    throw new AppError('unsupported', `the guest agent (${agentVersion}) ${lack}`, {
      hint: 'Restart the machine to give it the current agent, or use a command such as cat.',
    });
  }
}

function attributesOf({ mode, owner }: FileAttributes): object {
  return {
    ...(mode === undefined ? {} : { mode: Number.parseInt(mode, 8) }),
    ...(owner === undefined ? {} : { owner }),
  };
}

/** Raises `guest` when what the guest sent has another shape; its words are shown in one line. */
function parsed<T>(name: string, schema: z.ZodType<T>, words: unknown): T {
  const result = schema.safeParse(words);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = cleanWords(issue?.path.join('.'));
  throw new AppError('guest', `the guest's answer to ${name} is malformed${where ? ` at ${where}` : ''}`);
}

/** The call ends when its answer is of no use. */
function reading(call: AnsweredCall, make: () => FileReading): FileReading {
  try {
    return make();
  } catch (error) {
    call.stream.reset(new AppError('guest', 'the answer is malformed', { cause: error }));
    throw error;
  }
}

async function* changesOf(download: Download): AsyncGenerator<FileChange> {
  for await (const line of linesOf(download, changeBytesMax)) {
    const { type, path, is_directory, cookie } = parsed('file_watch', changeSchema, parseLine(line));
    yield { type, path: path ?? null, isDirectory: is_directory, cookie };
  }
}
