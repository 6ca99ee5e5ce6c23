/** Failures in words: `error: …`, and `hint: …` where something can be done. */
import { clientErrorCodes, FlotillaError } from '../sdk/src/index.ts';
import type { Invocation } from './catalog.ts';
import type { CliConfig } from './config.ts';
import { CliError } from './errors.ts';
import { said } from './output.ts';

/** What a failure is explained with. */
export interface Circumstances extends Invocation {
  /** Null where that is what failed. */
  readonly config: CliConfig | null;
  /** What the failure happened to. */
  readonly about?: string | undefined;
}

/** The lines for stderr. */
export function describeError(error: unknown, circumstances: Circumstances): string {
  const { about } = circumstances;
  const hint = hintFor(error, circumstances);
  const message = `${about === undefined ? '' : `${about}: `}${messageOf(error)}`;
  return said(message, 'error') + (hint === undefined ? '' : said(hint, 'hint'));
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // The API’s message is the same for every failure of a guest; its hint is the reason.
  if (error instanceof FlotillaError && isOfGuest(error) && error.hint !== undefined) return error.hint;
  if (error instanceof FlotillaError && error.status >= 500 && error.requestId !== undefined) {
    return `${error.message} (request ${error.requestId})`;
  }
  return error.message;
}

function hintFor(error: unknown, { config, noun, help }: Circumstances): string | undefined {
  if (error instanceof CliError) return error.hint;
  if (!(error instanceof FlotillaError) || config === null) return undefined;
  if (isOfGuest(error)) return 'flotilla logs shows what the guest printed';
  if (error.status === 404 && hasPath(config.url)) {
    return `the address ${config.url} has a path: is the daemon there? the address came from ${config.urlFrom}`;
  }
  const ofState = error.status === 400 ? stateHint(error.message) : undefined;
  if (ofState !== undefined && !error.retryable) return ofState;
  if (error.hint !== undefined && error.status !== 401)
    return documentHint.test(error.hint) ? `${help} explains it` : error.hint;
  if (error.code === clientErrorCodes.unreachable) {
    return config.isLocal
      ? 'is it running? start it with ./flotilla up or ./flotilla serve'
      : `is it running, and is the address right? it came from ${config.urlFrom}`;
  }
  if (error.code === clientErrorCodes.badResponse) {
    const path = hasPath(config.url) ? ' the address has a path;' : '';
    return `is ${config.url} a Flotilla daemon?${path} the address came from ${config.urlFrom}`;
  }
  if (error.code === clientErrorCodes.timeout) {
    return `the daemon may still be at it: ${noun.listing} shows`;
  }
  if (error.status === 401) return keyHint(error, config);
  if (error.status === 403) return `the key from ${config.keyFrom} may not do this${elsewhere(config)}`;
  return error.status === 404 ? `${noun.listing} shows the ${noun.plural} there are` : undefined;
}

/** The API’s document says what a request may be; here that is the command’s help. */
const documentHint = /^GET \/docs describes/;

function isOfGuest(error: FlotillaError): boolean {
  return error.code === 'VSOCK_ERROR';
}

function keyHint({ message }: FlotillaError, config: CliConfig): string {
  const { key, keyFrom, url } = config;
  if (key === undefined) return `the daemon wants a key: ${keyFrom}`;
  // The API has one code for every key it does not take.
  return /\b(expired|revoked)\b/.test(message)
    ? `the key came from ${keyFrom}; make a new key (flotilla keys create) or use another`
    : `the key came from ${keyFrom}; is it one of this daemon's (${url})?${elsewhere(config)}`;
}

/** The API's words for a machine's state are its contract; they name no command of ours. */
function stateHint(message: string): string | undefined {
  if (/^Machine must be running\b/.test(message)) {
    return 'flotilla start starts a machine that is stopped, flotilla resume one that is paused';
  }
  if (/^Cannot stop machine in 'suspended' state/.test(message))
    return 'flotilla start restores it; flotilla stop --force gives its saved memory up';
  if (/^Cannot \w+ machine in 'suspended' state/.test(message)) return 'flotilla start restores it';
  const isPaused = /^Cannot (?!pause\b)\w+ machine in 'paused' state/.test(message);
  return isPaused ? 'flotilla resume continues it' : undefined;
}

function hasPath(url: string): boolean {
  return URL.canParse(url) && new URL(url).pathname !== '/';
}

/** Said where the key is of one source and the address of another. */
function elsewhere({ isMixed, urlFrom }: CliConfig): string {
  return isMixed ? `; the address came from ${urlFrom}` : '';
}
