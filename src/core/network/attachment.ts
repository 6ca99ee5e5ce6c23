/** What the host's network is asked to make for a machine. Pure. */
import type { Machine } from '../machines/machine.ts';
import { statesWithMemory } from '../machines/states.ts';
import type { Attachment, NetworkFacts } from '../ports/network.ts';
import { ipv6Of, macOf, offsetOf, parseRange } from './addresses.ts';

/** Null for a machine without a network. */
export function attachmentOf(machine: Machine, facts: NetworkFacts): Attachment | null {
  const { id: machineId, tenant, slot, spec } = machine;
  const { address, lan, group, egress, bandwidth, ports } = spec.network;
  const base = { machineId, tenant, name: spec.name, slot, group, egress, bandwidth };
  if (lan !== null) return { ...base, kind: 'lan', ...lan };
  if (address === null) return null;
  const offset = offsetOf(parseRange(facts.ipv4), address);
  return {
    ...base,
    kind: 'nat',
    mac: macOf(address),
    ipv4: address,
    ipv6: facts.ipv6 === null || offset === null ? null : ipv6Of(facts.ipv6, offset),
    ports,
  };
}

/** Whether the machine has a VMM, or may get one: only then may the host have anything for it. */
export function isToBeAttached({ state, spec }: Pick<Machine, 'state' | 'spec'>): boolean {
  return spec.network.mode !== 'none' && state !== 'deleting' && statesWithMemory.includes(state);
}
