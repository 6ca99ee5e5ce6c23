/** What an upstream's answer says about addresses, and which addresses a domain rule never opens. Pure. */
import type { Answer, Packet } from 'dns-packet';
import { type AddressRange, contains, familyOf, parseCidr } from '../addresses.ts';
import { normalized } from './names.ts';

export interface ResolvedAddress {
  readonly address: string;
  readonly ttlS: number;
}

/** Longer than any chain of aliases that resolvers follow. */
const chainMax = 16;

/** Not the world: somebody else's zone may point there, but that does not open it (DNS rebinding). */
const privateRanges: readonly AddressRange[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
  '::/96',
  '::ffff:0:0/96',
  '64:ff9b::/96',
  '2002::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
].map(parseCidr);

export function isPrivate(address: string): boolean {
  return privateRanges.some((range) => contains(range, address));
}

/** The addresses of `name`, also through aliases. Records of names that it does not lead to do not count. */
export function addressesIn(packet: Packet, name: string): readonly ResolvedAddress[] {
  const answers: readonly Answer[] = packet.answers ?? [];
  const names = new Set([normalized(name)]);
  let chainTtlS = Number.POSITIVE_INFINITY;
  let last = normalized(name);
  while (names.size <= chainMax) {
    const alias = answers.find((answer) => answer.type === 'CNAME' && normalized(answer.name) === last);
    if (alias?.type !== 'CNAME' || names.has(normalized(alias.data))) break;
    last = normalized(alias.data);
    chainTtlS = Math.min(chainTtlS, alias.ttl ?? 0);
    names.add(last);
  }
  return answers.flatMap((answer) => {
    if ((answer.type !== 'A' && answer.type !== 'AAAA') || !names.has(normalized(answer.name))) return [];
    if (familyOf(answer.data) === null) return [];
    return [{ address: answer.data, ttlS: Math.min(answer.ttl ?? 0, chainTtlS) }];
  });
}
