/**
 * The store's database on one host: one SQLite file, one connection, one writer. The daemon holds a lock on its state
 * directory, so no second daemon opens the file; other programs may read it.
 */
import { chmod, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  SqliteDialect,
  type SqliteDialectConfig,
  SqliteDriver,
} from 'kysely';
import { wrapError } from '../core/errors.ts';
import { syncDirectory } from '../lib/files.ts';
import { invariant } from '../lib/invariant.ts';
import type { DatabaseAdapter, DatabaseFault, OpenDatabase } from './database.ts';
import type { Database } from './schema.ts';
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
 * or is no database.
 */
export async function openSqlite(path: string): Promise<OpenSqlite> {
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
      adapter: sqliteAdapter,
      statementCount: () => statements.size,
      close: async () => {
        await db.destroy();
        // Kysely closes nothing when no query ever ran.
        statements.close();
      },
    };
  } catch (error) {
    throw wrapError(error, `open database ${path}`, 'unavailable');
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

class NodeSqliteDialect extends SqliteDialect {
  readonly #database: DatabaseSync;
  readonly #config: SqliteDialectConfig;

  constructor(database: DatabaseSync, statements: StatementCache) {
    const config = { database: statements };
    super(config);
    this.#database = database;
    this.#config = config;
  }

  override createDriver(): Driver {
    return new NodeSqliteDriver(this.#database, this.#config);
  }
}

class NodeSqliteDriver extends SqliteDriver {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync, config: SqliteDialectConfig) {
    super(config);
    this.#database = database;
  }

  /** Takes the write lock at once: a deferred transaction that reads first can fail when it comes to write. */
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }

  /** SQLite rolls back by itself on some errors (disk full); a second rollback would hide the first error. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#database.isTransaction) await super.rollbackTransaction(connection);
  }
}

/** SQLite's result codes, sqlite.org/rescode.html; the low byte is the primary code. */
const resultCode = { busy: 5, full: 13, primaryKey: 1555, unique: 2067 } as const;

const sqliteAdapter: DatabaseAdapter = {
  explain(error: unknown): DatabaseFault | null {
    if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null;
    const { errcode } = error;
    if (errcode === resultCode.unique || errcode === resultCode.primaryKey) return duplicate(error.message);
    if ((errcode & 0xff) === resultCode.full) return { kind: 'full' };
    if ((errcode & 0xff) === resultCode.busy) return { kind: 'busy' };
    return null;
  },
};

/** The message is the only place that names the index: `UNIQUE constraint failed: machines.tenant, machines.name`. */
function duplicate(message: string): DatabaseFault | null {
  const names = /constraint failed: (.+)$/
    .exec(message)?.[1]
    ?.split(', ')
    .map((name) => name.split('.'));
  const table = names?.[0]?.[0];
  if (names === undefined || table === undefined) return null;
  return { kind: 'duplicate', table, columns: names.map((name) => name[1] ?? '') };
}
