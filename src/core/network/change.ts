/**
 * Changes the network of a recorded machine, in the caller's transaction. Policy, group and bandwidth may change while
 * it runs; its mode and its address only while it has no VMM.
 */
import { AppError } from '../errors.ts';
import { stateConflict } from '../machines/lookup.ts';
import type { Machine } from '../machines/machine.ts';
import { decide } from '../machines/states.ts';
import type { Repositories } from '../ports/store.ts';
import { type AllocationSettings, allocateAddress, portKind } from './allocation.ts';
import { allocateLan, changeLan, planLan, refuseLanFields, releaseLan } from './lan.ts';
import { type MachineLan, type MachineNetwork, noNetwork } from './machine-network.ts';
import {
  checkBandwidth,
  checkEgressOf,
  checkGroup,
  type NetworkRequest,
  noPortsOnBridge,
} from './requests.ts';
import type { Owner } from './take.ts';

/** Absent fields stay unchanged; ports are published and withdrawn one by one. */
export type NetworkChange = Omit<NetworkRequest, 'ports'>;

/** Raises `invalid`, `unsupported`, `conflict` when the state forbids the change or the address is taken. */
export async function changeNetwork(
  tx: Repositories,
  machine: Machine,
  change: NetworkChange,
  at: string,
  { facts }: AllocationSettings,
): Promise<MachineNetwork> {
  const { network: before } = machine.spec;
  const { mode = before.mode, address } = change;
  const owner = { kind: 'machine' as const, id: machine.id };
  const asksAddress = address != null && address !== before.address;
  const asksPlace = [change.bridge, change.gateway, change.resolvers].some((each) => each != null);
  if (mode !== before.mode || asksAddress || asksPlace || (mode === 'bridge' && address === null))
    requireAtRest(machine);
  if (mode !== 'bridge') refuseLanFields(change, mode);
  const allocated = { hostId: machine.hostId, owner, at };
  if (before.mode === 'bridge' && mode !== 'bridge') await releaseLan(tx, allocated);
  if (mode === 'none') {
    if (change.group != null || address != null || change.bandwidth !== undefined || isPolicy(change))
      throw new AppError('invalid', 'a machine without a network has no group, address or policy');
    // Its ports are freed, too: they lead nowhere.
    await tx.allocations.release(machine.hostId, owner, 'ipv4');
    for (const { protocol, hostPort } of before.ports)
      await tx.allocations.release(machine.hostId, owner, portKind(protocol), hostPort);
    return noNetwork;
  }
  const { group = before.group, egress = before.egress } = change;
  checkGroup(group);
  const policy = {
    group,
    egress: checkEgressOf(mode, egress),
    bandwidth: checkBandwidth({ ...before.bandwidth, ...change.bandwidth }),
  };
  if (mode === 'bridge') {
    await tx.allocations.release(machine.hostId, owner, 'ipv4');
    const lan = await placeOnBridge(tx, before.lan, change, allocated, facts);
    if (before.ports.length > 0) throw noPortsOnBridge();
    return { ...before, ...policy, mode, address: null, lan };
  }
  if (asksAddress) await tx.allocations.release(machine.hostId, owner, 'ipv4');
  const isNew = before.address === null || asksAddress;
  return {
    ...before,
    ...policy,
    mode,
    address: isNew ? await allocateAddress(tx, address ?? null, allocated, facts) : before.address,
    lan: null,
  };
}

/** Fields that the change lacks stay as they are; another bridge begins anew. */
async function placeOnBridge(
  tx: Repositories,
  before: MachineLan | null,
  { address, bridge, gateway, resolvers }: NetworkChange,
  allocated: Owner,
  { lan: facts }: AllocationSettings['facts'],
): Promise<MachineLan> {
  if (before === null) {
    return allocateLan(tx, planLan({ address, bridge, gateway, resolvers }, facts), allocated);
  }
  if ([address, bridge, gateway, resolvers].every((each) => each === undefined)) return before;
  const isMoved = bridge != null && bridge !== before.bridge;
  const { fixed } = before;
  const kept = isMoved || fixed === null ? undefined : `${fixed.address}/${fixed.prefix}`;
  const asked = address === undefined ? kept : address;
  const stays = asked == null || isMoved ? null : fixed;
  const plan = planLan(
    {
      address: asked,
      bridge: bridge ?? before.bridge,
      gateway: gateway === undefined ? stays?.gateway : gateway,
      resolvers: resolvers ?? stays?.resolvers,
    },
    facts,
  );
  return changeLan(tx, before, plan, allocated);
}

function isPolicy({ egress }: NetworkChange): boolean {
  return egress !== undefined && egress.kind !== 'deny';
}

/** A failed machine may still have a VMM. */
function requireAtRest(machine: Machine): void {
  if (decide('update', machine.state).verdict !== 'accept' || machine.handle !== null)
    throw stateConflict('update', machine);
}
