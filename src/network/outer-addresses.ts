/** The addresses of the daemon's own network namespace, as far as the rules of another one do not know them as local. */
import { networkInterfaces } from 'node:os';
import type { TableOptions } from './rules/tables.ts';

export type OuterAddresses = TableOptions['hostAddresses'];

/** `netns`: where the rules are; null: in the daemon's own namespace. */
export function outerAddresses(netns: string | null): OuterAddresses {
  const all = netns === null ? [] : Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const outer = all.filter(({ internal }) => !internal);
  const of = (family: 'IPv4' | 'IPv6') =>
    outer
      .filter((each) => each.family === family)
      .map(({ address }) => address)
      .sort();
  return { 4: of('IPv4'), 6: of('IPv6') };
}
