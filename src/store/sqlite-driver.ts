/** node:sqlite as a Kysely dialect whose transactions take the write lock at once. */
import type { DatabaseSync } from 'node:sqlite';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  SqliteDialect,
  type SqliteDialectConfig,
  SqliteDriver,
  type TransactionSettings,
} from 'kysely';
import { Lease, leaseOf } from './lease.ts';
import { explainSqlite } from './sqlite-errors.ts';
import type { StatementCache } from './statement-cache.ts';

export class NodeSqliteDialect extends SqliteDialect {
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

  override async acquireConnection(): Promise<DatabaseConnection> {
    return new Lease(await super.acquireConnection(), explainSqlite);
  }

  /** A deferred transaction that reads first can fail when it comes to write; one that never writes cannot. */
  override async beginTransaction(
    connection: DatabaseConnection,
    { accessMode }: TransactionSettings = {},
  ): Promise<void> {
    const begin = CompiledQuery.raw(accessMode === 'read only' ? 'begin' : 'begin immediate');
    await connection.executeQuery(begin);
  }

  override async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const lease = leaseOf(connection);
    lease.seal();
    await lease.explained(() => super.commitTransaction(lease.connection));
  }

  /** SQLite rolls back by itself on some errors (disk full); a second rollback would hide the first error. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const lease = leaseOf(connection);
    lease.seal();
    if (this.#database.isTransaction) await super.rollbackTransaction(lease.connection);
  }

  override async releaseConnection(connection?: DatabaseConnection): Promise<void> {
    if (connection) leaseOf(connection).seal();
  }
}
