/**
 * Turns an allowlist's rules into disjoint boxes of destinations, protocols and ports: nftables refuses overlapping
 * elements in one set, and rules may overlap. Pure.
 * Example: `10.0.0.0/8 tcp 80` and `10.1.0.0/16 any` become 10.0/16 tcp 80, 10.1/16 everything, 10.2–10.255 tcp 80.
 */
import type { EgressRule, PortRange } from '../../core/ports/network.ts';
import type { AddressRange, Family } from '../addresses.ts';

/** An egress rule whose destination is a range of addresses. */
export interface RangeRule {
  readonly range: AddressRange;
  readonly protocol: EgressRule['protocol'];
  readonly ports: EgressRule['ports'];
}

export interface Box {
  readonly first: bigint;
  readonly last: bigint;
  /** Numbers of IP protocols. */
  readonly protocols: readonly [number, number];
  readonly ports: readonly [number, number];
}

const tcp = 6;
const udp = 17;
const everyPort = { first: 0, last: 65_535 };

/** What one slice of the addresses may be sent. */
interface Allowed {
  readonly tcp: readonly PortRange[];
  readonly udp: readonly PortRange[];
  /** Protocols without ports. */
  readonly isAll: boolean;
}

export function disjointBoxes(rules: readonly RangeRule[], family: Family): readonly Box[] {
  const ours = rules.filter(({ range }) => range.family === family);
  const cuts = [...new Set(ours.flatMap(({ range }) => [range.first, range.last + 1n]))].sort((a, b) =>
    a < b ? -1 : 1,
  );
  const slices: { readonly first: bigint; last: bigint; readonly allowed: Allowed }[] = [];
  for (const [at, first] of cuts.entries()) {
    const next = cuts[at + 1];
    if (next === undefined) break;
    const here = ours.filter(({ range }) => range.first <= first && range.last >= first);
    if (here.length === 0) continue;
    const allowed = allowedBy(here);
    const before = slices.at(-1);
    if (before && before.last + 1n === first && isSame(before.allowed, allowed)) before.last = next - 1n;
    else slices.push({ first, last: next - 1n, allowed });
  }
  return slices.flatMap(({ first, last, allowed }) =>
    boxesOf(allowed).map((box) => ({ first, last, ...box })),
  );
}

function allowedBy(rules: readonly RangeRule[]): Allowed {
  const portsOf = (protocol: 'tcp' | 'udp') =>
    merged(
      rules
        .filter((rule) => rule.protocol === protocol || rule.protocol === 'any')
        .flatMap((rule) => rule.ports ?? [everyPort]),
    );
  return {
    tcp: portsOf('tcp'),
    udp: portsOf('udp'),
    isAll: rules.some(({ protocol, ports }) => protocol === 'any' && ports === null),
  };
}

/** In order, without overlaps or neighbours. */
function merged(ranges: readonly PortRange[]): readonly PortRange[] {
  const result: { readonly first: number; last: number }[] = [];
  for (const { first, last } of [...ranges].sort((a, b) => a.first - b.first)) {
    const before = result.at(-1);
    if (before && first <= before.last + 1) before.last = Math.max(before.last, last);
    else result.push({ first, last });
  }
  return result;
}

function isSame(one: Allowed, other: Allowed): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

function boxesOf({
  tcp: tcpPorts,
  udp: udpPorts,
  isAll,
}: Allowed): readonly Pick<Box, 'protocols' | 'ports'>[] {
  const all: readonly [number, number] = [0, 65_535];
  // With every protocol, every port of TCP and UDP is allowed as well.
  if (isAll) return [{ protocols: [0, 255], ports: all }];
  const ranged = (protocol: number, ranges: readonly PortRange[]) =>
    ranges.map(({ first, last }) => ({
      protocols: [protocol, protocol] as const,
      ports: [first, last] as const,
    }));
  return [...ranged(tcp, tcpPorts), ...ranged(udp, udpPorts)];
}
