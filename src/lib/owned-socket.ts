/**
 * Connects to a unix socket in a directory to which a hostile process can add files. A path alone is not
 * safe: a symbolic link there could lead to another process's socket. So the file is first opened with
 * O_PATH, without following links; then its owner is checked, and the connection is made through the
 * descriptor.
 */
import type { Stats } from 'node:fs';
import { constants, open, stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { abortable } from './abort.ts';

/** Linux's O_PATH, which Node does not export: the descriptor identifies the file but cannot read it. */
const openPathOnly = 0o10000000;
/** Group-writable and sticky: members of the group may add files and remove only their own. */
const sharedMode = 0o1070;

/** The file at the socket's path is not a trusted socket. */
export class ForeignSocketError extends Error {
  override readonly name = 'ForeignSocketError';
}

/**
 * Connects to a socket owned by this process's user or, if the directory is sticky and group-writable, by the
 * user with the group's number. Rejects with ForeignSocketError for anything else, with the system's error
 * (`ENOENT`, `ECONNREFUSED`), and with the signal's reason. After that, the caller handles the socket's
 * errors.
 */
export async function connectOwned(path: string, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const owners = await ownersIn(dirname(path));
  const handle = await open(path, openPathOnly | constants.O_NOFOLLOW);
  try {
    const why = whyForeign(await handle.stat(), owners);
    if (why !== null) throw new ForeignSocketError(`${path} was not connected: ${why}`);
    // The kernel connects to the file behind the descriptor, even if the path has changed.
    return await connected(connect({ path: `/proc/self/fd/${handle.fd}` }), signal);
  } finally {
    await handle.close();
  }
}

async function ownersIn(directory: string): Promise<ReadonlySet<number>> {
  const { mode, uid, gid } = await stat(directory);
  const ours = process.geteuid?.() ?? 0;
  if (uid !== ours) throw new ForeignSocketError(`${directory} belongs to user ${uid}`);
  return new Set((mode & sharedMode) === sharedMode ? [ours, gid] : [ours]);
}

function whyForeign(stats: Stats, owners: ReadonlySet<number>): string | null {
  if (!stats.isSocket()) return 'it is not a socket';
  return owners.has(stats.uid) ? null : `it belongs to user ${stats.uid}`;
}

async function connected(socket: Socket, signal: AbortSignal): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // Keeps a listener, so that a late error of a discarded socket does not crash the process.
  socket.on('error', reject);
  socket.once('connect', resolve);
  try {
    await abortable(promise, signal);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
