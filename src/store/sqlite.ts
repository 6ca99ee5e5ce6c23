/**
 * The store's database on one host: a SQLite file with one writer. A separate thread holds the writing
 * connection, so that waiting for the disk at a commit blocks nothing else. This thread reads over its own
 * connection, which sees every commit made before the read began. The daemon's lock on its state directory
 * keeps other daemons out; other programs may read the file.
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

/** The store uses a few dozen queries; this is only a safety bound. */
export const statementCountMax = 500;

/**
 * How long a write waits for another program's lock. A read rarely waits, but blocks the event loop if it
 * does.
 */
const busyTimeoutMs = 2_000;

/** The size to which a checkpoint truncates the write-ahead log after a burst. */
const walBytesKept = 64 * 1024 * 1024;

export interface OpenSqlite extends OpenDatabase {
  /** Number of prepared read statements; at most `statementCountMax`. */
  statementCount(): number;
}

/**
 * Opens the file; makes it with mode 0600 when it does not exist. Applies no migration. Raises `unavailable`
 * when it cannot be opened or is not a database, `exhausted` when the disk is full.
 */
export async function openSqlite(path: string, reserve?: Reserve): Promise<OpenSqlite> {
  const options = { path, statementCountMax, busyTimeoutMs, walBytesKept };
  const openThread = () => WriterThread.open(options);
  try {
    await createPrivately(path);
    // First, because it creates the log that the reader needs.
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
  throw new AppError(
    'unavailable',
    `cannot open database ${path}: it is another file than the one that is read`,
    {
      hint: 'Stop the daemon, put the right file there, and start it again',
    },
  );
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
      // Kysely closes nothing if no query ever ran.
      statements.close();
      await db.destroy();
      // Last, because it checkpoints the log into the database.
      await thread.close();
    },
  };
}

/**
 * SQLite copies the database's mode to its log and shared memory, so the file is first made with the right
 * mode.
 */
async function createPrivately(path: string): Promise<void> {
  try {
    const handle = await open(path, 'wx', 0o600);
    await handle.close();
    await syncDirectory(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    // By name: closing a second descriptor of an open database would release SQLite's locks on it (POSIX).
    await chmod(path, 0o600);
  }
}

/**
 * Makes room for a write on a full disk. While the disk is full, each write restarts the log in the space it
 * already occupies, so that almost no new space is needed; the reserve covers the rest.
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

/**
 * Checkpoints the log into the database. Does nothing when there is no space even for that, or when somebody
 * reads.
 */
async function beginLogAnew(thread: WriterSource): Promise<void> {
  try {
    const sql = 'pragma wal_checkpoint(restart)';
    await (await thread()).request({ kind: 'run', sql, parameters: [] });
  } catch {
    // The next write reports the full disk itself.
  }
}
