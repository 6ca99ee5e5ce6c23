/**
 * Addresses that a guest reaches because a name of its allowlist led there: elements of `pins4` and `pins6`, each with
 * the answer's lifetime. Remembers what it has put there, because elements that overlap cannot be added. Makes lines
 * of transactions; `BridgeNetwork` applies them.
 */
import type { NatAttachment } from '../../core/ports/network.ts';
import { type Family, parseAddress } from '../addresses.ts';
import { matchesDomain } from '../dns/names.ts';
import { disjointBoxes } from './egress-boxes.ts';
import { boxText, isRange } from './elements.ts';

export interface PinnedAddress {
  readonly address: string;
  readonly ttlS: number;
}

/** An answer of 0 seconds still lasts for the connection that it is asked for. */
const ttlSMin = 60;
const ttlSMax = 86_400;
/** Between the answer's way to the guest and its first packet. */
const graceS = 30;
/** Of one guest; the one that ends first is given up for a new one. */
const addressesMax = 512;

interface Pin {
  readonly family: Family;
  readonly keys: readonly string[];
  /** The names that led here. */
  readonly names: ReadonlySet<string>;
  readonly untilMs: number;
}

export class Pins {
  readonly #table: string;
  /** By machine and address. */
  readonly #pins = new Map<string, Map<string, Pin>>();

  /** `table`: the name of the nftables table. */
  constructor(table: string) {
    this.#table = table;
  }

  /** Notes a pin that an earlier daemon has made; which name led there is not known any more. */
  load(machineId: string, address: string, keys: readonly string[], untilMs: number): void {
    const { family } = parseAddress(address);
    const pins = this.#of(machineId);
    const known = pins.get(address)?.keys ?? [];
    pins.set(address, { family, keys: [...known, ...keys], names: new Set(), untilMs });
  }

  /** Lines that let the guest reach the addresses. */
  add(
    attachment: NatAttachment,
    name: string,
    addresses: readonly PinnedAddress[],
    nowMs: number,
  ): readonly string[] {
    const pins = this.#of(attachment.machineId);
    this.#drop(pins, nowMs);
    return addresses.flatMap(({ address, ttlS }) => {
      const lifetimeS = Math.min(Math.max(ttlS, ttlSMin), ttlSMax) + graceS;
      const before = pins.get(address);
      const untilMs = Math.max(nowMs + lifetimeS * 1000, before?.untilMs ?? 0);
      return [
        ...this.#makeRoom(pins, address),
        ...this.#replace(
          pins,
          attachment,
          address,
          new Set([...(before?.names ?? []), name]),
          untilMs,
          nowMs,
        ),
      ];
    });
  }

  /** Lines that leave only what the changed policy allows. */
  change(attachment: NatAttachment, nowMs: number): readonly string[] {
    const pins = this.#pins.get(attachment.machineId);
    if (!pins) return [];
    this.#drop(pins, nowMs);
    const patterns = domainRules(attachment).map(({ to }) => to);
    return [...pins].flatMap(([address, { names, untilMs }]) => {
      const kept = [...names].filter((name) => patterns.some((pattern) => matchesDomain(pattern, name)));
      return this.#replace(pins, attachment, address, new Set(kept), untilMs, nowMs);
    });
  }

  /** Lines that remove all of a machine's. */
  remove(machineId: string): readonly string[] {
    const lines = [...(this.#pins.get(machineId)?.values() ?? [])].flatMap((pin) => this.#removal(pin));
    this.#pins.delete(machineId);
    return lines;
  }

  #of(machineId: string): Map<string, Pin> {
    const pins = this.#pins.get(machineId) ?? new Map<string, Pin>();
    this.#pins.set(machineId, pins);
    return pins;
  }

  /** Forgets those that the kernel has removed. */
  #drop(pins: Map<string, Pin>, nowMs: number): void {
    for (const [address, { untilMs }] of pins) if (untilMs <= nowMs) pins.delete(address);
  }

  #makeRoom(pins: Map<string, Pin>, address: string): readonly string[] {
    if (pins.has(address) || pins.size < addressesMax) return [];
    const [oldest] = [...pins].sort(([, one], [, other]) => one.untilMs - other.untilMs);
    if (!oldest) return [];
    pins.delete(oldest[0]);
    return this.#removal(oldest[1]);
  }

  #replace(
    pins: Map<string, Pin>,
    attachment: NatAttachment,
    address: string,
    names: ReadonlySet<string>,
    untilMs: number,
    nowMs: number,
  ): readonly string[] {
    const before = pins.get(address);
    const removal = before ? this.#removal(before) : [];
    const { family, value } = parseAddress(address);
    const source = family === 4 ? attachment.ipv4 : attachment.ipv6;
    const range = { family, first: value, last: value };
    const rules = domainRules(attachment).filter(({ to }) =>
      [...names].some((name) => matchesDomain(to, name)),
    );
    const boxes = disjointBoxes(
      rules.map(({ protocol, ports }) => ({ range, protocol, ports })),
      family,
    );
    if (source === null || boxes.length === 0) {
      pins.delete(address);
      return removal;
    }
    const keys = boxes.map((box) => `${source} . ${boxText(box, family)}`);
    pins.set(address, { family, keys, names, untilMs });
    const leftS = Math.max(1, Math.ceil((untilMs - nowMs) / 1000));
    const elements = keys.map((key) => `${key} timeout ${leftS}s`);
    return [...removal, `add element inet ${this.#table} pins${family} { ${elements.join(', ')} }`];
  }

  /** Added first, because an element that has just expired cannot be deleted. */
  #removal({ family, keys }: Pin): readonly string[] {
    const set = `inet ${this.#table} pins${family}`;
    return [`add element ${set} { ${keys.join(', ')} }`, `delete element ${set} { ${keys.join(', ')} }`];
  }
}

function domainRules({ egress }: NatAttachment) {
  return egress.kind === 'allowlist' ? egress.rules.filter(({ to }) => !isRange(to)) : [];
}
