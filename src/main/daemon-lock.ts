/**
 * One daemon for each state directory. The lock is an exclusively bound unix socket in Linux' abstract name space: it
 * is gone the moment its process is, however that ended, so a stale lock cannot exist.
 */
import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { createServer } from 'node:net';
import { AppError } from '../core/errors.ts';

/** Raises `conflict` when another daemon holds the directory. Returns the function that lets it go. */
export async function lockStateDirectory(stateDir: string): Promise<() => Promise<void>> {
  const name = createHash('sha256')
    .update(await realpath(stateDir))
    .digest('hex');
  const server = createServer((socket) => socket.destroy());
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE') return reject(error);
    reject(
      new AppError('conflict', `another daemon already runs on ${stateDir}`, {
        hint: 'Stop it with ./flotilla down, or set FLOTILLA_STATE_DIR to another directory.',
      }),
    );
  });
  server.listen(`\0flotilla-${name}`, resolve);
  await promise;
  server.unref();
  return () => new Promise((done) => server.close(() => done()));
}
