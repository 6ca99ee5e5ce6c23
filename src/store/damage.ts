/**
 * Rows that cannot be read: somebody else changed them, or a defect of ours wrote them. One such row stops nothing but
 * what asks for it: lists leave it out and say so in the log, asking for it by name raises DamagedRecordError.
 */
import { DamagedRecordError } from '../core/errors.ts';
import { InvariantError } from '../lib/invariant.ts';
import type { Logger } from '../lib/log.ts';

/** What is told in the log is not told again; beyond this many nothing more is told. */
const toldMax = 100;

export type RecordKind = 'machine' | 'operation' | 'key';

interface Row {
  readonly id: string;
}

export class Damage {
  readonly #log: Pick<Logger, 'warn'>;
  readonly #told = new Set<string>();

  constructor(log: Pick<Logger, 'warn'>) {
    this.#log = log;
  }

  /** The rows that can be read. */
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
    this.#log.warn({ kind, id, reason }, 'a record is damaged and left out; ./flotilla doctor lists them');
  }
}

/** The row decoded; DamagedRecordError when it cannot be. */
export function decodeOne<R extends Row, T>(kind: RecordKind, row: R, decode: (row: R) => T): T {
  try {
    return decode(row);
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    throw new DamagedRecordError(`${kind} ${row.id}`, error);
  }
}

/** Why the row cannot be read; null when it can. Names fields, never their contents. */
export function damageOf<R extends Row, T>(row: R, decode: (row: R) => T): string | null {
  try {
    decode(row);
    return null;
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    return error.message;
  }
}
