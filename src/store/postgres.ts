/**
 * The store's database when it is PostgreSQL: one that an operator runs and names by URL, shared with whoever else
 * the URL is given to. Writers lock the rows they change (docs/decisions/0024), and readers wait for nobody.
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

/** What the URL leaves open. A `statement_timeout` and the like in the URL's query win. */
const defaults: PoolConfig = {
  application_name: 'flotilla',
  /** Debian's server takes 100 from everyone. */
  max: 10,
  idleTimeoutMillis: 30_000,
  keepAlive: true,
  /** For a new connection as for one of the pool. */
  connectionTimeoutMillis: 5_000,
  lock_timeout: 10_000,
  statement_timeout: 15_000,
  /** On our side, for a server that has gone without a word: after the server's own limit has had its chance. */
  query_timeout: 20_000,
  /** On the server's side, for a program that hangs: after the store's own limit on a transaction has had its chance. */
  idle_in_transaction_session_timeout: 45_000,
};

/** The other connections of the pool are for who reads. */
const writersMax = 6;

const closeMs = 5_000;

/**
 * Connects to a `postgres://` or `postgresql://` URL as libpq knows it. Applies no migration. `invalid` for another
 * URL; `unavailable`, with what to do, when there is no connection; `unsupported` when the database is not UTF-8.
 */
export async function openPostgres(url: string): Promise<OpenDatabase> {
  const place = describe(url);
  const pool = new Pool({ ...defaults, connectionString: url });
  // A connection that breaks while nobody uses it leaves the pool, and while someone does, their query fails: nothing
  // is left to do, but without a listener the event would end the process.
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

/** Host, port and database for people; never user or password. Raises `invalid`, without the text of the URL. */
function describe(url: string): string {
  const refusal = (message: string) =>
    new AppError('invalid', `DATABASE_URL ${message}`, {
      hint: 'write postgresql://USER:PASSWORD@HOST:PORT/DATABASE',
    });
  if (!/^postgres(?:ql)?:\/\//.test(url)) throw refusal('is not the URL of a PostgreSQL database');
  try {
    const { host, port, database } = new Client({ connectionString: url });
    return `${host}:${port}/${database}`;
  } catch (error) {
    // Only an error of the file system, over a certificate's file, is known not to quote the URL.
    const isFileError = error instanceof Error && 'syscall' in error;
    throw refusal(isFileError ? `names a file that cannot be read: ${error.message}` : 'cannot be read');
  }
}

/** In another encoding some names could not be stored. */
async function refuseEncoding(db: Kysely<Database>): Promise<void> {
  const { rows } = await sql<{ readonly encoding: string }>`
    select current_setting('server_encoding') as encoding`.execute(db);
  const encoding = rows[0]?.encoding;
  if (encoding === 'UTF8') return;
  throw new AppError('unsupported', `the database's encoding is ${encoding}`, {
    hint: "create the database with encoding 'UTF8'",
  });
}

/** Saying goodbye to a server that does not answer must not hold up whoever leaves. */
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
