/**
 * What guests were refused: packets, which the rules count by destination (`denied4` and others in rules/tables.ts),
 * and names, which the resolver notes here. Bounded for each guest alone.
 */
import type { DeniedEgress } from '../core/ports/network.ts';
import type { Firewall } from './rules/firewall.ts';
import { readElement, type ShownElement } from './rules/shown-elements.ts';
import type { TableOptions } from './rules/tables.ts';
import { deniedTimeoutS } from './rules/tables.ts';

const deniedMax = 1000;
const namesPerGuestMax = 256;
const sets = ['denied4', 'deniedother4', 'denied6', 'deniedother6'] as const;

interface DeniedName {
  readonly count: number;
  readonly atMs: number;
}

/**
 * The kernel counts the packet that adds an element once, and each later one twice: when the rule looks the element up,
 * and when it renews its lifetime.
 */
function packetsOf({ packets }: ShownElement): number {
  return Math.ceil((packets + 1) / 2);
}

export class DeniedLog {
  readonly #firewall: Firewall<TableOptions>;
  /** By machine and name; the name refused last is at the end. */
  readonly #names = new Map<string, Map<string, DeniedName>>();

  constructor(firewall: Firewall<TableOptions>) {
    this.#firewall = firewall;
  }

  noteName(machineId: string, name: string, nowMs: number): void {
    const names = this.#names.get(machineId) ?? new Map<string, DeniedName>();
    this.#names.set(machineId, names);
    const count = (names.get(name)?.count ?? 0) + 1;
    names.delete(name);
    names.set(name, { count, atMs: nowMs });
    const [oldest] = names.keys();
    if (names.size > namesPerGuestMax && oldest !== undefined) names.delete(oldest);
  }

  /** Newest first. `addresses`: the guest's. */
  async list(
    machineId: string,
    addresses: readonly string[],
    nowMs: number,
    signal: AbortSignal,
  ): Promise<readonly DeniedEgress[]> {
    const at = (ms: number) => new Date(ms).toISOString();
    const packets = (await this.#elements(addresses, signal)).map(({ element }): DeniedEgress => {
      const [, address = '', protocol = '', port] = element.parts;
      const silentS = deniedTimeoutS - (element.expiresS ?? deniedTimeoutS);
      return {
        protocol,
        address,
        port: port === undefined ? null : Number(port),
        domain: null,
        packets: packetsOf(element),
        lastAt: at(nowMs - silentS * 1000),
      };
    });
    const names = [...(this.#names.get(machineId) ?? [])].map(
      ([domain, { count, atMs }]): DeniedEgress => ({
        protocol: 'dns',
        address: '',
        port: null,
        domain,
        packets: count,
        lastAt: at(atMs),
      }),
    );
    return [...packets, ...names]
      .sort((one, other) => (one.lastAt < other.lastAt ? 1 : one.lastAt > other.lastAt ? -1 : 0))
      .slice(0, deniedMax);
  }

  /** Lines of a transaction that removes a guest's, so that the next owner of its address does not see them. */
  async removal(
    table: string,
    machineId: string,
    addresses: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    this.#names.delete(machineId);
    const found = await this.#elements(addresses, signal);
    return [...Map.groupBy(found, ({ set }) => set)].flatMap(([set, elements]) => {
      const keys = elements.map(({ element }) => element.parts.join(' . ')).join(', ');
      // Added first, because an element that has just expired cannot be deleted.
      return [
        `add element inet ${table} ${set} { ${keys} }`,
        `delete element inet ${table} ${set} { ${keys} }`,
      ];
    });
  }

  async #elements(
    addresses: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly { readonly set: string; readonly element: ShownElement }[]> {
    const found = [];
    for (const set of sets) {
      const family = set.endsWith('6') ? ':' : '.';
      if (!addresses.some((address) => address.includes(family))) continue;
      for (const shown of await this.#firewall.list(set, signal)) {
        const element = readElement(shown);
        if (addresses.includes(element.parts[0] ?? '')) found.push({ set, element });
      }
    }
    return found;
  }
}
