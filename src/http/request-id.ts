/** Request ids: the client's own if it is a plain one, else a new one; sent back and logged. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';

export const requestIdHeader = 'X-Request-Id';
const correlationIdHeader = 'X-Correlation-ID';
const plain = /^[\w.:-]{1,128}$/;

/** Sets a request's id in the answer's headers, before anything can fail. */
export function nameRequest({ headers }: IncomingMessage, answer: ServerResponse): void {
  const correlation = plainOf(headers['x-correlation-id']);
  if (correlation !== null) answer.setHeader(correlationIdHeader, correlation);
  answer.setHeader(requestIdHeader, plainOf(headers['x-request-id']) ?? correlation ?? randomUUID());
}

/** The id set by `nameRequest`. */
export function requestIdOf(answer: ServerResponse): string {
  return String(answer.getHeader(requestIdHeader));
}

/** For input that never becomes a request. */
export function newRequestId(): string {
  return randomUUID();
}

function plainOf(value: OutgoingHttpHeaders[string]): string | null {
  return typeof value === 'string' && plain.test(value) ? value : null;
}
