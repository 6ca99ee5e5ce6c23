/** Errors in HyperMachine's format: `{"error":{"code","message","details"}}`, with the request's id. */
import type { AppError, ErrorCode } from '../../../core/errors.ts';
import { isTransit, type MachineState } from '../../../core/machines/states.ts';
import { sentence } from '../../../lib/sentence.ts';
import { type ErrorAnswer, type ErrorStatus, type ErrorWords, isRetryable, statusOf } from '../../errors.ts';
import { stateWord } from './translate.ts';

export const words: ErrorWords = {
  invalid: 'INVALID_REQUEST',
  unauthenticated: 'UNAUTHORIZED',
  forbidden: 'FORBIDDEN',
  not_found: 'NOT_FOUND',
  conflict: 'CONFLICT',
  unsupported: 'UNSUPPORTED',
  exhausted: 'RESOURCE_EXHAUSTED',
  quota: 'QUOTA_EXCEEDED',
  rate_limited: 'RATE_LIMITED',
  timeout: 'TIMEOUT',
  unavailable: 'UNAVAILABLE',
  guest: 'GUEST_UNREACHABLE',
  engine: 'ENGINE_ERROR',
  internal: 'INTERNAL_ERROR',
};

export interface ErrorWordsOf {
  readonly code: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** This dialect also answers 429 when a quota is used up. */
const ownStatuses: Readonly<Partial<Record<ErrorCode, ErrorStatus>>> = { quota: 429 };

export function renderError(error: AppError, requestId: string | null): ErrorAnswer {
  const shape = shapeOf(error);
  return {
    status: ownStatuses[error.code] ?? statusOf(error),
    body: { error: { ...shape, ...(requestId === null ? {} : { request_id: requestId }) } },
  };
}

/** The visible part of an error, also for the answers of tools. */
export function shapeOf(error: AppError): ErrorWordsOf {
  if (error.code === 'internal')
    return { code: words.internal, message: 'An unexpected error occurred', details: {} };
  const { machine, action, state, ...details } = error.details ?? {};
  if (error.code === 'not_found' && typeof machine === 'string')
    return { code: 'VM_NOT_FOUND', message: `Virtual machine '${machine}' not found`, details: {} };
  if (error.code === 'conflict' && typeof action === 'string' && typeof state === 'string') {
    return conflictOf(error, action, state as MachineState);
  }
  return {
    code: words[error.code],
    message: sentence(error.message),
    details: { ...details, ...hintOf(error) },
  };
}

/** What the state of a virtual machine forbids. `exec` is what scripts need. */
function conflictOf(error: AppError, action: string, state: MachineState): ErrorWordsOf {
  const word = stateWord(state);
  const isScript = action === 'exec';
  const isPassing = isRetryable(error);
  return {
    code: 'INVALID_STATE',
    message: `Cannot ${isScript ? 'run a script in' : action} a virtual machine in state '${word}'`,
    details: {
      operation: isScript ? 'script' : action,
      state: word,
      ...(isPassing ? { retryable: true, ...hintOf(error) } : hintOfState(action, state, word)),
    },
  };
}

/** This dialect has no `force`, and no words for some states of machines. */
function hintOfState(action: string, state: MachineState, word: string): { readonly hint?: string } {
  if (action === 'delete') return { hint: 'Stop it first.' };
  return isTransit(state) && state !== word ? { hint: `It is ${state}.` } : {};
}

function hintOf({ hint }: AppError): { readonly hint?: string } {
  return hint === undefined ? {} : { hint: sentence(hint) };
}
