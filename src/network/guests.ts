/**
 * The attached machines, as the rules and the resolver need them: by machine, address and name, with the numbers of
 * their groups and the generations of their policies. Keeps nothing on the host.
 */
import type { NatAttachment } from '../core/ports/network.ts';
import { contains, parseCidr } from './addresses.ts';
import { matchesDomain, normalized } from './dns/names.ts';
import type { ResolverGuest } from './dns/resolver.ts';
import { GroupNumbers } from './group-numbers.ts';
import { type Element, elementsOf, generationOf, isRange, isWider } from './rules/elements.ts';

interface Attached {
  readonly attachment: NatAttachment;
  /** The present one first; then older ones whose flows the present policy lets through as well. */
  readonly generations: readonly number[];
}

/** After as many changes that each allow more, the flows of the first are judged anew. */
const generationsMax = 16;

export class Guests {
  readonly #attached = new Map<string, Attached>();
  readonly #byAddress = new Map<string, string>();
  /** Machines by tenant and name. */
  readonly #byName = new Map<string, string>();
  readonly #groups = new GroupNumbers();

  get(machineId: string): NatAttachment | null {
    return this.#attached.get(machineId)?.attachment ?? null;
  }

  all(): readonly NatAttachment[] {
    return [...this.#attached.values()].map(({ attachment }) => attachment);
  }

  at(address: string): NatAttachment | null {
    const machineId = this.#byAddress.get(address);
    return machineId === undefined ? null : this.get(machineId);
  }

  set(attachment: NatAttachment): void {
    const before = this.#attached.get(attachment.machineId);
    const isKept = before !== undefined && isWider(attachment.egress, before.attachment.egress);
    const earlier = isKept ? before.generations : [];
    const generations = [...new Set([generationOf(attachment), ...earlier])].slice(0, generationsMax);
    if (before) this.#unlink(before.attachment);
    this.#attached.set(attachment.machineId, { attachment, generations });
    for (const address of addressesOf(attachment)) this.#byAddress.set(address, attachment.machineId);
    this.#byName.set(nameKey(attachment), attachment.machineId);
    this.#groups.retain(this.all());
  }

  delete(machineId: string): void {
    const attachment = this.get(machineId);
    if (attachment === null) return;
    this.#unlink(attachment);
    this.#attached.delete(machineId);
    this.#groups.retain(this.all());
  }

  /** Forgets all others. */
  retain(machineIds: ReadonlySet<string>): void {
    for (const machineId of [...this.#attached.keys()])
      if (!machineIds.has(machineId)) this.delete(machineId);
  }

  elements(machineId: string): readonly Element[] {
    const attached = this.#attached.get(machineId);
    if (!attached) return [];
    return elementsOf(attached.attachment, this.#groups.of(attached.attachment), attached.generations);
  }

  /** What the resolver is told about the guest of an address. */
  resolverGuest(address: string): ResolverGuest | null {
    const guest = this.at(address);
    if (guest === null) return null;
    const { egress, machineId } = guest;
    const rules = egress.kind === 'allowlist' ? egress.rules : [];
    return {
      machineId,
      isPinned: egress.kind === 'allowlist',
      mayAsk: (name) =>
        egress.kind === 'allow' || rules.some(({ to }) => !isRange(to) && matchesDomain(to, name)),
      allowsAddress: (asked) => rules.some(({ to }) => isRange(to) && contains(parseCidr(to), asked)),
      find: (name) => this.#find(guest, name),
    };
  }

  #find(guest: NatAttachment, name: string): NatAttachment | null {
    const machineId = this.#byName.get(nameKey({ tenant: guest.tenant, name }));
    const found = machineId === undefined ? null : this.get(machineId);
    if (found === null || found.machineId === guest.machineId) return found;
    return found.group !== null && found.group === guest.group ? found : null;
  }

  #unlink(attachment: NatAttachment): void {
    const { machineId } = attachment;
    for (const address of addressesOf(attachment)) {
      if (this.#byAddress.get(address) === machineId) this.#byAddress.delete(address);
    }
    const name = nameKey(attachment);
    if (this.#byName.get(name) === machineId) this.#byName.delete(name);
  }
}

export function addressesOf({ ipv4, ipv6 }: NatAttachment): readonly string[] {
  return ipv6 === null ? [ipv4] : [ipv4, ipv6];
}

function nameKey({ tenant, name }: Pick<NatAttachment, 'tenant' | 'name'>): string {
  return JSON.stringify([tenant, normalized(name)]);
}
