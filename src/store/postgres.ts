/**
 * The store's database on PostgreSQL, which an operator runs and names by URL; several daemons may share it.
 * Writers lock the rows they change (docs/decisions/0024), and readers wait for nobody.
 */
import { Kysely, sql } from 'kysely';
import { Client, Pool, type PoolConfig } from 'pg';
import { AppError, wrapError } from '../core/errors.ts';
import { abortable, deadline } from '../lib/abort.ts';
import type { OpenDatabase } from './database.ts';
import { PostgresBell } from './postgres-bell.ts';
import { PgDialect } from './postgres-driver.ts';
import { PostgresHold } from './postgres-hold.ts';
import type { Database } from './schema.ts';

/** Defaults that the URL's query can override, for example `statement_timeout`. */
const defaults: PoolConfig = {
  application_name: 'flotilla',
  /** Debian's server accepts 100 connections in all. */
  max: 10,
  idleTimeoutMillis: 30_000,
  keepAlive: true,
  /** For opening a connection and for getting one from the pool. */
  connectionTimeoutMillis: 5_000,
  lock_timeout: 10_000,
  statement_timeout: 15_000,
  /** Client-side limit for a server that vanished; longer than the server's own limit. */
  query_timeout: 20_000,
  /** Server-side limit for a program that hangs; longer than the store's own limit on a transaction. */
  idle_in_transaction_session_timeout: 45_000,
};

/** The other connections of the pool are for readers. */
const writersMax = 6;

const closeMs = 5_000;

/**
 * Connects to a `postgres://` or `postgresql://` URL in libpq's format. Applies no migration. Raises
 * `invalid` for any other URL; `unavailable`, with a hint, when it cannot connect; `unsupported` when the
 * database is not UTF-8.
 */
export async function openPostgres(url: string): Promise<OpenDatabase> {
  const place = describe(url);
  const pool = new Pool({ ...defaults, connectionString: url });
  // An idle connection that breaks is removed from the pool, and an active one fails its query. Nothing else
  // needs to be done, but without a listener the event would end the process.
  pool.on('error', ignore);
  pool.on('connect', (client) => client.on('error', ignore));
  const db = new Kysely<Database>({ dialect: new PgDialect(pool) });
  const close = () => closeWithin(db, closeMs);
  try {
    await refuseEncoding(db);
  } catch (error) {
    await close();
    throw wrapError(error, `open PostgreSQL ${place}`, 'unavailable');
  }
  const bell = new PostgresBell(pool, { ...defaults, connectionString: url });
  const hold = new PostgresHold({ ...defaults, connectionString: url });
  return {
    db,
    reads: db,
    isOurs: false,
    writersMax,
    bell,
    holdHost: (hostId) => hold.take(hostId),
    close: async () => {
      await hold.close();
      await close();
    },
  };
}

/**
 * Host, port and database for messages; never user or password. Raises `invalid`, without the text of the
 * URL.
 */
function describe(url: string): string {
  const refusal = (message: string) =>
    new AppError('invalid', `DATABASE_URL ${message}`, {
      hint: 'Use the form postgresql://USER:PASSWORD@HOST:PORT/DATABASE.',
    });
  if (!/^postgres(?:ql)?:\/\//.test(url)) throw refusal('is not the URL of a PostgreSQL database');
  try {
    const { host, port, database } = new Client({ connectionString: url });
    return `${host}:${port}/${database}`;
  } catch (error) {
    // Only file system errors, about a certificate's file, are known not to contain the URL.
    const isFileError = error instanceof Error && 'syscall' in error;
    throw refusal(isFileError ? `names a file that cannot be read: ${error.message}` : 'cannot be read');
  }
}

/** Other encodings cannot store every name. */
async function refuseEncoding(db: Kysely<Database>): Promise<void> {
  const { rows } = await sql<{ readonly encoding: string }>`
    select current_setting('server_encoding') as encoding`.execute(db);
  const encoding = rows[0]?.encoding;
  if (encoding === 'UTF8') return;
  throw new AppError('unsupported', `the database's encoding is ${encoding}`, {
    hint: "Create the database with encoding 'UTF8'.",
  });
}

/** Closing must not wait for a server that does not answer. */
async function closeWithin(db: Kysely<Database>, ms: number): Promise<void> {
  const late = new Error('late');
  const { signal, clear } = deadline(ms, () => late);
  try {
    await abortable(db.destroy(), signal);
  } catch (error) {
    if (error !== late) throw error;
  } finally {
    clear();
  }
}

function ignore(): void {}
