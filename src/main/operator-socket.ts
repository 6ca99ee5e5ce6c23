/**
 * Serves the API also on a unix socket in a directory that only the daemon's own user can enter. A client
 * there knows that it talks to this daemon, and strangers cannot take its connection slots.
 */
import { chmod, lstat, mkdir, rm } from 'node:fs/promises';
import { AppError } from '../core/errors.ts';
import { type Fetch, type HttpServer, type ListenOptions, listen } from '../http/server.ts';
import type { StateLayout } from '../storage/layout.ts';

/** Call while holding the state directory's lock. Raises `invalid` when another user owns the directory. */
export async function listenForOperator(
  layout: StateLayout,
  fetch: Fetch,
  options: ListenOptions,
): Promise<HttpServer> {
  const { operatorDir, operatorSocket } = layout;
  await mkdir(operatorDir, { recursive: true, mode: 0o700 });
  const facts = await lstat(operatorDir);
  if (!facts.isDirectory() || facts.uid !== process.geteuid?.()) {
    throw new AppError('invalid', `${operatorDir} is not a directory of the daemon's user`, {
      hint: `Remove ${operatorDir}; the daemon makes it anew.`,
    });
  }
  await chmod(operatorDir, 0o700);
  // A killed daemon may have left one.
  await rm(operatorSocket, { force: true });
  const server = await listen(fetch, { path: operatorSocket }, options);
  await chmod(operatorSocket, 0o600);
  return server;
}
