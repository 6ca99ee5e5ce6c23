/** The writer thread as a Kysely dialect. Its transactions take the write lock immediately. */
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
import { ConnectionUse, useOf } from './connection-use.ts';
import { explainSqlite } from './sqlite-errors.ts';
import type { Request } from './sqlite-protocol.ts';
import { type Result, ThreadLostError, type WriterThread } from './sqlite-thread.ts';

/** The writer thread; a new one when the last has ended. */
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

  /** Declares a single connection, so that Kysely gives it to one user at a time. */
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

  /** Never rejects: Kysely would hand out no connection any more. Its first statement says that there is no thread. */
  async acquireConnection(): Promise<DatabaseConnection> {
    return new ConnectionUse(new WriterConnection(this.#thread), explainSqlite);
  }

  /** Immediate: a deferred transaction that reads first can fail when it starts to write. */
  async beginTransaction(connection: DatabaseConnection, { accessMode }: TransactionSettings): Promise<void> {
    const { use, writer } = parts(connection);
    await use.explained(() => writer.run(accessMode === 'read only' ? 'begin' : 'begin immediate'));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const { use, writer } = parts(connection);
    use.seal();
    try {
      await use.explained(() => writer.run('commit'));
    } catch (error) {
      throw error instanceof ThreadLostError ? new CommitUnknownError(error) : error;
    }
  }

  /** A lost thread has taken its transaction with it; an error here would hide the earlier one. */
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const { use, writer } = parts(connection);
    use.seal();
    try {
      await writer.request({ kind: 'roll back' });
    } catch (error) {
      if (!(error instanceof ThreadLostError)) throw error;
    }
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    useOf(connection).seal();
  }

  async destroy(): Promise<void> {}
}

function parts(connection: DatabaseConnection): {
  readonly use: ConnectionUse;
  readonly writer: WriterConnection;
} {
  const use = useOf(connection);
  invariant(use.connection instanceof WriterConnection, 'not a connection of this driver');
  return { use, writer: use.connection };
}

class WriterConnection implements DatabaseConnection {
  readonly #source: WriterSource;
  /** The same for all that is asked over one connection: a transaction does not pass to another thread. */
  #thread: ReturnType<WriterSource> | null = null;

  constructor(source: WriterSource) {
    this.#source = source;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    // The other thread refuses values that it cannot bind.
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
    return this.request({ kind: 'run', sql, parameters });
  }

  async request(request: Request): Promise<Result> {
    this.#thread ??= this.#source();
    return (await this.#thread).request(request);
  }
}
