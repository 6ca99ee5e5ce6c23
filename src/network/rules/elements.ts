/**
 * What is configured about one machine, as elements of the sets and maps of `tables.ts`. Pure: the same attachment
 * gives the same elements, so that the difference of two attachments is the difference of their elements.
 */
import { createHash } from 'node:crypto';
import { AppError } from '../../core/errors.ts';
import type { EgressPolicy, NatAttachment, PublishedPort } from '../../core/ports/network.ts';
import { type Family, familyOf, formatAddress, parseCidr } from '../addresses.ts';
import { tapName } from '../names.ts';
import { type Box, disjointBoxes, type RangeRule } from './egress-boxes.ts';

export interface Element {
  readonly table: 'bridge' | 'inet';
  readonly set: string;
  /** As nft writes it. */
  readonly key: string;
  /** Of an element of a map. */
  readonly data: string | null;
}

/** Identifies the element among all of a machine's; two machines have none in common. */
export function elementId({ table, set, key }: Element): string {
  return `${table} ${set} ${key}`;
}

/** `group` is the number of the machine's group; `generations` those whose flows still pass, the present one first. */
export function elementsOf(
  attachment: NatAttachment,
  group: number | null,
  generations: readonly number[],
): readonly Element[] {
  const tap = `"${tapName(attachment.machineId)}"`;
  const { mac, ipv4, ipv6 } = attachment;
  const bridge = (set: string, key: string): Element => ({ table: 'bridge', set, key, data: null });
  return [
    bridge('taps', tap),
    bridge('macs', `${tap} . ${mac}`),
    bridge('bound4', `${tap} . ${mac} . ${ipv4}`),
    ...familyElements(attachment, 4, ipv4, group, generations),
    ...(ipv6 === null
      ? []
      : [
          bridge('bound6', `${tap} . ${mac} . ${ipv6}`),
          ...familyElements(attachment, 6, ipv6, group, generations),
        ]),
  ];
}

function familyElements(
  { egress, ports }: NatAttachment,
  family: Family,
  address: string,
  group: number | null,
  generations: readonly number[],
): readonly Element[] {
  const element = (set: string, key: string, data: string | null = null): Element => ({
    table: 'inet',
    set: `${set}${family}`,
    key,
    data,
  });
  const published = ports.filter(({ bind }) => familyOf(bind) === family);
  return [
    element('selves', `${address} . ${address}`),
    element('generation', address, String(generations[0])),
    ...generations.map((generation) => element('flows', `${address} . ${generation}`)),
    ...(egress.kind === 'allow' ? [element('allow', address)] : []),
    ...allowedBoxes(egress, family).map((box) => element('allowed', `${address} . ${boxText(box, family)}`)),
    ...(group === null
      ? []
      : [element('groups', address, String(group)), element('members', `${address} . ${group}`)]),
    ...published.map((port) => publishedElement(port, family, address)),
    ...published.map(({ protocol, guestPort, hostPort }) =>
      element('open', `${address} . ${protocol} . ${guestPort} . ${hostPort}`),
    ),
  ];
}

function publishedElement(port: PublishedPort, family: Family, address: string): Element {
  const { protocol, bind, hostPort, guestPort } = port;
  const isAny = bind === '0.0.0.0' || bind === '::';
  return {
    table: 'inet',
    set: `${isAny ? 'anyports' : 'ports'}${family}`,
    key: isAny ? `${protocol} . ${hostPort}` : `${protocol} . ${bind} . ${hostPort}`,
    data: `${address} . ${guestPort}`,
  };
}

/** Destinations, protocols and ports that the rules of an allowlist name by address; none overlap. */
export function allowedBoxes(egress: EgressPolicy, family: Family): readonly Box[] {
  if (egress.kind !== 'allowlist') return [];
  const ranges = egress.rules
    .filter(({ to }) => isRange(to))
    .map(({ to, protocol, ports }): RangeRule => ({ range: parseCidr(to), protocol, ports }));
  return disjointBoxes(ranges, family);
}

/** Whether an egress rule names addresses; otherwise it names a domain. */
export function isRange(to: string): boolean {
  return familyOf(to.split('/')[0] ?? '') !== null;
}

/** Destination, protocol and port. */
export function boxText({ first, last, protocols, ports }: Box, family: Family): string {
  const range = <T>([from, to]: readonly [T, T], text: (value: T) => string) =>
    from === to ? text(from) : `${text(from)}-${text(to)}`;
  const address = (value: bigint) => formatAddress(family, value);
  return [range([first, last], address), range(protocols, String), range(ports, String)].join(' . ');
}

/** Marks the flows that a policy of a machine has let through. Never 0, which unmarked flows have. */
export function generationOf({ machineId, egress }: NatAttachment): number {
  return numberOf(JSON.stringify([machineId, egress]));
}

/** 32 bits, never 0. */
export function numberOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0) || 1;
}

/** Whether everything that `before` lets through passes under `after` too, as far as a comparison of rules shows. */
export function isWider(after: EgressPolicy, before: EgressPolicy): boolean {
  if (after.kind === 'allow' || before.kind === 'deny') return true;
  if (after.kind !== 'allowlist' || before.kind !== 'allowlist') return false;
  const kept = new Set(after.rules.map((rule) => JSON.stringify(rule)));
  return before.rules.every((rule) => kept.has(JSON.stringify(rule)));
}

/**
 * Raises `unsupported` for a port that cannot lead to the guest, and `invalid` for an address that is none: nft would
 * ask the host's name server for it.
 */
export function checkAttachment({ ports, mac, ipv4, ipv6 }: NatAttachment): void {
  if (familyOf(ipv4) !== 4 || (ipv6 !== null && familyOf(ipv6) !== 6) || !macPattern.test(mac)) {
    throw new AppError('invalid', `not addresses of a machine: ${[mac, ipv4, ipv6].join(' ')}`);
  }
  for (const { bind } of ports) checkBind(bind, ipv6 !== null);
}

/** Raises `unsupported` for an address on which no port can be published. */
export function checkBind(bind: string, hasIpv6: boolean): void {
  const family = familyOf(bind);
  if (family === 4 || (family === 6 && hasIpv6 && bind !== '::1')) return;
  throw new AppError('unsupported', `a port cannot be published on '${bind}'`, {
    hint: 'Bind an IPv4 address of this host, 127.0.0.1 or 0.0.0.0; IPv6 needs FLOTILLA_NETWORK_IPV6 and is not there on ::1.',
  });
}

const macPattern = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;
