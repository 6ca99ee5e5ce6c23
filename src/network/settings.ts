/** Reads the settings of the network from the texts of the environment. Pure; `src/main/config.ts` calls it. */
import { isAbsolute, join } from 'node:path';
import { AppError, isAppError } from '../core/errors.ts';
import type { LanBridge } from '../core/ports/network.ts';
import { type Cidr, familyOf, formatCidr, parseCidr } from './addresses.ts';

export interface NetworkSettings {
  /** `auto`: a bridge where that is possible, and otherwise `user`. `bridge`: nothing else. */
  readonly kind: 'auto' | 'bridge' | 'user';
  readonly bridge: string;
  /** A path such as `/run/netns/x`; null: the daemon's own namespace. */
  readonly netns: string | null;
  readonly ipv4: Cidr;
  readonly ipv6: Cidr | null;
  /** Bridges of the operator on which machines may stand; the first one is the default. */
  readonly lanBridges: readonly LanBridge[];
  /** Addresses of name servers, each optionally with `#port`; null: those of the host's resolv.conf. */
  readonly dns: readonly string[] | null;
}

/** The name of an interface has at most 15 bytes; nftables reserves many shorter words. */
const bridgePattern = /^flotilla[a-z0-9]{0,7}$/;
const netnsPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
const dnsMax = 8;
/** What the kernel accepts, without the characters that mean something to nft, ip or this list. */
const interfacePattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/;
const lanBridgesMax = 16;

/** Raises `invalid`, naming the variable. */
export function readNetworkSettings(given: {
  readonly kind: NetworkSettings['kind'];
  readonly bridge: string;
  readonly netns: string | undefined;
  readonly cidr: string;
  readonly ipv6: string | undefined;
  readonly dns: string | undefined;
  readonly lanBridges: string | undefined;
}): NetworkSettings {
  if (!bridgePattern.test(given.bridge)) {
    throw new AppError('invalid', `FLOTILLA_NETWORK_BRIDGE: not a name for the bridge: '${given.bridge}'`, {
      hint: 'Write a name such as flotilla1: that word, and up to seven letters or digits.',
    });
  }
  return {
    kind: given.kind,
    bridge: given.bridge,
    netns: given.netns === undefined ? null : readNetns(given.netns),
    ipv4: readCidr('FLOTILLA_NETWORK_CIDR', given.cidr, 4, [8, 29]),
    ipv6: given.ipv6 === undefined ? null : readCidr('FLOTILLA_NETWORK_IPV6', given.ipv6, 6, [64, 64]),
    dns: given.dns === undefined ? null : readServers(given.dns),
    lanBridges: given.lanBridges === undefined ? [] : readLanBridges(given.lanBridges, given.bridge),
  };
}

/** `br0=192.168.1.128/25,br1`: names, each with the fixed addresses that requests may name. */
function readLanBridges(text: string, own: string): readonly LanBridge[] {
  const bridges = text.split(',').map((each) => {
    const [name = '', range, ...more] = each.trim().split('=');
    const fixedRange = range === undefined ? null : formatCidr(readRange(range));
    return { name, fixedRange, isName: more.length === 0 && interfacePattern.test(name) && name !== own };
  });
  const names = new Set(bridges.map(({ name }) => name));
  if (bridges.length > lanBridgesMax || names.size < bridges.length || bridges.some(({ isName }) => !isName))
    throw new AppError('invalid', `FLOTILLA_NETWORK_LAN_BRIDGES: not bridges of this host: '${text}'`, {
      hint: `Write names with commas, at most ${lanBridgesMax}, such as br0 or br0=192.168.1.128/25; ${own} is the daemon's own.`,
    });
  return bridges.map(({ name, fixedRange }) => ({ name, fixedRange }));
}

function readRange(text: string): Cidr {
  return readCidr('FLOTILLA_NETWORK_LAN_BRIDGES', text, 4, [1, 32]);
}

function readNetns(text: string): string {
  if (isAbsolute(text)) return text;
  if (netnsPattern.test(text)) return join('/run/netns', text);
  throw new AppError('invalid', `FLOTILLA_NETNS: not a network namespace: '${text}'`, {
    hint: 'Write a name that `ip netns list` shows, or the path of a namespace.',
  });
}

function readCidr(
  variable: string,
  text: string,
  family: 4 | 6,
  [least, most]: readonly [number, number],
): Cidr {
  try {
    const cidr = parseCidr(text);
    if (cidr.family === family && cidr.prefix >= least && cidr.prefix <= most) return cidr;
  } catch (error) {
    if (!isAppError(error)) throw error;
  }
  throw new AppError('invalid', `${variable}: not a network for machines: '${text}'`, {
    hint:
      family === 4
        ? `Write an IPv4 network of /${least} to /${most}, such as 10.77.0.0/16.`
        : 'Write a /64 of unique local addresses, such as fd77::/64.',
  });
}

function readServers(text: string): readonly string[] {
  const servers = text.split(',').map((each) => each.trim());
  if (servers.length <= dnsMax && servers.every(isServer)) return servers;
  throw new AppError('invalid', `FLOTILLA_DNS: not addresses of name servers: '${text}'`, {
    hint: `Write addresses with commas, at most ${dnsMax}, such as 192.0.2.53,2001:db8::53, or with a port as 127.0.0.1#5353.`,
  });
}

function isServer(text: string): boolean {
  const [address = '', port = '53', ...more] = text.split('#');
  const isPort = /^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535;
  return familyOf(address) !== null && isPort && more.length === 0;
}
