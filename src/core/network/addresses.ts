/** Arithmetic of addresses: networks, offsets in them, and what is derived from an IPv4 address. Pure. */
import { createHash } from 'node:crypto';
import { AppError } from '../errors.ts';

/** An IPv4 network such as `10.77.0.0/16`. */
export interface AddressRange {
  readonly base: number;
  readonly prefix: number;
  /** Offsets that machines may have: the first address is the gateway's, the last one broadcasts. */
  readonly offsetMin: number;
  readonly offsetMax: number;
}

const bits = 32;
/** A larger network would need larger tables, and no host runs so many machines. */
const prefixMin = 8;
/** Two machines. */
const prefixMax = 29;

/** The 32 bits of an IPv4 address; null when it is none. */
export function parseIpv4(text: string): number | null {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1);
  if (parts === undefined || parts.some((part) => Number(part) > 255 || String(Number(part)) !== part))
    return null;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function isIpv6(text: string): boolean {
  return /^[0-9a-f:.]+$/i.test(text) && text.includes(':') && URL.canParse(`http://[${text}]/`);
}

export function formatIpv4(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}

/** Raises `invalid` for anything but a network that machines can get addresses of. */
export function parseRange(cidr: string): AddressRange {
  const [address = '', length = ''] = cidr.split('/');
  const value = parseIpv4(address);
  const prefix = /^\d{1,2}$/.test(length) ? Number(length) : Number.NaN;
  if (value === null || !(prefix >= prefixMin && prefix <= prefixMax))
    throw new AppError('invalid', `not a network for machines: '${cidr}'`, {
      hint: `Write an IPv4 network such as 10.77.0.0/16, of /${prefixMin} to /${prefixMax}.`,
    });
  const size = 2 ** (bits - prefix);
  return { base: value - (value % size), prefix, offsetMin: 2, offsetMax: size - 2 };
}

export function addressAt({ base }: AddressRange, offset: number): string {
  return formatIpv4(base + offset);
}

/** Null when no machine can have the address. */
export function offsetOf({ base, offsetMin, offsetMax }: AddressRange, address: string): number | null {
  const value = parseIpv4(address);
  if (value === null) return null;
  const offset = value - base;
  return offset >= offsetMin && offset <= offsetMax ? offset : null;
}

/** A hardware address that is locally administered and as unique as the address that it is derived from. */
export function macOf(address: string): string {
  const value = parseIpv4(address) ?? 0;
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256);
  return [0x02, 0x66, ...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Numbers of machines on bridges of the operator; the last 16 bits of their hardware addresses. */
export const lanNumbers = { min: 1, max: 65_535 } as const;

/**
 * The hardware address of a machine on a bridge of the operator. Other hosts may be on the same network, so 24 bits of it
 * tell hosts apart; `number` is unique on its host.
 */
export function lanMacOf(hostId: string, number: number): string {
  const host = createHash('sha256').update(hostId).digest().subarray(0, 3);
  const bytes = [0x06, ...host, number >> 8, number & 255];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** The reverse of `lanMacOf`. */
export function lanNumberOf(mac: string): number {
  return Number.parseInt(mac.replaceAll(':', '').slice(-4), 16);
}

/** The number under which the store allocates a fixed address: it fits into the 32 bits of a signed integer. */
export function fixedNumberOf(address: string): number {
  return (parseIpv4(address) ?? 0) | 0;
}

/** Whether an address is in a network such as `192.168.1.128/25`. */
export function isInNetwork(cidr: string, address: string): boolean {
  const [base = '', length = ''] = cidr.split('/');
  const [network, value] = [parseIpv4(base), parseIpv4(address)];
  const size = 2 ** (bits - Number(length));
  return network !== null && value !== null && Math.floor(network / size) === Math.floor(value / size);
}

/** The address with the same offset in a /64 such as `fd77::/64`. */
export function ipv6Of(network: string, offset: number): string {
  const prefix = network.replace(/\/\d+$/, '');
  const high = Math.floor(offset / 65_536);
  const low = (offset % 65_536).toString(16);
  const interfaceId = high === 0 ? low : `${high.toString(16)}:${low}`;
  return `${prefix.endsWith('::') ? prefix : `${prefix.replace(/:$/, '')}:`}${interfaceId}`;
}
