/**
 * The store's database on one host: one SQLite file, one connection, one writer. The daemon holds a lock on its state
 * directory, so no second daemon opens the file; other programs may read it.
 */
import { chmod, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely } from 'kysely';
import { wrapError } from '../core/errors.ts';
import { syncDirectory } from '../lib/files.ts';
import { invariant } from '../lib/invariant.ts';
import type { OpenDatabase, SpaceReserve } from './database.ts';
import type { Reserve } from './reserve.ts';
import type { Database } from './schema.ts';
import { NodeSqliteDialect } from './sqlite-driver.ts';
import { explainSqlite } from './sqlite-errors.ts';
import { StatementCache } from './statement-cache.ts';

/** The queries of this room are a few dozen; this is for what nobody foresaw. */
export const statementCountMax = 500;

/** How long a statement waits for another program's lock. It blocks the event loop, so it is short. */
const busyTimeoutMs = 2_000;

/** What a checkpoint leaves of the write-ahead log after a burst. */
const walBytesKept = 64 * 1024 * 1024;

export interface OpenSqlite extends OpenDatabase {
  /** Prepared statements kept now; at most `statementCountMax`. */
  statementCount(): number;
}

/**
 * Opens the file, making it (0600) when it is not there. Applies no migration. `unavailable` when it cannot be opened
 * or is no database, `exhausted` when the disk is full.
 */
export async function openSqlite(path: string, reserve?: Reserve): Promise<OpenSqlite> {
  try {
    await createPrivately(path);
    const database = new DatabaseSync(path, { timeout: busyTimeoutMs, defensive: true });
    try {
      configure(database);
    } catch (error) {
      database.close();
      throw error;
    }
    const statements = new StatementCache(database, statementCountMax);
    const db = new Kysely<Database>({ dialect: new NodeSqliteDialect(database, statements) });
    return {
      db,
      isOurs: true,
      writersMax: 1,
      ...(reserve === undefined ? {} : { reserve: makeRoom(database, reserve) }),
      statementCount: () => statements.size,
      close: async () => {
        await db.destroy();
        // Kysely closes nothing when no query ever ran.
        statements.close();
      },
    };
  } catch (error) {
    throw wrapError(explainSqlite(error) ?? error, `open database ${path}`, 'unavailable');
  }
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

function configure(database: DatabaseSync): void {
  const mode = database.prepare('pragma journal_mode = wal').get()?.journal_mode;
  invariant(
    mode === 'wal',
    `the file system does not carry a write-ahead log (journal mode ${String(mode)})`,
  );
  // In WAL mode anything less than FULL may lose acknowledged commits when the host loses power.
  database.exec('pragma synchronous = full');
  database.exec('pragma foreign_keys = on');
  database.exec('pragma trusted_schema = off');
  database.exec(`pragma journal_size_limit = ${walBytesKept}`);
}

/**
 * Room for a write on a full disk. As long as it is full each write begins the log anew, in the space the log has, so
 * that hardly any new space is needed; what is needed beyond that comes from the reserve.
 */
function makeRoom(database: DatabaseSync, reserve: Reserve): SpaceReserve {
  return {
    async prepare() {
      await reserve.prepare();
      if (reserve.isDiskFull) beginLogAnew(database);
    },
    giveUp: () => reserve.giveUp(),
  };
}

/** Brings the log into the database; does nothing when there is no space even for that, or somebody reads. */
function beginLogAnew(database: DatabaseSync): void {
  try {
    database.prepare('pragma wal_checkpoint(restart)').get();
  } catch {
    // The write that follows says itself when it finds no space.
  }
}
