/** How this host may be named in requests and addresses. */
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { type Config, isLoopback } from './config.ts';

/**
 * What a request may call this host while authentication is off: its names, and on a host that others reach any address,
 * as a page that has us reached by a name of its own (DNS rebinding) cannot use one.
 */
export function hostNames({ listen }: Pick<Config, 'listen'>): (name: string) => boolean {
  const names = new Set(['127.0.0.1', 'localhost', '[::1]', ...listen.map(({ host }) => inUrl(host))]);
  if (listen.every(({ host }) => isLoopback(host))) return (name) => names.has(name);
  names.add(hostname().toLowerCase());
  return (name) => names.has(name) || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0;
}

/** A name or address as it stands in a URL. */
export function inUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host.toLowerCase();
}
