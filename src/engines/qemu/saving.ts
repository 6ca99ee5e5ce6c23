/**
 * Moves the memory and devices of a paused guest between QEMU and a directory, as a migration over a unix
 * socket in the run directory. QEMU's sandbox allows no other way: `exec:` would start a program.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../core/errors.ts';
import { abortable, sleep } from '../../lib/abort.ts';
import { fileDigest } from '../../lib/digest.ts';
import { isOutOfSpace, syncFile } from '../../lib/files.ts';
import { connectOwned } from '../../lib/owned-socket.ts';
import type { QmpClient } from './qmp.ts';
import { isObject } from './qmp-messages.ts';
import {
  damaged,
  manifestFile,
  type SavedState,
  StateMeter,
  stateFile,
  writeManifest,
} from './saved-state.ts';

export const commandTimeoutMs = 5_000;
/** Less than what a cancelled operation waits for its step. */
const cancelTimeoutMs = 4_000;
/** QEMU tells nobody when an incoming migration is complete. */
const pollMs = 5;
/** Bytes per second, far above what a socket carries; QEMU's own limit is 128 MiB/s. */
const bandwidthMax = 2 ** 40;
/** What QEMU may send before it is written. */
const aheadBytes = 8 * 1024 * 1024;

/** Read and sent at once. */
const pieceBytes = 256 * 1024;
/** The state of devices, and the page headers of the memory. */
export const overheadBytesMax = 64 * 1024 * 1024;

export interface SaveRequest {
  /** Empty, or with remains of an attempt that failed. */
  readonly directory: string;
  /** The path of a socket in the run directory. */
  readonly socket: string;
  readonly memoryMib: number;
  readonly facts: Omit<SavedState, 'version' | 'stateBytes' | 'stateSha256'>;
}

/**
 * Saves a paused guest, which stays paused. Durable when it resolves. When it rejects, the directory has no
 * manifest, and the guest may go on. Raises `engine`, `exhausted` when the disk is full, and the signal's reason.
 */
export async function saveState(qmp: QmpClient, request: SaveRequest, signal: AbortSignal): Promise<void> {
  await rm(manifestFile(request.directory), { force: true });
  await requirePausable(qmp);
  // Memory of zeros takes one byte a page, all other pages their size and a header.
  const bytesMax = request.memoryMib * 1024 * 1024 + overheadBytesMax;
  await completeState(request, await transferState(qmp, request, { bytesMax }, signal), signal);
}

export interface TransferOptions {
  /** More is refused. */
  readonly bytesMax: number;
  /** Called again and again until the migration is complete. */
  readonly onProgress?: (migration: Migration) => Promise<void>;
}

/**
 * Writes QEMU's migration stream to the directory; the guest is paused when this resolves, and may go on when it rejects.
 * Neither makes it durable nor writes a manifest. Resolves with the number of bytes.
 */
export async function transferState(
  qmp: QmpClient,
  { directory, socket }: Pick<SaveRequest, 'directory' | 'socket'>,
  { bytesMax, onProgress }: TransferOptions,
  signal: AbortSignal,
): Promise<number> {
  await rm(stateFile(directory), { force: true });
  await qmp.execute('migrate-set-parameters', { 'max-bandwidth': bandwidthMax }, commandTimeoutMs);
  const receiving = await receive(socket, signal);
  const failed = new AbortController();
  try {
    await qmp.execute('migrate', { uri: `unix:${socket}` }, commandTimeoutMs);
    const written = receiving.connection.then((stream) => writeState(stream, stateFile(directory), bytesMax));
    // A QEMU that fails may never connect, and a failed write never ends its migration.
    const completed = migrated(qmp, AbortSignal.any([signal, failed.signal]), onProgress);
    await Promise.race([completed, written]);
    const [bytes] = await Promise.all([written, completed]);
    return bytes;
  } catch (error) {
    failed.abort(error);
    receiving.close();
    // What failed is worth more than that QEMU does not answer either.
    await cancelMigration(qmp).catch(() => undefined);
    signal.throwIfAborted();
    throw outOfSpace(error) ?? error;
  } finally {
    receiving.close();
    await rm(socket, { force: true });
  }
}

function outOfSpace(error: unknown): AppError | null {
  if (!isOutOfSpace(error)) return null;
  return new AppError('exhausted', 'no space left to save the memory', {
    cause: error,
    hint: 'Free some space in the state directory, or delete machines.',
  });
}

/** QEMU refuses to save a guest twice that has not run in between. */
export async function requirePausable(qmp: QmpClient): Promise<void> {
  const status = await statusOf(qmp);
  if (status === 'postmigrate') {
    await qmp.execute('cont', {}, commandTimeoutMs);
    await qmp.execute('stop', {}, commandTimeoutMs);
  } else if (status !== 'paused')
    throw new AppError('engine', `a guest cannot be saved while QEMU says '${String(status)}'`, {
      hint:
        status === 'io-error'
          ? 'Free some space on the host’s disk, and try again.'
          : 'Try again in a moment.',
    });
}

/** A guest that goes on before its migration is over would be refused, or paused again by the migration's end. */
export async function cancelMigration(qmp: QmpClient): Promise<void> {
  const signal = AbortSignal.timeout(cancelTimeoutMs);
  await abortable(qmp.execute('migrate_cancel', {}, commandTimeoutMs), signal);
  for (;;) {
    const { status } = await abortable(migrationOf(qmp), signal);
    const isOver = overStatuses.includes(String(status ?? 'none'));
    if (isOver && (await abortable(statusOf(qmp), signal)) !== 'finish-migrate') return;
    await sleep(pollMs, signal);
  }
}

const overStatuses: readonly string[] = ['none', 'completed', 'failed', 'cancelled'];

interface Receiving {
  /** The first connection; no other is accepted. */
  readonly connection: Promise<Socket>;
  close(): void;
}

/** The VMM's user may connect; the directory keeps everyone else out. */
async function receive(path: string, signal: AbortSignal): Promise<Receiving> {
  await rm(path, { force: true });
  const server: Server = createServer({ allowHalfOpen: true });
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  promise.catch(() => undefined);
  const sockets: Socket[] = [];
  server.on('connection', (socket) => {
    sockets.push(socket);
    if (sockets.length > 1) socket.destroy();
    else resolve(socket);
  });
  server.on('error', reject);
  const listening = Promise.withResolvers<void>();
  server.once('listening', listening.resolve).once('error', listening.reject);
  server.listen(path);
  try {
    await abortable(listening.promise, signal);
    await chmod(path, 0o666);
  } catch (error) {
    server.close();
    throw error;
  }
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    reject(new AppError('engine', 'QEMU has not connected to save the memory'));
  };
  signal.addEventListener('abort', close, { once: true });
  return {
    connection: promise,
    close: () => {
      signal.removeEventListener('abort', close);
      close();
    },
  };
}

/** Hashes it later: until the last byte is here, a running guest stands still. Reading and writing overlap for the same reason. */
async function writeState(stream: Socket, path: string, bytesMax: number): Promise<number> {
  let bytes = 0;
  async function* counted(chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > bytesMax)
        throw new AppError('engine', 'the VMM sends more than its memory; it is not saved');
      yield chunk;
    }
  }
  // When the signal aborts, the connection is destroyed.
  const file = createWriteStream(path, { flags: 'wx', mode: 0o600, highWaterMark: aheadBytes });
  await pipeline(stream as AsyncIterable<Buffer>, counted, file);
  return bytes;
}

/** Makes the state durable, and says that it is whole. */
export async function completeState(
  { directory, facts }: Pick<SaveRequest, 'directory' | 'facts'>,
  stateBytes: number,
  signal: AbortSignal,
): Promise<void> {
  const path = stateFile(directory);
  const digest = await fileDigest(path, signal);
  await syncFile(path);
  signal.throwIfAborted();
  const stateSha256 = digest.replace('sha256:', '');
  await writeManifest(directory, { ...facts, version: 1, stateBytes, stateSha256 });
}

/** Raises `engine` when QEMU says that the stream is not whole. */
async function migrated(
  qmp: QmpClient,
  signal: AbortSignal,
  onProgress: TransferOptions['onProgress'],
): Promise<void> {
  for (;;) {
    const migration = await abortable(migrationOf(qmp), signal);
    const { status, 'error-desc': why } = migration;
    if (status === 'completed') return;
    if (status === 'failed' || status === 'cancelled')
      throw new AppError('engine', `QEMU did not save the memory: ${why ?? status}`);
    await onProgress?.(migration);
    await sleep(pollMs, signal);
  }
}

export interface Migration {
  /** Absent before the first one. */
  readonly status?: unknown;
  readonly 'error-desc'?: unknown;
  readonly ram?: unknown;
}

async function migrationOf(qmp: QmpClient): Promise<Migration> {
  const answer = await qmp.execute('query-migrate', {}, commandTimeoutMs);
  return isObject(answer) ? answer : {};
}

export interface LoadRequest {
  readonly directory: string;
  /** The path of a socket in the run directory, which QEMU makes. */
  readonly socket: string;
  readonly saved: SavedState;
}

/**
 * Loads a saved state into a QEMU that was launched with `-incoming defer`; the guest is then paused. Raises
 * `conflict` when the state is damaged, `engine` when QEMU refuses it, and the signal's reason; then the VMM must
 * be ended.
 */
export async function loadState(qmp: QmpClient, request: LoadRequest, signal: AbortSignal): Promise<void> {
  const { directory, socket, saved } = request;
  const meter = new StateMeter();
  try {
    await qmp.execute('migrate-incoming', { uri: `unix:${socket}` }, commandTimeoutMs);
    await sendState(stateFile(directory), await connectOwned(socket, signal), meter, signal);
  } catch (error) {
    signal.throwIfAborted();
    // QEMU breaks off when it cannot read the state. What it has not read may show why.
    await requireUndamaged(directory, saved, signal);
    throw error;
  }
  requireSame(meter, saved);
  while ((await statusOf(qmp)) === 'inmigrate') await sleep(pollMs, signal);
}

/** QEMU closes the connection when it has read the last byte. */
async function sendState(
  path: string,
  connection: Socket,
  meter: StateMeter,
  signal: AbortSignal,
): Promise<void> {
  try {
    // A piece is read and hashed while the one before is sent.
    let sending = Promise.resolve();
    for await (const chunk of createReadStream(path, { highWaterMark: pieceBytes, signal })) {
      meter.pass(chunk as Buffer);
      await abortable(sending, signal);
      const sent = Promise.withResolvers<void>();
      connection.write(chunk as Buffer, (error) => (error ? sent.reject(error) : sent.resolve()));
      sending = sent.promise;
      // It is awaited with the next piece, or never if that cannot be read.
      sending.catch(() => undefined);
    }
    await abortable(sending, signal);
  } finally {
    connection.destroy();
  }
}

async function requireUndamaged(directory: string, saved: SavedState, signal: AbortSignal): Promise<void> {
  const meter = new StateMeter();
  for await (const chunk of createReadStream(stateFile(directory), { signal })) meter.pass(chunk as Buffer);
  requireSame(meter, saved);
}

function requireSame(meter: StateMeter, { stateBytes, stateSha256 }: SavedState): void {
  if (meter.bytes === stateBytes && meter.sha256() === stateSha256) return;
  throw damaged('its content has changed');
}

export async function statusOf(qmp: QmpClient): Promise<unknown> {
  const answer = await qmp.execute('query-status', {}, commandTimeoutMs);
  return isObject(answer) ? answer.status : undefined;
}
