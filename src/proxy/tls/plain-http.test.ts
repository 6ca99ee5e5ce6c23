/** What happens to requests without TLS beside a listener with it. */
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { answerOverHttp } from './plain-http.ts';

const rules = { prefix: '/proxy', suffixes: ['.flotilla.example'] };

function answer(remoteAddress: string, host: string, url: string, tlsPort = 443) {
  const socket = new Socket();
  Object.defineProperty(socket, 'remoteAddress', { value: remoteAddress });
  const incoming = new IncomingMessage(socket);
  Object.assign(incoming, { url, headers: { host } });
  const outgoing = new ServerResponse(incoming);
  const challengeAnswer = (path: string) => (path === '/challenge' ? 'answer' : null);
  const isAnswered = answerOverHttp(incoming, outgoing, {
    certificates: { challengeAnswer },
    rules,
    tlsPort,
  });
  return isAnswered ? [outgoing.statusCode, outgoing.getHeader('location')] : null;
}

test('clients elsewhere are sent to the name’s address with TLS', () => {
  const host = 'shop.flotilla.example:80';
  expect(answer('198.51.100.1', host, '/a?b')).toEqual([308, 'https://shop.flotilla.example/a?b']);
  expect(answer('2001:db8::1', host, '/', 8443)).toEqual([308, 'https://shop.flotilla.example:8443/']);
});

test('clients of this host and requests for other hosts stay', () => {
  for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1'])
    expect(answer(address, 'shop.flotilla.example', '/')).toBeNull();
  for (const host of ['flotilla.example', '198.51.100.2', 'evil.example'])
    expect(answer('198.51.100.1', host, '/proxy/k3v9x2m1q8zt/80/')).toBeNull();
});

test('a certificate authority is answered from wherever it asks', () => {
  for (const address of ['127.0.0.1', '198.51.100.1'])
    expect(answer(address, 'shop.flotilla.example', '/challenge')).toEqual([200, undefined]);
});
