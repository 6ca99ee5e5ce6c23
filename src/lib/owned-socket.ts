/**
 * Connecting to a unix socket in a directory that a hostile process may make files in too. By path alone a symbolic link
 * in the socket's place would lead to somebody else's socket. So the file is opened first, without following a link and
 * without touching what is behind it; what is open is checked, and connected through the descriptor.
 */
import type { Stats } from 'node:fs';
import { constants, open, stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { abortable } from './abort.ts';

/** Linux's O_PATH, which Node does not name: the file can be looked at and named, not read. */
const openPathOnly = 0o10000000;
/** Group-writable and sticky: who is of the group may add files and can remove only what is theirs. */
const sharedMode = 0o1070;

/** The socket's place is taken by something that nobody should connect to. */
export class ForeignSocketError extends Error {
  override readonly name = 'ForeignSocketError';
}

/**
 * Connects to a socket that belongs to this process's user or, where the directory is shared with a group by the sticky
 * bit, to the user of the group's number. Rejects with ForeignSocketError for anything else, with the system's error
 * (`ENOENT`, `ECONNREFUSED`), and with the signal's reason. Errors after that are the caller's to hear.
 */
export async function connectOwned(path: string, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const owners = await ownersIn(dirname(path));
  const handle = await open(path, openPathOnly | constants.O_NOFOLLOW);
  try {
    const why = whyForeign(await handle.stat(), owners);
    if (why !== null) throw new ForeignSocketError(`${path} is not connected: ${why}`);
    // The kernel connects what the descriptor names, whatever stands at the path by now.
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
  if (!stats.isSocket()) return 'it is no socket';
  return owners.has(stats.uid) ? null : `it belongs to user ${stats.uid}`;
}

async function connected(socket: Socket, signal: AbortSignal): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  // A late error of a socket that nobody has must not be an uncaught one.
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
