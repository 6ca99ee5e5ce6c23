/**
 * The store's database on one host: one SQLite file, one writer. The connection that writes belongs to a thread of its
 * own, so that a commit's wait for the disk holds up nobody else; this thread reads over a connection of its own, which
 * sees every commit that was made before the read began. The daemon holds a lock on its state directory, so no second
 * daemon opens the file; other programs may read it.
 */
import { chmod, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely } from 'kysely';
import { AppError, wrapError } from '../core/errors.ts';
import { syncDirectory } from '../lib/files.ts';
import type { OpenDatabase, SpaceReserve } from './database.ts';
import type { Reserve } from './reserve.ts';
import type { Database } from './schema.ts';
import { explainSqlite } from './sqlite-errors.ts';
import { SqliteReaderDialect } from './sqlite-reader.ts';
import { WriterThread } from './sqlite-thread.ts';
import { SqliteWriterDialect, type WriterSource } from './sqlite-writer.ts';
import { StatementCache } from './statement-cache.ts';

/** The queries of this room are a few dozen; this is for what nobody foresaw. */
export const statementCountMax = 500;

/** How long a write waits for another program's lock; a read hardly ever waits, and blocks the event loop when it does. */
const busyTimeoutMs = 2_000;

/** What a checkpoint leaves of the write-ahead log after a burst. */
const walBytesKept = 64 * 1024 * 1024;

export interface OpenSqlite extends OpenDatabase {
  /** Statements for reading that are kept prepared now; at most `statementCountMax`. */
  statementCount(): number;
}

/**
 * Opens the file, making it (0600) when it is not there. Applies no migration. `unavailable` when it cannot be opened
 * or is no database, `exhausted` when the disk is full.
 */
export async function openSqlite(path: string, reserve?: Reserve): Promise<OpenSqlite> {
  const options = { path, statementCountMax, busyTimeoutMs, walBytesKept };
  const openThread = () => WriterThread.open(options);
  try {
    await createPrivately(path);
    // First, since it makes the log that the reader needs.
    const thread = await openThread();
    try {
      const opened = await identify(path);
      return openWith(path, thread, () => reopen(path, opened, openThread), reserve);
    } catch (error) {
      await thread.close();
      throw error;
    }
  } catch (error) {
    throw openError(error, path);
  }
}

function openError(error: unknown, path: string): AppError {
  return wrapError(explainSqlite(error) ?? error, `open database ${path}`, 'unavailable');
}

/** Opens the file anew for writing, if it is the one that is read. Raises as `openSqlite` does. */
async function reopen(
  path: string,
  opened: FileIdentity,
  openThread: () => Promise<WriterThread>,
): Promise<WriterThread> {
  try {
    const found = await identify(path);
    if (found.dev === opened.dev && found.ino === opened.ino) return await openThread();
  } catch (error) {
    throw openError(error, path);
  }
  throw new AppError('unavailable', `open database ${path}: it is another file than the one that is read`, {
    hint: 'stop the daemon, put the right file there, and start it again',
  });
}

interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

async function identify(path: string): Promise<FileIdentity> {
  const { dev, ino } = await stat(path);
  return { dev, ino };
}

function openWith(
  path: string,
  first: WriterThread,
  reopenThread: () => Promise<WriterThread>,
  reserve: Reserve | undefined,
): OpenSqlite {
  const reader = new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMs, defensive: true });
  reader.exec('pragma query_only = on');
  const statements = new StatementCache(reader, statementCountMax);
  let thread = first;
  const livingThread: WriterSource = async () => {
    if (thread.hasEnded) thread = await reopenThread();
    return thread;
  };
  const db = new Kysely<Database>({ dialect: new SqliteWriterDialect(livingThread) });
  const reads = new Kysely<Database>({ dialect: new SqliteReaderDialect(statements) });
  return {
    db,
    reads,
    isOurs: true,
    writersMax: 1,
    ...(reserve === undefined ? {} : { reserve: makeRoom(livingThread, reserve) }),
    statementCount: () => statements.size,
    close: async () => {
      await reads.destroy();
      // Kysely closes nothing when no query ever ran.
      statements.close();
      await db.destroy();
      // Last, because it brings the log into the database.
      await thread.close();
    },
  };
}

/** SQLite gives its log and shared memory the mode of the database, so the file is made with the right one first. */
async function createPrivately(path: string): Promise<void> {
  try {
    const handle = await open(path, 'wx', 0o600);
    await handle.close();
    await syncDirectory(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    // By name: closing a second descriptor of an open database would drop SQLite's locks on it (POSIX).
    await chmod(path, 0o600);
  }
}

/**
 * Room for a write on a full disk. As long as it is full each write begins the log anew, in the space the log has, so
 * that hardly any new space is needed; what is needed beyond that comes from the reserve.
 */
function makeRoom(thread: WriterSource, reserve: Reserve): SpaceReserve {
  return {
    async prepare() {
      await reserve.prepare();
      if (reserve.isDiskFull) await beginLogAnew(thread);
    },
    giveUp: () => reserve.giveUp(),
  };
}

/** Brings the log into the database; does nothing when there is no space even for that, or somebody reads. */
async function beginLogAnew(thread: WriterSource): Promise<void> {
  try {
    const sql = 'pragma wal_checkpoint(restart)';
    await (await thread()).request({ kind: 'run', sql, parameters: [] });
  } catch {
    // The write that follows says itself when it finds no space.
  }
}
