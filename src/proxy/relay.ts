/** Writes a program's answer to the client: its head, early hints before it, and what is left of the request after it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { refuse, upstreamFailed } from './answers.ts';
import { responseHeaders } from './headers.ts';

/** How long the rest of a request's body is read after its answer, so that the client sees the answer. */
const lingerMs = 5_000;

/** False: the head cannot be passed on, and the client has been told so. The head is sent with the first piece of the body. */
export function beginAnswer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  head: { readonly status: number; readonly reason: string; readonly rawHeaders: readonly string[] },
  onError: (error: unknown) => void,
): boolean {
  outgoing.sendDate = false;
  try {
    const canTrail = incoming.httpVersion === '1.1';
    outgoing.writeHead(head.status, head.reason, responseHeaders(head.rawHeaders, canTrail));
    return true;
  } catch (error) {
    onError(error);
    refuse(incoming, outgoing, upstreamFailed);
    return false;
  }
}

/** Passes on early hints. Hints may be left out: those that Node finds no links in, and those for which the client is too slow. */
export function passInformation(
  outgoing: ServerResponse,
  status: number,
  rawHeaders: readonly string[],
): void {
  if (outgoing.headersSent || outgoing.socket === null || outgoing.socket.writableNeedDrain) return;
  if (status === 102) outgoing.writeProcessing();
  if (status !== 103) return;
  const links = rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === 'link');
  if (links.length === 0) return;
  try {
    outgoing.writeEarlyHints({ link: links });
  } catch {
    // The answer follows.
  }
}

/** Sends the last piece of the body, if there is one that has not been sent, and trailers. Reads the rest of the request. */
export function endAnswer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  last: Buffer | null,
  rawTrailers: readonly string[],
): void {
  if (rawTrailers.length > 0 && outgoing.chunkedEncoding) outgoing.addTrailers(pairsOf(rawTrailers));
  if (last === null) outgoing.end();
  // A text goes out in one piece with the head.
  else outgoing.end(last.toString('latin1'), 'latin1');
  if (!incoming.complete) linger(incoming);
}

/** Passes on an answer that Node's client reads. */
export function relay(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  answer: IncomingMessage,
  onError: (error: unknown) => void,
): void {
  const { statusCode: status = 502, statusMessage: reason = '', rawHeaders } = answer;
  if (!beginAnswer(incoming, outgoing, { status, reason, rawHeaders }, onError)) {
    answer.destroy();
    return;
  }
  // An answer that begins without a body, such as a stream of events, is sent at once; others in one packet.
  const flush = setImmediate(() => {
    if (!outgoing.destroyed) outgoing.flushHeaders();
  });
  answer.once('error', () => outgoing.destroy());
  answer.once('end', () => {
    clearImmediate(flush);
    endAnswer(incoming, outgoing, null, answer.rawTrailers);
  });
  answer.pipe(outgoing, { end: false });
}

export function pairsOf(raw: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) pairs.push([raw[i] ?? '', raw[i + 1] ?? '']);
  return pairs;
}

function linger(incoming: IncomingMessage): void {
  incoming.unpipe();
  const timer = setTimeout(() => incoming.destroy(), lingerMs);
  incoming.once('close', () => clearTimeout(timer));
  incoming.resume();
}
