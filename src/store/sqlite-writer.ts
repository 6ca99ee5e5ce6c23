/** The thread that writes as a Kysely dialect. Its transactions take the write lock at once. */
import type { SQLInputValue } from 'node:sqlite';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type DatabaseIntrospector,
  type Dialect,
  type DialectAdapter,
  type Driver,
  type Kysely,
  type QueryCompiler,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type TransactionSettings,
} from 'kysely';
import { CommitUnknownError } from '../core/errors.ts';
import { invariant } from '../lib/invariant.ts';
import { Lease, leaseOf } from './lease.ts';
import { explainSqlite } from './sqlite-errors.ts';
import { ThreadLostError, type WriterThread } from './sqlite-thread.ts';

/** The thread that writes, a new one when the last has ended. */
export type WriterSource = () => Promise<Pick<WriterThread, 'request'>>;

export class SqliteWriterDialect implements Dialect {
  readonly #thread: WriterSource;

  constructor(thread: WriterSource) {
    this.#thread = thread;
  }

  createDriver(): Driver {
    return new WriterDriver(this.#thread);
  }

  createQueryCompiler(): QueryCompiler {
    return new SqliteQueryCompiler();
  }

  /** Says that there is one connection, so that Kysely hands it out to one at a time. */
  createAdapter(): DialectAdapter {
    return new SqliteAdapter();
  }

  // biome-ignore lint/suspicious/noExplicitAny: as in Kysely's interface.
  createIntrospector(db: Kysely<any>): DatabaseIntrospector {
    return new SqliteIntrospector(db);
  }
}

class WriterDriver implements Driver {
  readonly #thread: WriterSource;

  constructor(thread: WriterSource) {
    this.#thread = thread;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return new Lease(new WriterConnection(await this.#thread()), explainSqlite);
  }

  /** A deferred transaction that reads first can fail when it comes to write. */
  async beginTransaction(connection: DatabaseConnection, { accessMode }: TransactionSettings): Promise<void> {
    const { lease, writer } = parts(connection);
    await lease.explained(() => writer.run(accessMode === 'read only' ? 'begin' : 'begin immediate'));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const { lease, writer } = parts(connection);
    lease.seal();
    try {
      await lease.explained(() => writer.run('commit'));
    } catch (error) {
      throw error instanceof ThreadLostError ? new CommitUnknownError(error) : error;
    }
  }

  /** A thread that is gone has taken its transaction with it; to say so would hide the error before. */
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const { lease, writer } = parts(connection);
    lease.seal();
    try {
      await writer.thread.request({ kind: 'roll back' });
    } catch (error) {
      if (!(error instanceof ThreadLostError)) throw error;
    }
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    leaseOf(connection).seal();
  }

  async destroy(): Promise<void> {}
}

function parts(connection: DatabaseConnection): { readonly lease: Lease; readonly writer: WriterConnection } {
  const lease = leaseOf(connection);
  invariant(lease.connection instanceof WriterConnection, 'not a connection of this driver');
  return { lease, writer: lease.connection };
}

class WriterConnection implements DatabaseConnection {
  readonly thread: Pick<WriterThread, 'request'>;

  constructor(thread: Pick<WriterThread, 'request'>) {
    this.thread = thread;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    // The other thread refuses what it cannot bind.
    const { rows, changes } = await this.run(sql, parameters as readonly SQLInputValue[]);
    return {
      rows: rows as R[],
      ...(changes === null ? {} : { numAffectedRows: BigInt(changes) }),
    };
  }

  // biome-ignore lint/correctness/useYield: Kysely asks for the method; nothing in this room streams.
  async *streamQuery(): AsyncIterableIterator<never> {
    invariant(false, 'the store does not stream');
  }

  run(sql: string, parameters: readonly SQLInputValue[] = []) {
    return this.thread.request({ kind: 'run', sql, parameters });
  }
}
