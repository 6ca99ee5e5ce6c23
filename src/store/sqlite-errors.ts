/** Translates SQLite's errors. */
import { AppError } from '../core/errors.ts';
import { DiskFullError, DuplicateError } from './database.ts';

/** SQLite's result codes, sqlite.org/rescode.html; the low byte is the primary code. */
const resultCode = { busy: 5, full: 13, primaryKey: 1555, unique: 2067, shmSize: 4874 } as const;
/** Primary codes of a file that cannot be used: perm, readonly, ioerr, corrupt, cantopen, protocol, notadb. */
const unusable: ReadonlySet<number> = new Set([3, 8, 10, 11, 14, 15, 26]);

export function explainSqlite(error: unknown): Error | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null;
  const { errcode } = error;
  if (errcode === resultCode.unique || errcode === resultCode.primaryKey) return duplicate(error);
  // The index of the log cannot grow: the only form in which SQLite reports a full disk here.
  if (errcode === resultCode.shmSize) return new DiskFullError(error);
  switch (errcode & 0xff) {
    case resultCode.full:
      return new DiskFullError(error);
    case resultCode.busy:
      return new AppError('unavailable', 'another program keeps the database locked', {
        cause: error,
        hint: 'Try again. If it stays locked, end the program that has flotilla.db open.',
      });
    default:
      if (!unusable.has(errcode & 0xff)) return null;
      return new AppError('unavailable', `the database cannot be used: ${error.message}`, {
        cause: error,
        hint: 'look at the disk of the state directory; ./flotilla doctor says what is wrong with the file',
      });
  }
}

/** Only the message names the columns: `UNIQUE constraint failed: machines.tenant, machines.name`. */
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
