/** Translates PostgreSQL's errors. Their codes: postgresql.org/docs/15/errcodes-appendix.html. */
import { DatabaseError } from 'pg';
import { AppError, CommitUnknownError, type ErrorCode } from '../core/errors.ts';
import { ContentionError, DuplicateError } from './database.ts';
import { uniqueIndexes } from './schema.ts';

interface Meaning {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}

const uniqueViolation = '23505';
/** Deadlocks and serialisation failures: the server ended this transaction so that another can proceed. */
const rollbackClass = '40';

const lost: Meaning = {
  code: 'unavailable',
  message: 'the connection to the database was lost',
  hint: 'Try again. If it happens again, look at the log of the database server.',
};

/** By code, or else by class (the first two characters). */
const meanings: Readonly<Record<string, Meaning>> = {
  '53100': {
    code: 'exhausted',
    message: 'no space left on the disk that holds the database',
    hint: 'Free some space on the database server.',
  },
  '53': {
    code: 'unavailable',
    message: 'the database server has no connection or memory left',
    hint: 'Try again later, or raise max_connections or memory of the database server.',
  },
  '55P03': {
    code: 'unavailable',
    message: 'another program keeps the database locked',
    hint: 'Try again later.',
  },
  '57014': {
    code: 'unavailable',
    message: 'the database did not answer in time',
    hint: 'Try again later. If it happens again, look at the load of the database server.',
  },
  '57P03': {
    code: 'unavailable',
    message: 'the database server is starting or stopping',
    hint: 'Try again later.',
  },
  '57': lost,
  '08': lost,
  '25P03': lost,
  '25006': {
    code: 'unavailable',
    message: 'the database is read-only',
    hint: 'It may be a standby; name the primary in DATABASE_URL.',
  },
  '28': {
    code: 'unavailable',
    message: 'the database server refused the login',
    hint: 'Check user and password in DATABASE_URL, and pg_hba.conf on the server.',
  },
  '3D000': {
    code: 'unavailable',
    message: 'there is no such database on the server',
    hint: 'Create it, or correct its name in DATABASE_URL.',
  },
  '42501': {
    code: 'unavailable',
    message: 'the database user lacks a permission',
    hint: 'Make the user of DATABASE_URL the owner of the database.',
  },
};

/**
 * Returns null for an error that is a bug of ours. Errors that are not the server's concern the connection to
 * it.
 */
export function explainPostgres(error: unknown): Error | null {
  if (!(error instanceof DatabaseError)) return unreachable(error);
  if (error.code === uniqueViolation) return duplicate(error);
  if (error.code?.startsWith(rollbackClass)) return new ContentionError(error);
  const meaning = meanings[error.code ?? ''] ?? meanings[error.code?.slice(0, 2) ?? ''];
  return meaning === undefined ? null : toAppError(meaning, error);
}

/** Whether the state of the connection is unknown after the error. */
export function breaksConnection(error: unknown): boolean {
  return !(error instanceof DatabaseError) || error.severity !== 'ERROR';
}

/** For errors of the commit itself: the server may have committed before the connection broke. */
export function explainCommit(error: unknown): Error | null {
  if (!breaksConnection(error)) return explainPostgres(error);
  return new CommitUnknownError(error);
}

function unreachable(error: unknown): AppError {
  // When several addresses fail, the error is an AggregateError with an empty message.
  const reason =
    error instanceof Error ? error.message || (error as NodeJS.ErrnoException).code : String(error);
  return new AppError('unavailable', `no connection to the database: ${reason}`, {
    cause: error,
    hint: 'Check that the database server runs and that DATABASE_URL points to it, then try again.',
  });
}

function duplicate(error: DatabaseError): DuplicateError | null {
  const columns = uniqueIndexes[error.constraint ?? ''];
  return columns === undefined ? null : new DuplicateError(error.table ?? '', columns, error);
}

function toAppError({ code, message, hint }: Meaning, cause: unknown): AppError {
  return new AppError(code, message, { cause, hint });
}
