/** A read-only node:sqlite connection on this thread, as a Kysely dialect. */
import {
  type DatabaseConnection,
  type Driver,
  SqliteDialect,
  type SqliteDialectConfig,
  SqliteDriver,
} from 'kysely';
import { ConnectionUse, useOf } from './connection-use.ts';
import { explainSqlite } from './sqlite-errors.ts';
import type { StatementCache } from './statement-cache.ts';

export class SqliteReaderDialect extends SqliteDialect {
  readonly #config: SqliteDialectConfig;

  constructor(statements: StatementCache) {
    const config = { database: statements };
    super(config);
    this.#config = config;
  }

  override createDriver(): Driver {
    return new ReaderDriver(this.#config);
  }
}

/** Transactions are deferred: they see one moment from their first statement on, and wait for nobody. */
class ReaderDriver extends SqliteDriver {
  override async acquireConnection(): Promise<DatabaseConnection> {
    return new ConnectionUse(await super.acquireConnection(), explainSqlite);
  }

  override async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const use = useOf(connection);
    use.seal();
    await use.explained(() => super.commitTransaction(use.connection));
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const use = useOf(connection);
    use.seal();
    await super.rollbackTransaction(use.connection);
  }

  override async releaseConnection(connection?: DatabaseConnection): Promise<void> {
    if (connection) useOf(connection).seal();
  }
}
