/**
 * The WebSocket to a TCP port in a machine (subprotocol `flotilla.tcp.v1`, docs/ports.md), and its failures as the SDK's
 * errors. It goes where the other calls go: over the daemon's unix socket when the key is the operator's.
 */
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { clientErrorCodes, FlotillaError } from '../../sdk/src/index.ts';
import type { CliConfig } from '../config.ts';

const protocol = 'flotilla.tcp.v1';
const handshakeMs = 30_000;
/** No frame of the daemon is larger than 64 KiB; an error's message may be. */
const messageBytesMax = 1 << 20;
const answerBytesMax = 1 << 16;

/** Begins to open it. It fails as WebSockets of `ws` do: `unexpected-response`, `error`, `close`. */
export function openPort({ url, key, socketPath }: CliConfig, machine: string, port: number): WebSocket {
  const base = url.replace(/\/+$/, '');
  // TLS is for the network; the daemon's own socket has none.
  const origin = base.replace(/^http(s?):/, (_, secure) => (socketPath === null ? `ws${secure}:` : 'ws:'));
  return new WebSocket(`${origin}/machines/${encodeURIComponent(machine)}/ports/${port}/ws`, protocol, {
    headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
    handshakeTimeout: handshakeMs,
    maxPayload: messageBytesMax,
    perMessageDeflate: false,
    ...(socketPath === null ? {} : { createConnection: () => connect(socketPath) }),
  });
}

/** The error of an HTTP answer in place of a WebSocket. */
export async function refusalOf(response: IncomingMessage): Promise<FlotillaError> {
  let body = '';
  try {
    for await (const chunk of response.setEncoding('latin1')) {
      body += chunk;
      if (body.length > answerBytesMax) break;
    }
  } catch {
    // The connection broke in the middle of the answer; its status is the reason all the same.
  }
  return errorOfDaemon(response.statusCode ?? 500, errorIn(Buffer.from(body, 'latin1').toString()));
}

/** Why it was closed; null: both sides have ended. `told` is the `error` that the daemon sent before. */
export function closeError(code: number, told: unknown): FlotillaError | null {
  if (code >= 4000 || told !== null) return errorOfDaemon(code >= 4000 ? code - 4000 : 500, told);
  if (code === 1000) return null;
  const known: Readonly<Record<number, string>> = {
    1001: 'the daemon shuts down',
    1006: 'the connection to the daemon broke',
  };
  return new FlotillaError({
    status: 0,
    code: clientErrorCodes.unreachable,
    message: known[code] ?? `the daemon closed the connection with code ${code}`,
  });
}

/** The error of a WebSocket that could not be made, or broke its protocol. */
export function socketError(url: string, wasOpen: boolean, error: Error): FlotillaError {
  // Of several addresses that all failed, Node has a code, but no message.
  const message = error.message || String((error as NodeJS.ErrnoException).code);
  return wasOpen
    ? new FlotillaError({
        status: 0,
        code: clientErrorCodes.badResponse,
        message: `the daemon broke the protocol: ${message}`,
      })
    : new FlotillaError({
        status: 0,
        code: clientErrorCodes.unreachable,
        message: `cannot reach ${url}: ${message}`,
      });
}

function errorIn(body: string): unknown {
  try {
    return (JSON.parse(body) as { readonly error?: unknown } | null)?.error;
  } catch {
    // A page of a proxy.
    return undefined;
  }
}

function errorOfDaemon(status: number, told: unknown): FlotillaError {
  const fields = (typeof told === 'object' && told !== null ? told : {}) as Readonly<Record<string, unknown>>;
  const text = (name: string) => (typeof fields[name] === 'string' && fields[name]) || undefined;
  return new FlotillaError({
    status,
    code: text('code') ?? `HTTP_${status}`,
    message: text('message') ?? `the daemon answered ${status}`,
    hint: text('hint'),
    requestId: text('request_id'),
    ...(typeof fields.retryable === 'boolean' ? { retryable: fields.retryable } : {}),
  });
}
