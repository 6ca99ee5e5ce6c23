/**
 * IPv4 and IPv6 addresses and CIDRs as whole numbers, so that ranges can be compared. Pure; used by the rules, the
 * resolver and the configuration of the network.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { AppError } from '../core/errors.ts';

export type Family = 4 | 6;

/** Inclusive. */
export interface AddressRange {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

export interface Cidr extends AddressRange {
  readonly prefix: number;
}

const bitsOf = { 4: 32, 6: 128 } as const;

/** Null when the text is no address. */
export function familyOf(text: string): Family | null {
  if (isIPv4(text)) return 4;
  return isIPv6(text) && !text.includes('%') ? 6 : null;
}

/** Raises `invalid`. */
export function parseAddress(text: string): { readonly family: Family; readonly value: bigint } {
  const family = familyOf(text);
  if (family === null) throw new AppError('invalid', `not an address: '${text}'`);
  return { family, value: family === 4 ? value4(text) : value6(text) };
}

function value4(text: string): bigint {
  return text.split('.').reduce((value, part) => value * 256n + BigInt(part), 0n);
}

function value6(text: string): bigint {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted) {
    const low = value4(dotted[2] ?? '');
    return value6(`${dotted[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`);
  }
  const [head = '', tail] = text.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...zeros, ...right].reduce((value, group) => value * 65_536n + BigInt(`0x${group}`), 0n);
}

export function formatAddress(family: Family, value: bigint): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, at) =>
    ((value >> BigInt(112 - at * 16)) & 0xffffn).toString(16),
  ).join(':');
  // The longest run of zeros, as RFC 5952 wants it.
  const zeros = groups
    .match(/\b0(?::0)+\b/g)
    ?.reduce((longest, run) => (run.length > longest.length ? run : longest));
  if (zeros === undefined) return groups;
  const at = groups.indexOf(zeros);
  return `${groups.slice(0, at).replace(/:$/, '')}::${groups.slice(at + zeros.length).replace(/^:/, '')}`;
}

/** An address, or one with a prefix length. Bits behind the prefix are ignored. Raises `invalid`. */
export function parseCidr(text: string): Cidr {
  const [address = '', length, ...more] = text.split('/');
  const family = familyOf(address);
  const bits = family === null ? 0 : bitsOf[family];
  const prefix = length === undefined ? bits : /^\d{1,3}$/.test(length) ? Number(length) : -1;
  if (family === null || more.length > 0 || prefix < 0 || prefix > bits) {
    throw new AppError('invalid', `not a network: '${text}'`, {
      hint: 'Write an address with a prefix length, such as 192.0.2.0/24 or 2001:db8::/32.',
    });
  }
  const hostBits = BigInt(bits - prefix);
  const first = (parseAddress(address).value >> hostBits) << hostBits;
  return { family, prefix, first, last: first + (1n << hostBits) - 1n };
}

export function formatCidr({ family, first, prefix }: Cidr): string {
  return `${formatAddress(family, first)}/${prefix}`;
}

/** The first address after the network's own: the gateway. */
export function gatewayOf({ family, first }: Cidr): string {
  return formatAddress(family, first + 1n);
}

export function contains(range: AddressRange, address: string): boolean {
  const { family, value } = parseAddress(address);
  return family === range.family && value >= range.first && value <= range.last;
}
