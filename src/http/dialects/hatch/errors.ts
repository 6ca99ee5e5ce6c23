/** Errors in Hatch's format, `{"error":"text"}`, and in its words. */
import { AppError } from '../../../core/errors.ts';
import type { MachineState } from '../../../core/machines/states.ts';
import { QuotaExceeded } from '../../../core/quotas/quota.ts';
import { SnapshotsExceeded } from '../../../core/snapshots/service.ts';
import { type ErrorAnswer, MethodNotAllowed, statusOf } from '../../errors.ts';
import { stateWord } from './translate.ts';

export function renderError(error: AppError): ErrorAnswer {
  return { status: statusOf(error), body: { error: textOf(error) } };
}

/** A path of this dialect without a route for this method. Below `/vms/{id}/`, Hatch answers 404 for any method. */
export function unknownRoute(method: string, path: string, allowed: readonly string[]): AppError {
  if (path === '/vms/') return new AppError('invalid', 'invalid path');
  const isAction = /^\/vms\/[^/]+\/./.test(path);
  if (allowed.length === 0 || isAction) return new AppError('not_found', 'not found');
  return new MethodNotAllowed(method, path, allowed);
}

function textOf(error: AppError): string {
  const { code, message, hint, details = {} } = error;
  if (code === 'internal') return 'internal error';
  if (error instanceof MethodNotAllowed) return 'method not allowed';
  // An image that is not there is named, and so are those that are.
  if (code === 'not_found' && ('machine' in details || 'template' in details)) return 'not found';
  if (error instanceof QuotaExceeded && error.resource === 'machines')
    return `vm limit reached (${error.used}/${error.limit})`;
  if (error instanceof SnapshotsExceeded) return `snapshot limit reached (${error.used}/${error.limit})`;
  if (code === 'unauthenticated') return isKeyMissing(error) ? 'unauthorized' : 'invalid api key';
  const { action, state } = details;
  if (code === 'conflict' && typeof state === 'string' && typeof action === 'string') {
    const word = stateWord(state as MachineState);
    return action === 'exec' ? `vm is ${word}, must be running` : `cannot ${action} a vm that is ${word}`;
  }
  return hint === undefined ? message : `${message}. ${hint}`;
}

function isKeyMissing({ message }: AppError): boolean {
  return message === 'Authorization header is required';
}
