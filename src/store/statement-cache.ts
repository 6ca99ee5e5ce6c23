/**
 * Adapts node:sqlite to Kysely's SQLite driver and caches prepared statements. Kysely prepares each query
 * again; the cache is about twice as fast and keeps memory use flat.
 */
import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { SqliteDatabase, SqliteStatement } from 'kysely';
import { Lru } from '../lib/lru.ts';

export class StatementCache implements SqliteDatabase {
  readonly #database: DatabaseSync;
  readonly #statements: Lru<string, SqliteStatement>;

  /** Keeps at most `sizeMax` statements, evicting the least recently used. */
  constructor(database: DatabaseSync, sizeMax: number) {
    this.#database = database;
    this.#statements = new Lru(sizeMax);
  }

  get size(): number {
    return this.#statements.size;
  }

  get isInTransaction(): boolean {
    return this.#database.isTransaction;
  }

  prepare(sql: string): SqliteStatement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#prepareNew(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  close(): void {
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  #prepareNew(sql: string): SqliteStatement {
    const database = this.#database;
    const statement = database.prepare(sql);
    return {
      reader: statement.columns().length > 0,
      all: (parameters) => statement.all(...inputs(parameters)),
      run: (parameters) => statement.run(...inputs(parameters)),
      // The statement's next use would reset an open iterator, so an iterator gets a separate statement.
      iterate: (parameters) => database.prepare(sql).iterate(...inputs(parameters)),
    };
  }
}

/** node:sqlite refuses values that it cannot bind. */
function inputs(parameters: readonly unknown[]): readonly SQLInputValue[] {
  return parameters as readonly SQLInputValue[];
}
