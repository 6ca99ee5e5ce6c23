/** The name of a request: the caller's own when it is a plain one, else made here; it comes back and is in the log. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';

export const requestIdHeader = 'X-Request-Id';
const correlationIdHeader = 'X-Correlation-ID';
const plain = /^[\w.:-]{1,128}$/;

/** Names a request and says so in its answer's headers, before anything can go wrong with it. */
export function nameRequest({ headers }: IncomingMessage, answer: ServerResponse): void {
  const correlation = plainOf(headers['x-correlation-id']);
  if (correlation !== null) answer.setHeader(correlationIdHeader, correlation);
  answer.setHeader(requestIdHeader, plainOf(headers['x-request-id']) ?? correlation ?? randomUUID());
}

/** The name that `nameRequest` gave. */
export function requestIdOf(answer: ServerResponse): string {
  return String(answer.getHeader(requestIdHeader));
}

/** For what is no request yet. */
export function newRequestId(): string {
  return randomUUID();
}

function plainOf(value: OutgoingHttpHeaders[string]): string | null {
  return typeof value === 'string' && plain.test(value) ? value : null;
}
