/**
 * Migrated databases that tests use one after another, because opening one (PostgreSQL: connections) and migrating it takes longer than most tests. Each user gets an empty one, which nobody else
 * has until it is closed.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setImmediate as turn } from 'node:timers/promises';
import { Kysely, sql } from 'kysely';
import type { OpenDatabase } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';
import type { Database } from '../../src/store/schema.ts';
import { statementCountMax } from '../../src/store/sqlite.ts';
import { SqliteConnection } from '../../src/store/sqlite-connection.ts';
import type { Request } from '../../src/store/sqlite-protocol.ts';
import { SqliteReaderDialect } from '../../src/store/sqlite-reader.ts';
import { type Result, SqliteFailure } from '../../src/store/sqlite-thread.ts';
import { SqliteWriterDialect } from '../../src/store/sqlite-writer.ts';
import { StatementCache } from '../../src/store/statement-cache.ts';

export class DatabasePool {
  readonly #open: () => Promise<OpenDatabase>;
  readonly #idle: OpenDatabase[] = [];
  #tables: readonly string[] = [];

  /** `open` opens another database, empty or migrated. */
  constructor(open: () => Promise<OpenDatabase> = openUnsynced) {
    this.#open = open;
  }

  /** An empty, migrated database; its `close` returns it to the pool. */
  async take(): Promise<OpenDatabase> {
    const database = this.#idle.pop() ?? (await this.#openMigrated());
    return {
      ...database,
      close: async () => {
        await this.#empty(database);
        this.#idle.push(database);
      },
    };
  }

  /** Call when all databases are back. */
  async close(): Promise<void> {
    for (const database of this.#idle.splice(0)) await database.close();
  }

  async #openMigrated(): Promise<OpenDatabase> {
    const database = await this.#open();
    await migrate(database);
    const tables = await database.db.introspection.getTables();
    this.#tables = tables.map(({ name }) => name).filter((name) => name !== 'schema_migrations');
    return database;
  }

  /** Removes everything but the schema. */
  async #empty({ db, isOurs }: OpenDatabase): Promise<void> {
    const deletes = this.#tables.map((name) => `delete from "${name}"`);
    if (!isOurs) {
      // In one round trip.
      await sql`${sql.raw(`do $$ begin ${deletes.join('; ')}; end $$`)}`.execute(db);
      return;
    }
    await db.transaction().execute(async (tx) => {
      for (const each of deletes) await sql.raw(each).execute(tx);
      // In SQLite, numbers of events begin at 1 again.
      await sql`delete from sqlite_sequence`.execute(tx);
    });
  }
}

/**
 * A SQLite file that does not wait for the disk: it survives a daemon, but not the host. Its writer is in this thread, because
 * half of a test's time would go into messages between threads; `src/store/sqlite.test.ts` tests the thread.
 */
async function openUnsynced(): Promise<OpenDatabase> {
  const directory = await mkdtemp(join(tmpdir(), 'database-'));
  // Locks in memory: the file is this process's alone.
  const path = `file:${join(directory, 'flotilla.db')}?vfs=unix-excl`;
  const limits = { statementCountMax, busyTimeoutMs: 2_000 };
  const connection = new SqliteConnection({ path, ...limits, walBytesKept: 2 ** 26 });
  const request = async (asked: Request): Promise<Result> => {
    // An answer comes in a later turn, as from the thread: others run in between.
    await turn();
    const answer = connection.answer(0, asked);
    if ('failure' in answer) throw new SqliteFailure(answer.failure);
    return answer;
  };
  const reader = new DatabaseSync(path, { readOnly: true, timeout: limits.busyTimeoutMs, defensive: true });
  const statements = new StatementCache(reader, statementCountMax);
  const db = new Kysely<Database>({ dialect: new SqliteWriterDialect(async () => ({ request })) });
  const reads = new Kysely<Database>({ dialect: new SqliteReaderDialect(statements) });
  await sql`pragma synchronous = off`.execute(db);
  return {
    ...{ db, reads, isOurs: true, writersMax: 1 },
    close: async () => {
      await reads.destroy();
      statements.close();
      await db.destroy();
      connection.answer(0, { kind: 'close' });
      await rm(directory, { recursive: true });
    },
  };
}
