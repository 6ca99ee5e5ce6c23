/**
 * The program of the writer thread: commits wait for the disk here and block nothing else. It holds the only
 * writing connection and executes requests (sqlite-protocol.ts). It imports almost nothing, because a
 * thread's modules use extra memory.
 */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import {
  type Answer,
  type Failure,
  openingId,
  type Request,
  type RequestMessage,
  type WorkerOptions,
} from './sqlite-protocol.ts';
import { StatementCache } from './statement-cache.ts';

const options = workerData as WorkerOptions;

function open(): StatementCache {
  const database = new DatabaseSync(options.path, { timeout: options.busyTimeoutMs, defensive: true });
  try {
    configure(database);
  } catch (error) {
    database.close();
    throw error;
  }
  return new StatementCache(database, options.statementCountMax);
}

function configure(database: DatabaseSync): void {
  const mode = database.prepare('pragma journal_mode = wal').get()?.journal_mode;
  if (mode !== 'wal')
    throw new Error(`the file system does not support a write-ahead log (journal mode ${String(mode)})`);
  // In WAL mode, any lower level can lose acknowledged commits when the host loses power.
  database.exec('pragma synchronous = full');
  database.exec('pragma foreign_keys = on');
  database.exec('pragma trusted_schema = off');
  database.exec(`pragma journal_size_limit = ${options.walBytesKept}`);
}

function answer(statements: StatementCache, { id, request }: RequestMessage): Answer {
  switch (request.kind) {
    case 'run':
      return { id, ...run(statements, request) };
    case 'roll back':
      if (statements.isInTransaction) run(statements, { sql: 'rollback', parameters: [] });
      break;
    case 'close':
      statements.close();
  }
  return { id, rows: [], changes: null };
}

function run(statements: StatementCache, { sql, parameters }: Omit<Request & { kind: 'run' }, 'kind'>) {
  const statement = statements.prepare(sql);
  if (statement.reader) return { rows: statement.all(parameters), changes: null };
  return { rows: [], changes: Number(statement.run(parameters).changes) };
}

function failureOf(error: unknown): Failure {
  const { message, errcode, code } = error as { message?: string; errcode?: number; code?: string };
  return { message: message ?? String(error), errcode: errcode ?? null, code: code ?? null };
}

const port = parentPort;
if (port === null) throw new Error('this program must run as a worker thread');
try {
  const statements = open();
  port.postMessage({ id: openingId, rows: [], changes: null } satisfies Answer);
  port.on('message', (message: RequestMessage) => {
    try {
      port.postMessage(answer(statements, message));
    } catch (error) {
      port.postMessage({ id: message.id, failure: failureOf(error) } satisfies Answer);
    }
    if (message.request.kind === 'close') port.close();
  });
} catch (error) {
  port.postMessage({ id: openingId, failure: failureOf(error) } satisfies Answer);
  port.close();
}
