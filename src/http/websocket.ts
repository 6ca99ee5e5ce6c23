/**
 * Turns a request that has passed its gate into a WebSocket. Everything that is wrong with the request is an ordinary
 * HTTP answer in the dialect's error format; after this, the connection belongs to the caller.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import { type WebSocket, WebSocketServer } from 'ws';
import { AppError } from '../core/errors.ts';
import { hasBody } from './body.ts';
import type { HttpEnv } from './context.ts';
import { BadRequest, UpgradeRequired } from './errors.ts';
import { isOwnOrigin } from './origin.ts';
import type { Upgrade } from './upgrade.ts';

/** A longer message ends the connection with 1009. */
export const messageBytesMax = 64 * 1024;

/** How long a client may take to answer our close. */
const closeTimeoutMs = 5_000;
/** Limit of a close frame's reason in the protocol. */
const closeReasonBytesMax = 123;
const keyProtocolPrefix = 'flotilla.key.';
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

const options = {
  noServer: true,
  // We keep no list, because every connection is counted as a request.
  clientTracking: false,
  perMessageDeflate: false,
  maxPayload: messageBytesMax,
  // A message in many small pieces would use far more memory than it has bytes.
  maxFragments: 64,
  maxBufferedChunks: 1024,
  // A client that does not read could let pongs pile up; the owner of the socket answers pings.
  autoPong: false,
  closeTimeout: closeTimeoutMs,
  handleProtocols: (offered: ReadonlySet<string>) =>
    [...offered].find((each) => !each.startsWith(keyProtocolPrefix)) ?? false,
};
const server = new WebSocketServer(options);

/**
 * The key that a browser offers as a subprotocol, since it cannot send headers with a WebSocket; null: none. Raises
 * `unauthenticated` for one that is not base64url.
 */
export function keyOfProtocols(headers: IncomingHttpHeaders): string | null {
  if (headers.upgrade?.toLowerCase() !== 'websocket') return null;
  const keys = protocolsOf(headers).filter((each) => each.startsWith(keyProtocolPrefix));
  const [first] = keys;
  if (first === undefined) return null;
  const encoded = first.slice(keyProtocolPrefix.length);
  const key = Buffer.from(encoded, 'base64url').toString();
  if (keys.length === 1 && /^[\w-]+$/.test(encoded) && /^[!-~]+$/.test(key)) return key;
  throw new AppError(
    'unauthenticated',
    `the subprotocol of a key must be ${keyProtocolPrefix}<base64url of the key>`,
    { hint: 'Encode the key as base64url without padding, and offer it once.' },
  );
}

/**
 * Raises UpgradeRequired (426) for a plain request or another version, BadRequest for a malformed handshake or one
 * that does not offer `protocol`, and `forbidden` for a page that may not call this API.
 */
export function checkWebSocketRequest(
  { env }: Context<HttpEnv>,
  protocol: string,
  origins: ReadonlySet<string>,
) {
  const { upgrade, incoming } = env;
  const { headers } = incoming;
  if (upgrade === null) throw new UpgradeRequired('this address is for WebSockets only');
  if (headers['sec-websocket-version'] !== '13')
    throw new UpgradeRequired('only version 13 of the WebSocket protocol is supported');
  if (!/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? ''))
    throw new BadRequest('Sec-WebSocket-Key must be 16 bytes in base64', 'Use a WebSocket client.');
  if (hasBody(incoming))
    throw new BadRequest('a request for a WebSocket has no body', 'Send messages when it is open.');
  const offered = protocolsOf(headers);
  if (!offered.every((each) => token.test(each)) || new Set(offered).size < offered.length)
    throw new BadRequest('Sec-WebSocket-Protocol must be a list of different tokens', `Send ${protocol}.`);
  const others = offered.filter((each) => !each.startsWith(keyProtocolPrefix));
  if (others[0] !== protocol)
    throw new BadRequest(`the first subprotocol offered must be ${protocol}`, 'See docs/terminal.md.');
  // Browsers send no preflight request before a WebSocket, so nobody else has asked.
  const { origin, host = '' } = headers;
  if (!isOwnOrigin(origin, host) && !origins.has(origin ?? ''))
    throw new AppError('forbidden', 'pages of this origin may not call this API', {
      hint: 'Start the daemon with FLOTILLA_CORS_ORIGINS set to the page’s origin.',
    });
  return upgrade;
}

/** Completes the handshake of a request that was checked; null when the client has gone. */
export function openWebSocket(upgrade: Upgrade): WebSocket | null {
  const { incoming, outgoing, socket, head } = upgrade;
  const addHeaders = (lines: string[]) => {
    for (const [name, value] of Object.entries(outgoing.getHeaders())) lines.push(`${name}: ${value}`);
  };
  let opened: WebSocket | null = null;
  server.once('headers', addHeaders);
  server.handleUpgrade(incoming, socket, head, (websocket) => {
    opened = websocket;
  });
  server.off('headers', addHeaders);
  return opened;
}

/** The code that closes a WebSocket after an error with this HTTP status. */
export function closeCodeOf(status: number): number {
  return 4000 + status;
}

/** A reason that fits a close frame, cut between characters. */
export function closeReason(text: string): string {
  return new TextDecoder().decode(Buffer.from(text).subarray(0, closeReasonBytesMax)).replace(/\uFFFD$/, '');
}

/** What a handler returns once the connection is no longer HTTP. */
export const taken = RESPONSE_ALREADY_SENT;

function protocolsOf({ 'sec-websocket-protocol': list }: IncomingHttpHeaders): readonly string[] {
  return list === undefined ? [] : list.split(',').map((each) => each.trim());
}
