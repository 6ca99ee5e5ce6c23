/** What a check found: one sentence, and what to do about it. */

/** `error`: something does not work · `warn`: it works, with a limitation · `ok`: checked and fine. */
export type Level = 'ok' | 'warn' | 'error';

export interface Finding {
  readonly level: Level;
  /** The subject of the finding, in a word or two. */
  readonly subject: string;
  readonly message: string;
  /** What to do, with the command to run. */
  readonly hint?: string;
}

export function ok(subject: string, message: string, hint?: string): Finding {
  return make('ok', subject, message, hint);
}

export function warn(subject: string, message: string, hint?: string): Finding {
  return make('warn', subject, message, hint);
}

export function fail(subject: string, message: string, hint?: string): Finding {
  return make('error', subject, message, hint);
}

function make(level: Level, subject: string, message: string, hint: string | undefined): Finding {
  return { level, subject, message, ...(hint !== undefined && { hint }) };
}

/**
 * Runs a check; an error becomes a finding, so that the rest of the report is still made. Rethrows an abort.
 */
export async function checking(
  subject: string,
  signal: AbortSignal,
  check: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await check();
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') {
      return [fail(subject, `${path ?? 'it'} cannot be read by this user`, 'Run ./flotilla doctor as root.')];
    }
    const hint = (error as { hint?: unknown }).hint;
    const message = `it cannot be checked: ${error instanceof Error ? error.message : String(error)}`;
    return [fail(subject, message, typeof hint === 'string' ? hint : undefined)];
  }
}
