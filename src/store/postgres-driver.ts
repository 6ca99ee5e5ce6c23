/**
 * A Kysely dialect for `pg`. Kysely's own cannot distinguish a failed commit from one whose answer was lost,
 * and returns a connection to the pool although its query was given up.
 */
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  PostgresDialect,
  type QueryResult,
  type TransactionSettings,
} from 'kysely';
import type { Pool, PoolClient } from 'pg';
import { invariant } from '../lib/invariant.ts';
import { ConnectionUse, useOf } from './connection-use.ts';
import { breaksConnection, explainCommit, explainPostgres } from './postgres-errors.ts';

/**
 * Read committed: each statement must see what was committed before it obtained its locks. A stricter level
 * would see the moment when the transaction began. Also forces the server to sync on commit if it is
 * configured not to; stronger settings are left alone.
 */
const beginWriting = `
  begin isolation level read committed read write;
  select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off';`;

const beginReading = 'begin isolation level repeatable read read only';

export class PgDialect extends PostgresDialect {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    super({ pool });
    this.#pool = pool;
  }

  override createDriver(): Driver {
    return new PgDriver(this.#pool);
  }
}

class PgDriver implements Driver {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    try {
      return new ConnectionUse(new PgConnection(await this.#pool.connect()), explainPostgres);
    } catch (error) {
      throw explainPostgres(error) ?? error;
    }
  }

  async beginTransaction(connection: DatabaseConnection, { accessMode }: TransactionSettings): Promise<void> {
    const { use, client } = parts(connection);
    await use.explained(async () => {
      try {
        await client.run(accessMode === 'read only' ? beginReading : beginWriting);
      } catch (error) {
        // Kysely only rolls back transactions that have begun; this connection may be in between.
        client.isBroken = true;
        throw error;
      }
    });
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    const { use, client } = parts(connection);
    use.seal();
    let command: string | undefined;
    try {
      command = await client.run('commit');
    } catch (error) {
      throw explainCommit(error) ?? error;
    }
    // This is how the server ends a transaction in which a statement failed.
    invariant(command !== 'ROLLBACK', 'a failed statement was ignored inside a transaction');
  }

  /**
   * A connection that cannot roll back is discarded, which also rolls back, without hiding an earlier error.
   */
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const { use, client } = parts(connection);
    use.seal();
    if (client.isBroken) return;
    try {
      await client.run('rollback');
    } catch {
      client.isBroken = true;
    }
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    const { use, client } = parts(connection);
    use.seal();
    client.release();
  }

  async destroy(): Promise<void> {
    await this.#pool.end();
  }
}

function parts(connection: DatabaseConnection): {
  readonly use: ConnectionUse;
  readonly client: PgConnection;
} {
  const use = useOf(connection);
  invariant(use.connection instanceof PgConnection, 'not a connection of this driver');
  return { use, client: use.connection };
}

class PgConnection implements DatabaseConnection {
  readonly #client: PoolClient;
  /** Set when the pool must not reuse the connection. */
  isBroken = false;

  constructor(client: PoolClient) {
    this.#client = client;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const { command, rowCount, rows } = await this.#noting(this.#client.query(sql, [...parameters]));
    const isWrite = command === 'INSERT' || command === 'UPDATE' || command === 'DELETE';
    return { rows, ...(isWrite ? { numAffectedRows: BigInt(rowCount ?? 0) } : {}) };
  }

  // biome-ignore lint/correctness/useYield: Kysely asks for the method; nothing in this room streams.
  async *streamQuery(): AsyncIterableIterator<never> {
    invariant(false, 'the store does not stream');
  }

  /** Runs statements without parameters; returns the server's command tag if there was only one. */
  async run(statements: string): Promise<string | undefined> {
    const result: { readonly command?: string } = await this.#noting(this.#client.query(statements));
    return result.command;
  }

  release(): void {
    this.#client.release(this.isBroken);
  }

  async #noting<T>(result: Promise<T>): Promise<T> {
    try {
      return await result;
    } catch (error) {
      this.isBroken ||= breaksConnection(error);
      throw error;
    }
  }
}
