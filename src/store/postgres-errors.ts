/** What PostgreSQL's errors mean to us. Their codes: postgresql.org/docs/15/errcodes-appendix.html. */
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
/** Deadlocks and failures of serialisation: the server ended this transaction so that another can go on. */
const rollbackClass = '40';

const lost: Meaning = {
  code: 'unavailable',
  message: 'the connection to the database was lost',
  hint: 'try again; look at the log of the database server when it goes on',
};

/** By code, else by its class, which is the first two characters. */
const meanings: Readonly<Record<string, Meaning>> = {
  '53100': {
    code: 'exhausted',
    message: 'no space left on the disk that holds the database',
    hint: 'free some space on the database server',
  },
  '53': {
    code: 'unavailable',
    message: 'the database server has no connection or memory left',
    hint: 'try again later, or give the database server more',
  },
  '55P03': {
    code: 'unavailable',
    message: 'another program keeps the database locked',
    hint: 'try again later',
  },
  '57014': {
    code: 'unavailable',
    message: 'the database did not answer in time',
    hint: 'try again later; look at the load of the database server when it goes on',
  },
  '57P03': {
    code: 'unavailable',
    message: 'the database server is starting or stopping',
    hint: 'try again later',
  },
  '57': lost,
  '08': lost,
  '25P03': lost,
  '25006': {
    code: 'unavailable',
    message: 'the database is read-only',
    hint: 'it may be a standby; name the primary in DATABASE_URL',
  },
  '28': {
    code: 'unavailable',
    message: 'the database server refused the login',
    hint: 'check user and password in DATABASE_URL, and pg_hba.conf on the server',
  },
  '3D000': {
    code: 'unavailable',
    message: 'there is no such database on the server',
    hint: 'create it, or correct its name in DATABASE_URL',
  },
  '42501': {
    code: 'unavailable',
    message: 'the database user may not do what the program needs',
    hint: 'let the user of DATABASE_URL own the database',
  },
};

/** Null for an error that is a defect of ours. What is not the server's error is the way to the server. */
export function explainPostgres(error: unknown): Error | null {
  if (!(error instanceof DatabaseError)) return unreachable(error);
  if (error.code === uniqueViolation) return duplicate(error);
  if (error.code?.startsWith(rollbackClass)) return new ContentionError(error);
  const meaning = meanings[error.code ?? ''] ?? meanings[error.code?.slice(0, 2) ?? ''];
  return meaning === undefined ? null : toAppError(meaning, error);
}

/** Whether nobody knows what state the connection is in after the error. */
export function breaksConnection(error: unknown): boolean {
  return !(error instanceof DatabaseError) || error.severity !== 'ERROR';
}

/** For an error of the commit itself: the server may have committed before the connection broke. */
export function explainCommit(error: unknown): Error | null {
  if (!breaksConnection(error)) return explainPostgres(error);
  return new CommitUnknownError(error);
}

function unreachable(error: unknown): AppError {
  // An attempt on several addresses fails with an AggregateError, whose message is empty.
  const reason =
    error instanceof Error ? error.message || (error as NodeJS.ErrnoException).code : String(error);
  return new AppError('unavailable', `no connection to the database: ${reason}`, {
    cause: error,
    hint: 'check that the database server runs and that DATABASE_URL leads to it, then try again',
  });
}

function duplicate(error: DatabaseError): DuplicateError | null {
  const columns = uniqueIndexes[error.constraint ?? ''];
  return columns === undefined ? null : new DuplicateError(error.table ?? '', columns, error);
}

function toAppError({ code, message, hint }: Meaning, cause: unknown): AppError {
  return new AppError(code, message, { cause, hint });
}
