/** Failures in words: `error: …`, and `hint: …` where something can be done. */
import { clientErrorCodes, FlotillaError } from '../sdk/src/index.ts';
import type { CliConfig } from './config.ts';
import { CliError } from './errors.ts';
import { printable } from './output.ts';

/** The lines for stderr; `about` names what the failure happened to, `config` is null where that is what failed. */
export function describeError(error: unknown, config: CliConfig | null, about?: string): string {
  const hint = hintFor(error, config);
  const message = `${about === undefined ? '' : `${about}: `}${messageOf(error)}`;
  return `error: ${printable(message)}\n${hint === undefined ? '' : `hint: ${printable(hint)}\n`}`;
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof FlotillaError && error.status >= 500 && error.requestId !== undefined) {
    return `${error.message} (request ${error.requestId})`;
  }
  return error.message;
}

function hintFor(error: unknown, config: CliConfig | null): string | undefined {
  if (error instanceof CliError) return error.hint;
  if (!(error instanceof FlotillaError) || config === null) return undefined;
  if (error.hint !== undefined && error.status !== 401) return error.hint;
  if (error.code === clientErrorCodes.unreachable) {
    return config.isLocal
      ? 'is it running? start it with ./flotilla up or ./flotilla serve'
      : `is it running, and is the address right? it came from ${config.urlFrom}`;
  }
  if (error.code === clientErrorCodes.badResponse) {
    return `is ${config.url} a Flotilla daemon? the address came from ${config.urlFrom}`;
  }
  if (error.code === clientErrorCodes.timeout) return 'the daemon may still be at it: flotilla ls shows';
  if (error.status === 401) {
    return config.key === undefined
      ? `the daemon wants a key: ${config.keyFrom}`
      : `the key came from ${config.keyFrom}; is it one of this daemon's (${config.url})?`;
  }
  if (error.status === 403) return `the key from ${config.keyFrom} may not do this`;
  return error.status === 404 ? 'flotilla ls shows the machines there are' : undefined;
}
