/** The error body of the `/machines` dialect: `{"error":{"code","message",…}}`, and its words for core's codes. */
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { z } from 'zod';
import { AppError, type ErrorCode } from '../../../core/errors.ts';
import type { MachineState } from '../../../core/machines/states.ts';
import type { Logger } from '../../../lib/log.ts';
import type { HttpEnv } from '../../context.ts';
import { type ErrorStatus, isRetryable, statusOf } from '../../errors.ts';
import type { RefusalStatus } from '../../server.ts';
import { statusWord } from './translate.ts';

const words: Readonly<Record<ErrorCode, string>> = {
  invalid: 'VALIDATION_ERROR',
  unauthenticated: 'UNAUTHORIZED',
  forbidden: 'FORBIDDEN',
  not_found: 'NOT_FOUND',
  conflict: 'CONFLICT',
  unsupported: 'BAD_REQUEST',
  exhausted: 'RESOURCE_EXHAUSTED',
  timeout: 'TIMEOUT',
  unavailable: 'UNAVAILABLE',
  guest: 'VSOCK_ERROR',
  engine: 'RUNTIME_ERROR',
  internal: 'INTERNAL_ERROR',
};

interface ErrorShape {
  readonly status: ErrorStatus;
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
}

/** What every failure of a guest or its link is called; the hint says what it was. */
const guestMessage = 'Failed to communicate with VM';

/** Answers with this dialect's body. What is not an AppError is a defect of ours: logged whole, shown as nothing. */
export function renderError(thrown: unknown, c: Context<HttpEnv>, log: Logger): Response {
  const error = toAppError(thrown);
  const { status, code, message, hint } = shapeOf(error);
  const requestId = c.get('requestId');
  if (status === 401) c.header('WWW-Authenticate', 'Bearer');
  if (status === 500) log.error({ requestId, path: c.req.path, err: thrown }, 'request failed');
  return c.json(
    {
      error: {
        code,
        message,
        ...(requestId ? { request_id: requestId } : {}),
        retryable: isRetryable(error),
        ...(hint ? { hint } : {}),
      },
    },
    status,
  );
}

/** The body for a request that never reached a route, because it is no HTTP or its headers do not come. */
export function refusalBody(status: RefusalStatus, requestId: string | null): string {
  const [code, message] = refusals[status];
  return JSON.stringify({
    error: {
      code,
      message,
      ...(requestId === null ? {} : { request_id: requestId }),
      retryable: status === 408,
    },
  });
}

const refusals: Readonly<Record<RefusalStatus, readonly [code: string, message: string]>> = {
  400: ['BAD_REQUEST', 'the request is not valid HTTP'],
  408: ['TIMEOUT', 'the request’s headers did not arrive in time'],
  417: ['BAD_REQUEST', 'only 100-continue can be expected'],
  431: ['BAD_REQUEST', 'the request’s headers are too large'],
};

function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (thrown instanceof HTTPException && thrown.status === 400) return new BadRequest(thrown.message);
  return new AppError('internal', 'An unexpected error occurred', { cause: thrown });
}

/** A request that cannot be read at all, as against one whose fields are wrong. */
export class BadRequest extends AppError {
  constructor(message: string) {
    super('invalid', message);
  }
}

function shapeOf(error: AppError): ErrorShape {
  const status = statusOf(error);
  const { hint } = error;
  if (error instanceof BadRequest) return { status, code: 'BAD_REQUEST', message: error.message, hint };
  const { action, state } = error.details ?? {};
  if (error.code === 'conflict' && typeof action === 'string' && typeof state === 'string') {
    return {
      status: 400,
      code: 'BAD_REQUEST',
      message: stateMessage(action, state as MachineState, error.message),
      hint,
    };
  }
  if (error.code === 'internal')
    return { status, code: words.internal, message: 'An unexpected error occurred' };
  if (error.code === 'guest')
    return { status, code: words.guest, message: guestMessage, hint: hint ?? error.message };
  return { status, code: words[error.code], message: error.message, hint };
}

function stateMessage(action: string, state: MachineState, message: string): string {
  if (action === 'wait') return message;
  if (action === 'exec') return 'Machine must be running to execute commands';
  return `Cannot ${action} machine in '${statusWord(state)}' state`;
}

/** The first thing wrong with a body or query, as this dialect says it: `vcpu_count must be at least 1`. */
export function describeIssue(error: z.core.$ZodError, input: unknown): string {
  const issue = error.issues[0];
  return issue ? describe(issue, nameOf(issue.path), input) : 'request is invalid';
}

function nameOf(path: readonly PropertyKey[]): string {
  return path.map(String).join('.') || 'body';
}

function describe(issue: z.core.$ZodIssue, name: string, input: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      if (valueAt(input, issue.path) === undefined) return `${name} is required`;
      return `${name} must be ${article(issue.expected)}`;
    case 'too_small':
      if (issue.origin === 'string') return `${name} must not be empty`;
      if (issue.origin === 'array') return `${name} must not be empty`;
      return `${name} must be at least ${issue.minimum}`;
    case 'too_big':
      if (issue.origin === 'string') return `${name} must have at most ${issue.maximum} characters`;
      if (issue.origin === 'array') return `${name} must have at most ${issue.maximum} items`;
      return `${name} must be at most ${issue.maximum}`;
    case 'invalid_value':
      if (valueAt(input, issue.path) === undefined) return `${name} is required`;
      return `${name} must be one of: ${issue.values.map(String).join(', ')}`;
    case 'invalid_key': {
      const [first] = issue.issues;
      const wrong = first ? describe(first, 'a key', input) : 'a key is invalid';
      return `${nameOf(issue.path.slice(0, -1))}: ${wrong}`;
    }
    case 'unrecognized_keys':
      return `unknown field: ${issue.keys.join(', ')}`;
    default:
      return /^(must|is) /.test(issue.message) ? `${name} ${issue.message}` : `${name}: ${issue.message}`;
  }
}

function article(expected: string): string {
  // There are no other numbers here.
  if (expected === 'number' || expected === 'int') return 'an integer';
  if (expected === 'array' || expected === 'object') return `an ${expected}`;
  if (expected === 'record') return 'an object';
  return `a ${expected}`;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}
