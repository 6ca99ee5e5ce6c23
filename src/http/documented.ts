/** Common parts of all routes' documentation: answers, failures and bodies. */
import { OpenAPIHono, type z } from '@hono/zod-openapi';
import { AppError } from '../core/errors.ts';
import type { HttpEnv } from './context.ts';
import { describeIssue } from './issues.ts';
import { errorBody, exampleRequestId } from './schema.ts';

export const json = <T extends z.ZodType>(description: string, body: T) => ({
  description,
  content: { 'application/json': { schema: body } },
});
/** `code` and `message` are examples. */
export const failure = (description: string, code: string, message: string, retryable = false) => ({
  description,
  content: {
    'application/json': {
      schema: errorBody,
      example: { error: { code, message, request_id: exampleRequestId, retryable } },
    },
  },
});
/** Failures that are possible for any request. */
export const commonFailures = {
  401: failure('The key is missing or invalid.', 'UNAUTHORIZED', 'Invalid API key'),
  403: failure(
    'The key lacks the scope; or authentication is off and the request comes from another site’s page.',
    'FORBIDDEN',
    'Requests from elsewhere are not served while authentication is off',
  ),
  500: failure('Internal error, or the VMM failed.', 'INTERNAL_ERROR', 'An unexpected error occurred'),
  503: failure(
    'Temporarily impossible: too little memory or disk space, too many requests, or the daemon is shutting down.',
    'UNAVAILABLE',
    'Another program keeps the database locked',
    true,
  ),
  504: failure('The request took too long.', 'TIMEOUT', 'The guest did not answer within 60 s', true),
} as const;
export const invalid = (message: string) => ({
  400: failure('The request is invalid.', 'VALIDATION_ERROR', message),
});
/** Where a body may be sent. */
export const bodyRefused = {
  413: failure('The body is too large.', 'VALIDATION_ERROR', 'Request body is larger than 12582912 bytes'),
  415: failure(
    'The body is compressed, or its charset is not UTF-8.',
    'BAD_REQUEST',
    'A request body cannot have a Content-Encoding',
  ),
} as const;
export const bodyOf = <T extends z.ZodType>(body: T, example: z.input<T>) => ({
  body: { required: true, content: { 'application/json': { schema: body, example } } },
});

/**
 * The application of one noun: requests are validated against its schemas, and refused with a readable
 * message.
 */
export function nounApp(): OpenAPIHono<HttpEnv> {
  return new OpenAPIHono<HttpEnv>({
    defaultHook: (result) => {
      if (!result.success) throw new AppError('invalid', describeIssue(result.error, inputOf(result)));
    },
  });
}

function inputOf(result: object): unknown {
  return 'data' in result ? result.data : undefined;
}
