/**
 * The writing connection of a SQLite database, which executes requests (sqlite-protocol.ts) one after the other. The writer
 * thread holds the daemon's; tests that prove nothing about the thread hold one in their own. It imports almost nothing,
 * because a thread's modules use extra memory.
 */
import { DatabaseSync } from 'node:sqlite';
import type { Answer, Failure, Request, WorkerOptions } from './sqlite-protocol.ts';
import { StatementCache } from './statement-cache.ts';

export class SqliteConnection {
  readonly #statements: StatementCache;

  /** Opens the file; throws SQLite's error. */
  constructor({ path, busyTimeoutMs, walBytesKept, statementCountMax }: WorkerOptions) {
    const database = new DatabaseSync(path, { timeout: busyTimeoutMs, defensive: true });
    try {
      configure(database, walBytesKept);
    } catch (error) {
      database.close();
      throw error;
    }
    this.#statements = new StatementCache(database, statementCountMax);
  }

  answer(id: number, request: Request): Answer {
    try {
      return { id, ...this.#execute(request) };
    } catch (error) {
      return { id, failure: failureOf(error) };
    }
  }

  #execute(request: Request) {
    switch (request.kind) {
      case 'run':
        return this.#run(request);
      case 'roll back':
        if (this.#statements.isInTransaction) this.#run({ sql: 'rollback', parameters: [] });
        break;
      case 'close':
        this.#statements.close();
    }
    return { rows: [], changes: null };
  }

  #run({ sql, parameters }: Omit<Request & { kind: 'run' }, 'kind'>) {
    const statement = this.#statements.prepare(sql);
    if (statement.reader) return { rows: statement.all(parameters), changes: null };
    return { rows: [], changes: Number(statement.run(parameters).changes) };
  }
}

function configure(database: DatabaseSync, walBytesKept: number): void {
  const mode = database.prepare('pragma journal_mode = wal').get()?.journal_mode;
  if (mode !== 'wal')
    throw new Error(`the file system does not support a write-ahead log (journal mode ${String(mode)})`);
  // In WAL mode, any lower level can lose acknowledged commits when the host loses power.
  database.exec('pragma synchronous = full');
  database.exec('pragma foreign_keys = on');
  database.exec('pragma trusted_schema = off');
  database.exec(`pragma journal_size_limit = ${walBytesKept}`);
}

/** What the other thread gets to know of an error. */
export function failureOf(error: unknown): Failure {
  const { message, errcode, code } = error as { message?: string; errcode?: number; code?: string };
  return { message: message ?? String(error), errcode: errcode ?? null, code: code ?? null };
}
