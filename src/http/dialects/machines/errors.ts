/**
 * Errors of the `/machines` dialect that differ from the neutral ones: those of a machine's state, guest and
 * VMM.
 */
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
import { ExecFailed } from './exec.ts';
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
  const shape = neutralShape(error, words);
  const guestHint = { message: guestMessage, hint: error.hint ?? error.message };
  const details = error instanceof ExecFailed ? error.output : undefined;
  const shown = { ...shape, ...(error.code === 'guest' ? guestHint : {}), details };
  return { status: statusOf(error), body: neutralBody(shown, requestId, isRetryable(error)) };
}

function stateRefusal(error: AppError): string | null {
  const { action, state } = error.details ?? {};
  if (error.code !== 'conflict' || typeof action !== 'string' || typeof state !== 'string') return null;
  if (action === 'wait') return error.message;
  if (action === 'exec') return 'Machine must be running to execute commands';
  return `Cannot ${action} machine in '${statusWord(state as MachineState)}' state`;
}
