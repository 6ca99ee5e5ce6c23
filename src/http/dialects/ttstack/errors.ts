/** Errors in TTstack's envelope: `{"ok":false,"error":"text"}`. Its clients show the text and nothing else. */
import { AppError, type ErrorCode } from '../../../core/errors.ts';
import type { MachineState } from '../../../core/machines/states.ts';
import {
  type ErrorAnswer,
  type ErrorStatus,
  MethodNotAllowed,
  type RefusalStatus,
  statusOf,
} from '../../errors.ts';
import { stateWord } from './states.ts';

/** The request is sound, but no host can carry it out: 422. */
export class Unschedulable extends AppError {
  constructor(message: string, options: { readonly cause?: unknown; readonly hint?: string } = {}) {
    super('unsupported', message, options);
  }
}

/** No VM of an environment could be created: 502, with the controller's words. */
export class AllAttemptsFailed extends AppError {
  constructor(cause: AppError) {
    const { problems } = cause.details ?? {};
    const reasons = Array.isArray(problems) ? problems.join('; ') : cause.message;
    super('engine', `all VM creation attempts failed; check agent connectivity: ${reasons}`, { cause });
  }
}

const ownStatuses: Readonly<Partial<Record<ErrorCode, ErrorStatus>>> = { unsupported: 422 };

export function renderError(error: AppError): ErrorAnswer {
  const status = statusOfError(error);
  return { status, body: { ok: false, error: textOf(error) } };
}

function statusOfError(error: AppError): ErrorStatus {
  if (error instanceof AllAttemptsFailed) return 502;
  const usual = statusOf(error);
  return usual === 400 ? (ownStatuses[error.code] ?? usual) : usual;
}

function textOf(error: AppError): string {
  if (error.code === 'internal') return 'internal error';
  if (error instanceof MethodNotAllowed) return `method not allowed; use ${error.allowed.join(', ')}`;
  if (error.code === 'unauthenticated') return 'invalid or missing API key';
  const { action, machine } = error.details ?? {};
  if (error.code === 'not_found' && typeof machine === 'string') return `VM not found: ${machine}`;
  // The hint of another state names actions that TTstack does not have.
  const isOfState = error.code === 'conflict' && typeof action === 'string' && !error.isPassing;
  return error.hint === undefined || isOfState ? wordsOf(error) : `${wordsOf(error)}. ${error.hint}`;
}

/** TTstack stops by pausing and starts by resuming. */
const actionWords: Readonly<Record<string, string>> = { pause: 'stop', resume: 'start' };

function wordsOf({ code, message, details = {} }: AppError): string {
  const { action, state } = details;
  if (code !== 'conflict' || typeof action !== 'string' || typeof state !== 'string') return message;
  return `cannot ${actionWords[action] ?? action} VM in state ${stateWord(state as MachineState)}`;
}

export function unknownRoute(method: string, path: string, allowed: readonly string[]): AppError {
  if (allowed.length > 0) return new MethodNotAllowed(method, path, allowed);
  return new AppError('not_found', `no route ${method} ${path}`);
}

/** For input that is not HTTP, on a listener where this is the only dialect. */
export function refusal(status: RefusalStatus): string {
  const texts: Readonly<Record<RefusalStatus, string>> = {
    400: 'the request is not valid HTTP',
    408: 'the headers of the request did not arrive in time',
    417: 'only 100-continue can be expected',
    431: 'the headers of the request are too large',
  };
  return JSON.stringify({ ok: false, error: texts[status] });
}
