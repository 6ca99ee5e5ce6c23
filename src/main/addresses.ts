/** Reads the addresses to listen on from environment variables. */
import { isIPv4 } from 'node:net';
import { AppError } from '../core/errors.ts';
import { port } from './variables.ts';

export interface Address {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

type Variable = readonly [name: string, value: string | undefined];

/** Ours before Hatch's, whose `:8080` means every address. Raises `invalid`, naming the variable. */
export function listenPlaces(
  [ourName, ours]: Variable,
  [hatchName, hatch]: Variable,
  defaultPort: number,
): readonly Address[] {
  if (ours === undefined && hatch !== undefined)
    return [parseAddress(hatchName, hatch.replace(/^:/, '0.0.0.0:'), defaultPort)];
  return addressesOf(ourName, ours ?? '127.0.0.1', defaultPort);
}

/** Several, with commas. Raises `invalid`, naming the variable. */
export function addressesOf(variable: string, text: string, defaultPort: number): readonly Address[] {
  return text.split(',').map((each) => parseAddress(variable, each.trim(), defaultPort));
}

/** `host`, `host:port`, `[v6]`, `[v6]:port`. */
function parseAddress(variable: string, text: string, defaultPort: number): Address {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const parsed =
    match?.[3] === undefined ? { success: true as const, data: defaultPort } : port.safeParse(match[3]);
  if (!host || !parsed.success) {
    throw new AppError('invalid', `${variable}: not an address: '${text}'`, {
      hint: 'Write 127.0.0.1, 127.0.0.1:8080 or [::1]:8080; FLOTILLA_LISTEN takes several, with commas.',
    });
  }
  return { host, port: parsed.data };
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
