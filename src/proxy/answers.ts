/** The proxy's own answers: flat JSON for programs, a short page for browsers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type AppError, isAppError } from '../core/errors.ts';

export interface Refusal {
  readonly status: number;
  readonly message: string;
  /** When to try again. */
  readonly retryAfterSeconds?: number;
  /** For WWW-Authenticate, which an answer with 401 has. Browsers ask for no password for a scheme that they do not know. */
  readonly challenge?: string;
}

export const upstreamFailed: Refusal = { status: 502, message: 'Failed to connect to upstream' };
export const upstreamLate: Refusal = { status: 504, message: 'Upstream did not answer in time' };
export const isPrivate: Refusal = {
  status: 401,
  message: 'This route is private: open it with a link of its owner, or send a token in X-Flotilla-Token',
  challenge: 'Flotilla',
};
export const noTarget: Refusal = { status: 404, message: 'No machine or route has this address' };

const retryAfterSeconds = 2;

/** The answer to a request that could not be passed on. Null: a defect, which is logged. */
export function refusalOf(error: unknown): Refusal | null {
  if (!isAppError(error)) return null;
  const { code } = error;
  if (code === 'not_found') return { status: 404, message: 'Machine not found' };
  if (code === 'forbidden') return { status: 403, message: error.message };
  if (code === 'timeout') return { status: 503, message: 'Machine is starting', retryAfterSeconds };
  if (code === 'exhausted' || code === 'unavailable')
    return { status: 503, message: 'Machine is not available', retryAfterSeconds };
  if (code === 'internal') return null;
  return hasState(error) ? { status: 503, message: 'Machine is not running' } : upstreamFailed;
}

/** The program has not answered in time. */
export class AnswerLateError extends Error {
  override readonly message = 'no answer in time';
}

/** The answer to a request that was passed on, or could not be. */
export function refusalOfUpstream(error: unknown): Refusal {
  return isLate(error) ? upstreamLate : (refusalOf(error) ?? upstreamFailed);
}

function isLate(error: unknown): boolean {
  if (error instanceof AnswerLateError) return true;
  return error instanceof Error && 'code' in error && error.code === 'UND_ERR_HEADERS_TIMEOUT';
}

function hasState({ code, details }: AppError): boolean {
  return code === 'conflict' && details?.state !== undefined;
}

/** Answers in the format that the client prefers. Ends the connection if the request's body has not been read. */
export function refuse(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const isPage = /\btext\/html\b/i.test(request.headers.accept ?? '');
  const body = isPage ? page(refusal) : JSON.stringify({ error: refusal.message });
  if (!request.complete) response.setHeader('Connection', 'close');
  if (refusal.retryAfterSeconds !== undefined) response.setHeader('Retry-After', refusal.retryAfterSeconds);
  if (refusal.challenge !== undefined) response.setHeader('WWW-Authenticate', refusal.challenge);
  response.writeHead(refusal.status, {
    'Content-Type': isPage ? 'text/html; charset=utf-8' : 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Sends a browser to the same address without its token. Relative to the current host: the path may begin with `//`. */
export function redirect(response: ServerResponse, path: string, cookie: string): void {
  response.writeHead(303, {
    Location: `/${path.replace(/^[/\\]+/, '')}`,
    'Set-Cookie': cookie,
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
    'Content-Length': 0,
  });
  response.end();
}

function page({ status, message, retryAfterSeconds: seconds }: Refusal): string {
  const again = seconds === undefined ? '' : `<meta http-equiv="refresh" content="${seconds}">`;
  const hint = seconds === undefined ? '' : '<p>This page loads again by itself.</p>';
  const text = message.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  return `<!doctype html><html lang="en"><head><meta charset="utf-8">${again}<title>${status} ${text}</title>
<style>body{font:16px system-ui;margin:20vh auto;max-width:32em;padding:0 1em}</style></head>
<body><h1>${text}</h1>${hint}<p><small>${status} · flotilla</small></p></body></html>
`;
}
