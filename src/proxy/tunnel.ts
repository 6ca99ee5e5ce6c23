/** Passes a WebSocket to a program in a guest: its opening request, and then bytes in both directions. */
import { type IncomingMessage, ServerResponse, request as send } from 'node:http';
import type { Socket } from 'node:net';
import { type Duplex, pipeline } from 'node:stream';
import { refusalOf, refuse, upstreamFailed, upstreamLate } from './answers.ts';
import type { Forwarding } from './forward.ts';
import { responseHeaders } from './headers.ts';
import { answerMs } from './http-client.ts';
import { relay } from './relay.ts';

/** A WebSocket that carries nothing for so long is closed; both ends of most send pings every minute. */
const quietMs = 3_600_000;

/** An answer on the connection of a request that was to become something else. It ends the connection. */
export function answerOn(incoming: IncomingMessage, socket: Duplex): ServerResponse {
  const outgoing = new ServerResponse(incoming);
  outgoing.shouldKeepAlive = false;
  outgoing.assignSocket(socket as Socket);
  outgoing.once('finish', () => {
    outgoing.detachSocket(socket as Socket);
    socket.end();
  });
  return outgoing;
}

/** `stream` is a new connection to the program. Destroys it and the client's when either fails. */
export function tunnel(
  incoming: IncomingMessage,
  socket: Socket,
  head: Buffer,
  stream: Duplex,
  { path, headers, onError }: Pick<Forwarding, 'path' | 'headers' | 'onError'>,
): void {
  const upstream = send({
    method: incoming.method ?? 'GET',
    path,
    headers: [...headers, 'Connection', 'Upgrade', 'Upgrade', 'websocket'],
    createConnection: () => stream,
    setHost: false,
  });
  const onClose = () => upstream.destroy();
  socket.once('close', onClose);
  const timer = setTimeout(() => {
    upstream.destroy();
    refuse(incoming, answerOn(incoming, socket), upstreamLate);
  }, answerMs);
  upstream.once('close', () => clearTimeout(timer));
  upstream.once('upgrade', (answer, program, programHead) => {
    clearTimeout(timer);
    socket.off('close', onClose);
    socket.setTimeout(quietMs, () => socket.destroy());
    socket.write(headOf(answer));
    if (programHead.length > 0) socket.write(programHead);
    if (head.length > 0) program.write(head);
    join(socket, program);
  });
  upstream.once('response', (answer) => {
    clearTimeout(timer);
    relay(incoming, answerOn(incoming, socket), answer, onError);
  });
  upstream.once('error', (error) => {
    clearTimeout(timer);
    if (socket.destroyed) return;
    onError(error);
    refuse(incoming, answerOn(incoming, socket), refusalOf(error) ?? upstreamFailed);
  });
  upstream.end();
}

function headOf({ rawHeaders }: IncomingMessage): string {
  const kept = responseHeaders(rawHeaders, false);
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket'];
  for (let i = 0; i + 1 < kept.length; i += 2) lines.push(`${kept[i]}: ${kept[i + 1]}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Each side ends its direction by itself; an error of one ends both. */
function join(one: Duplex, other: Duplex): void {
  // Node warns of a leak at eleven of a kind, which the server's own and those of two pipelines are.
  for (const stream of [one, other]) stream.setMaxListeners(32);
  pipeline(one, other, (error) => {
    if (error) one.destroy();
  });
  pipeline(other, one, (error) => {
    if (error) other.destroy();
  });
}
