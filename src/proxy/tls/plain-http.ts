/**
 * What the listener without TLS does beside a listener with it: it answers certificate authorities, and sends clients that
 * ask for a name of the domain to the other one. Clients on this host stay: they are proxies before this one, or tests.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isOfThisHost } from '../headers.ts';
import { hostTarget, type TargetRules } from '../target.ts';
import type { Certificates } from './certificates.ts';

interface Secured {
  readonly certificates: Pick<Certificates, 'challengeAnswer'>;
  readonly rules: TargetRules;
  readonly tlsPort: number;
}

/** False: the request is the proxy's. */
export function answerOverHttp(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { certificates, rules, tlsPort }: Secured,
): boolean {
  const { url = '/', headers, socket } = incoming;
  const answer = certificates.challengeAnswer(url);
  if (answer !== null) {
    outgoing.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Cache-Control': 'no-store' });
    outgoing.end(answer);
    return true;
  }
  const host = headers.host?.replace(/:\d*$/, '') ?? '';
  if (isOfThisHost(socket.remoteAddress) || !url.startsWith('/') || hostTarget(host, rules) === null)
    return false;
  const port = tlsPort === 443 ? '' : `:${tlsPort}`;
  outgoing.setHeader('Location', `https://${host}${port}${url}`);
  outgoing.writeHead(308, { 'Content-Length': 0 });
  outgoing.end();
  return true;
}
