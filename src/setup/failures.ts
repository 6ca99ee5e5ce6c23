/** Turns errors of programs and the file system into errors with a hint. */
import { AppError, isAppError, wrapError } from '../core/errors.ts';
import { ProcessError } from '../lib/process.ts';

const networkPattern =
  /could not resolve|temporary failure (in name resolution|resolving)|unable to connect|connection (failed|refused|timed out)|network is unreachable|no route to host|failed to fetch|i\/o timeout|no such host|could not connect/i;
const spacePattern =
  /no space left on device|not enough free space|you don't have enough free space|disk quota exceeded/i;
const aptLockPattern = /could not get lock|unable to acquire the dpkg|unable to lock/i;
const certificatePattern = /x509: certificate|certificate verif(y|ication) failed/i;
const releasePattern = /release file .* (expired|not valid yet)/i;

/** A step's error as an AppError with a hint; `doing` says what was being done, in lower case. */
export function explain(error: unknown, doing: string): AppError {
  if (isAppError(error)) return wrapError(error, doing);
  const text = error instanceof ProcessError ? error.stderr : error instanceof Error ? error.message : '';
  const code = (error as NodeJS.ErrnoException | null)?.code;
  const message = `cannot ${doing}: ${error instanceof Error ? error.message : String(error)}`;
  if (code === 'ENOSPC' || code === 'EDQUOT' || spacePattern.test(text)) {
    return new AppError('exhausted', message, {
      cause: error,
      hint: 'Free some disk space, or set FLOTILLA_CACHE_DIR to a directory on a larger disk, and run this command again.',
    });
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new AppError('unsupported', message, {
      cause: error,
      hint: 'Run as root, or set FLOTILLA_CACHE_DIR to a directory you can write to.',
    });
  }
  if (aptLockPattern.test(text)) {
    return new AppError('unavailable', message, {
      cause: error,
      hint: 'Another package manager holds the lock; wait for it to end and run this command again.',
    });
  }
  if (releasePattern.test(text)) {
    return new AppError('unavailable', message, {
      cause: error,
      hint: "Set this machine's clock right (see `date`) and run this command again.",
    });
  }
  if (certificatePattern.test(text)) {
    return new AppError('unavailable', message, {
      cause: error,
      hint: "A server's certificate is not trusted here: install ca-certificates, and your proxy's own if there is one, and run this command again.",
    });
  }
  if (networkPattern.test(text)) {
    return new AppError('unavailable', message, {
      cause: error,
      hint: 'Check the network, DNS and the http_proxy variable, then run this command again; it goes on where it stopped.',
    });
  }
  if (error instanceof ProcessError && error.isTimeout) {
    return new AppError('timeout', message, {
      cause: error,
      hint: 'The machine or its network is very slow; run this command again, it goes on where it stopped.',
    });
  }
  if (error instanceof ProcessError && error.isMissing) {
    return new AppError('unsupported', message, {
      cause: error,
      hint: `Install the package that holds \`${error.command}\`, or run this command as root on Debian 12.`,
    });
  }
  return new AppError('internal', message, { cause: error });
}

/** Runs one part of a step and explains its failure; an abort passes through unchanged. */
export async function explaining<T>(doing: string, signal: AbortSignal, part: () => Promise<T>): Promise<T> {
  try {
    return await part();
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw explain(error, doing);
  }
}
