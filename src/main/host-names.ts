/** The names of this host that are accepted in requests. */
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { isLoopback } from './addresses.ts';
import type { Config } from './config.ts';

/**
 * The host names accepted while authentication is off: this host's names and, if it listens on the network,
 * any IP address. A page that reaches us under its own name (DNS rebinding) can use neither.
 */
export function hostNames({ listen }: Pick<Config, 'listen'>): (name: string) => boolean {
  const names = new Set(['127.0.0.1', 'localhost', '[::1]', ...listen.map(({ host }) => inUrl(host))]);
  if (listen.every(({ host }) => isLoopback(host))) return (name) => names.has(name);
  names.add(hostname().toLowerCase());
  return (name) => names.has(name) || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0;
}

/** A name or address in the form used in URLs. */
export function inUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host.toLowerCase();
}
