/**
 * Errors of the `/machines` dialect that differ from the neutral ones: those of a machine's state, guest and
 * VMM.
 */
import { CursorExpired } from '../../../core/commands/command.ts';
import type { AppError } from '../../../core/errors.ts';
import type { MachineState } from '../../../core/machines/states.ts';
import {
  type ErrorAnswer,
  type ErrorWords,
  isRetryable,
  neutralBody,
  neutralShape,
  neutralWords,
  statusOf,
} from '../../errors.ts';
import { ExecFailed } from './execs/buffered.ts';
import { FileTimedOut, PathTraversal } from './files/transfer.ts';
import { statusWord } from './translate.ts';

const words: ErrorWords = { ...neutralWords, guest: 'VSOCK_ERROR', engine: 'RUNTIME_ERROR' };

/** The message of every failure of a guest or its link; the hint has the details. */
const guestMessage = 'Failed to communicate with VM';

/** An error in this dialect's format. A machine whose state forbids the request gives 400 here. */
export function renderError(error: AppError, requestId: string | null): ErrorAnswer {
  const refusal = stateRefusal(error);
  if (refusal !== null) {
    const shape = { code: 'BAD_REQUEST', message: refusal, hint: error.hint };
    return { status: 400, body: neutralBody(shape, requestId, isRetryable(error)) };
  }
  if (error instanceof FileTimedOut) {
    const shape = { code: words.guest, message: error.message, hint: error.hint };
    return { status: 502, body: neutralBody(shape, requestId, true) };
  }
  const shape = neutralShape(error, words);
  const guestHint = { message: guestMessage, hint: error.hint ?? error.message };
  const isExpired = error instanceof CursorExpired;
  const details = detailsOf(error);
  const expired = isExpired ? { code: 'CURSOR_EXPIRED' } : {};
  const traversal = error instanceof PathTraversal ? { code: 'PATH_TRAVERSAL_ERROR' } : {};
  const shown = { ...shape, ...traversal, ...expired, ...(error.code === 'guest' ? guestHint : {}), details };
  return {
    status: isExpired ? 410 : statusOf(error),
    body: neutralBody(shown, requestId, isRetryable(error)),
  };
}

/**
 * The output of a command that failed, the cursors of one, the id of one that may have started, or the exit code that a shell
 * has for a program that it cannot run.
 */
function detailsOf(error: AppError): object | undefined {
  if (error instanceof ExecFailed) return error.output;
  if (error instanceof CursorExpired) return error.details;
  const { exec_id, exitCode: exit_code } = error.details ?? {};
  if (exec_id !== undefined) return { exec_id };
  return exit_code === undefined ? undefined : { exit_code };
}

function stateRefusal(error: AppError): string | null {
  const { action, state } = error.details ?? {};
  if (error.code !== 'conflict' || typeof action !== 'string' || typeof state !== 'string') return null;
  if (action === 'wait') return error.message;
  if (action === 'exec') return 'Machine must be running to execute commands';
  return `Cannot ${action} machine in '${statusWord(state as MachineState)}' state`;
}
