/** What becomes of headers on their way through the proxy. Pure; headers are Node's raw lists of names and values. */

/** Of one connection, not of the message (RFC 9110, 7.6.1). `Trailer` goes on, because trailers do. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** Set by this proxy; a client's own values are believed only from a proxy on this host. */
const forwarded: ReadonlySet<string> = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-real-ip',
]);

/** Requests are searched for these; others are passed on. */
const searched: ReadonlySet<string> = new Set([
  ...[...hopByHop, ...forwarded],
  ...['trailer', 'x-machine-id', 'host', 'authorization', 'x-api-key'],
]);
/** Most names are told from these by their length alone, which is cheaper than to write them in lower case. */
const lengthsOf = (names: Iterable<string>): ReadonlySet<number> =>
  new Set(Array.from(names, ({ length }) => length));
const searchedLengths = lengthsOf(searched);
const hopByHopLengths = lengthsOf([...hopByHop, 'trailer']);

/** An API key of this daemon. */
const ownKey = /^hf_[A-Za-z0-9]{32}$/;

export interface Client {
  /** The client's address. */
  readonly address: string;
  readonly isEncrypted: boolean;
  /** Whether the client is a proxy on this host, such as Caddy, whose `X-Forwarded-…` are true. */
  readonly isTrusted: boolean;
}

export interface Origin extends Client {
  readonly machineId: string;
}

/** Whether the client runs on this host, by its address. */
export function isOfThisHost(address: string | undefined = ''): boolean {
  return address === '::1' || address.replace(/^::ffff:/, '').startsWith('127.');
}

type Raw = readonly string[];

/** `name` is in lower case. Most names differ in length, and are not copied. */
function isName(given: string | undefined, name: string): boolean {
  return given?.length === name.length && given.toLowerCase() === name;
}

/** The header's values, in order. `name` is in lower case. */
export function valuesOf(raw: Raw, name: string): readonly string[] {
  const values: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    if (isName(raw[index], name)) values.push(raw[index + 1] ?? '');
  }
  return values;
}

/** The headers for the program in the guest: without those of the connection and without our credentials. */
export function requestHeaders(raw: Raw, origin: Origin): string[] {
  const { address, isTrusted, machineId } = origin;
  const { dropped, isTrailed } = framingOf(raw);
  const kept: string[] = [];
  let addresses = '';
  let host: string | null = null;
  let hasHost = false;
  let hasProto = false;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? '';
    const value = raw[index + 1] ?? '';
    if (dropped === null && !searchedLengths.has(name.length)) {
      kept.push(name, value);
      continue;
    }
    const lower = name.toLowerCase();
    if (hopByHop.has(lower) || dropped?.has(lower) || lower === 'x-machine-id') continue;
    if (lower === 'trailer' && !isTrailed) continue;
    if (forwarded.has(lower)) {
      if (!isTrusted) continue;
      if (lower === 'x-forwarded-for') {
        addresses += `${value}, `;
        continue;
      }
      hasHost ||= lower === 'x-forwarded-host';
      hasProto ||= lower === 'x-forwarded-proto';
    } else if (isOwnCredential(lower, value)) continue;
    else if (lower === 'host') host ??= value;
    kept.push(name, value);
  }
  kept.push('X-Forwarded-For', addresses + address, 'X-Machine-ID', machineId);
  if (host !== null && !hasHost) kept.push('X-Forwarded-Host', host);
  if (!hasProto) kept.push('X-Forwarded-Proto', origin.isEncrypted ? 'https' : 'http');
  return kept;
}

/** How the client itself asked: a proxy on this host says so in its header. */
export function schemeOf(raw: Raw, { isEncrypted, isTrusted }: Client): 'http' | 'https' {
  const [told] = isTrusted ? valuesOf(raw, 'x-forwarded-proto') : [];
  return isEncrypted || told?.toLowerCase() === 'https' ? 'https' : 'http';
}

/** The headers for the client: without those of the connection to the guest. `canTrail`: it can receive trailers. */
export function responseHeaders(raw: Raw, canTrail: boolean): string[] {
  const { dropped, isTrailed } = framingOf(raw);
  const kept: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] ?? '';
    if (dropped !== null || hopByHopLengths.has(name.length)) {
      const lower = name.toLowerCase();
      if (hopByHop.has(lower) || dropped?.has(lower)) continue;
      if (lower === 'trailer' && !(canTrail && isTrailed)) continue;
    }
    kept.push(name, raw[index + 1] ?? '');
  }
  return kept;
}

interface Framing {
  /** Headers that `Connection` names: `Connection: close, X-Other` makes `X-Other` one of the connection. Null: none. */
  readonly dropped: ReadonlySet<string> | null;
  /** Whether there may be trailers: only a chunked message has them. */
  readonly isTrailed: boolean;
}

function framingOf(raw: Raw): Framing {
  let dropped: Set<string> | null = null;
  let isTrailed = false;
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index];
    if (isName(name, 'transfer-encoding')) isTrailed = true;
    if (!isName(name, 'connection')) continue;
    for (const each of (raw[index + 1] ?? '').split(',')) {
      const named = each.trim().toLowerCase();
      // Mostly it names `keep-alive` or `close`, which are dropped anyway.
      if (!hopByHop.has(named) && named !== 'close') dropped = (dropped ?? new Set()).add(named);
    }
  }
  // The message's own framing and host cannot be dropped by a client.
  for (const name of ['host', 'content-length']) dropped?.delete(name);
  return { dropped, isTrailed };
}

function isOwnCredential(lower: string, value: string): boolean {
  if (lower === 'authorization') return ownKey.test(value.replace(/^bearer +/i, '').trim());
  return lower === 'x-api-key' && ownKey.test(value.trim());
}
