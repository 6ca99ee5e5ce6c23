/** What SQLite's errors mean to us. */
import { AppError } from '../core/errors.ts';
import { DuplicateError } from './database.ts';

/** SQLite's result codes, sqlite.org/rescode.html; the low byte is the primary code. */
const resultCode = { busy: 5, full: 13, primaryKey: 1555, unique: 2067 } as const;

export function explainSqlite(error: unknown): Error | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null;
  const { errcode } = error;
  if (errcode === resultCode.unique || errcode === resultCode.primaryKey) return duplicate(error);
  switch (errcode & 0xff) {
    case resultCode.full:
      return new AppError('exhausted', 'no space left on the disk that holds the database', {
        cause: error,
        hint: 'free some space in the state directory',
      });
    case resultCode.busy:
      return new AppError('unavailable', 'another program keeps the database locked', { cause: error });
    default:
      return null;
  }
}

/** The message is the only place that names the index: `UNIQUE constraint failed: machines.tenant, machines.name`. */
function duplicate(error: Error): DuplicateError | null {
  const names = /constraint failed: (.+)$/
    .exec(error.message)?.[1]
    ?.split(', ')
    .map((name) => name.split('.'));
  const table = names?.[0]?.[0];
  if (names === undefined || table === undefined) return null;
  return new DuplicateError(
    table,
    names.map((name) => name[1] ?? ''),
    error,
  );
}
