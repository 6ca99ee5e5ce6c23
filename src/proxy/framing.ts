/**
 * Refuses requests whose end two programs could understand differently, so that no request can be hidden in another
 * (request smuggling). Node's strict parser refuses most of them before; this holds without it. Pure.
 */
import type { IncomingMessage } from 'node:http';
import { valuesOf } from './headers.ts';

type Framed = Pick<IncomingMessage, 'rawHeaders' | 'httpVersion' | 'url' | 'method'>;

export type Body = 'none' | 'sized' | 'chunked';

/** How the body is framed; a text says why the request is refused. */
export function bodyOf({ rawHeaders, httpVersion }: Framed): Body | { readonly refusal: string } {
  const lengths = valuesOf(rawHeaders, 'content-length');
  const codings = valuesOf(rawHeaders, 'transfer-encoding');
  if (lengths.length > 1 || lengths.some((length) => !/^\d+$/.test(length)))
    return { refusal: 'Content-Length must be one whole number' };
  if (codings.length === 0) return lengths.length === 0 || lengths[0] === '0' ? 'none' : 'sized';
  if (lengths.length > 0) return { refusal: 'Content-Length and Transfer-Encoding exclude each other' };
  const [coding = ''] = codings;
  if (codings.length > 1 || coding.toLowerCase() !== 'chunked')
    return { refusal: 'Transfer-Encoding must be chunked' };
  return httpVersion === '1.1' ? 'chunked' : { refusal: 'Transfer-Encoding needs HTTP/1.1' };
}

/** Why the request cannot be passed on; null: it can. */
export function refusalOfHead({ rawHeaders, url = '' }: Framed): string | null {
  const hosts = valuesOf(rawHeaders, 'host');
  if (hosts.length !== 1) return 'Host must be given once';
  if (!/^[A-Za-z0-9.\-_:[\]]*$/.test(hosts[0] ?? '')) return 'Host is not a host';
  return url.startsWith('/') || url === '*' ? null : 'the request target must be a path';
}
