/**
 * One use of a database connection. A statement started by a transaction's work must not reach the connection
 * after the transaction has ended: it would take effect on its own, or inside the transaction of the
 * connection's next user. A driver seals the use before it commits or rolls back.
 */
import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely';
import { invariant } from '../lib/invariant.ts';
import type { Explain } from './database.ts';

export class ConnectionUse implements DatabaseConnection {
  readonly connection: DatabaseConnection;
  readonly #explain: Explain;
  #isSealed = false;

  constructor(connection: DatabaseConnection, explain: Explain) {
    this.connection = connection;
    this.#explain = explain;
  }

  /** Raises InvariantError once sealed. */
  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    invariant(!this.#isSealed, 'a transaction was used after it had ended');
    return this.explained(() => this.connection.executeQuery<R>(query));
  }

  // biome-ignore lint/correctness/useYield: Kysely asks for the method; nothing in this room streams.
  async *streamQuery(): AsyncIterableIterator<never> {
    invariant(false, 'the store does not stream');
  }

  /** Blocks all further queries through this use. */
  seal(): void {
    this.#isSealed = true;
  }

  /** Runs the driver's own work on the connection, sealed or not, and translates its errors. */
  async explained<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#explain(error) ?? error;
    }
  }
}

/** What this driver gave to Kysely. */
export function useOf(connection: DatabaseConnection): ConnectionUse {
  invariant(connection instanceof ConnectionUse, 'not a connection of this driver');
  return connection;
}
