/**
 * Handles rows that cannot be decoded, because another program or a bug changed them. One such row affects
 * only requests for it: lists omit it and log a warning; reading it by name raises DamagedRecordError.
 */
import { DamagedRecordError } from '../core/errors.ts';
import { InvariantError } from '../lib/invariant.ts';
import type { Logger } from '../lib/log.ts';

/** Each damaged row is logged once; beyond this number no more are logged. */
const toldMax = 100;

export type RecordKind =
  | 'machine'
  | 'environment'
  | 'operation'
  | 'key'
  | 'template'
  | 'snapshot'
  | 'route'
  | 'SSH key';

interface Row {
  readonly id: string;
}

export class Damage {
  readonly #log: Pick<Logger, 'warn'>;
  readonly #told = new Set<string>();

  constructor(log: Pick<Logger, 'warn'>) {
    this.#log = log;
  }

  /** Decodes the rows that are readable. */
  readable<R extends Row, T>(kind: RecordKind, rows: readonly R[], decode: (row: R) => T): readonly T[] {
    return rows.flatMap((row) => {
      try {
        return [decode(row)];
      } catch (error) {
        if (!(error instanceof InvariantError)) throw error;
        this.#tell(kind, row.id, error.message);
        return [];
      }
    });
  }

  #tell(kind: RecordKind, id: string, reason: string): void {
    const name = `${kind} ${id}`;
    if (this.#told.has(name) || this.#told.size >= toldMax) return;
    this.#told.add(name);
    this.#log.warn({ kind, id, reason }, 'damaged record omitted; ./flotilla doctor lists them');
  }
}

/** Decodes the row; raises DamagedRecordError when that fails. */
export function decodeOne<R extends Row, T>(kind: RecordKind, row: R, decode: (row: R) => T): T {
  try {
    return decode(row);
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    throw new DamagedRecordError(`${kind} ${row.id}`, error);
  }
}

/** Why the row cannot be decoded; null when it can. Names fields, never their contents. */
export function damageOf<R extends Row, T>(row: R, decode: (row: R) => T): string | null {
  try {
    decode(row);
    return null;
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    return error.message;
  }
}
