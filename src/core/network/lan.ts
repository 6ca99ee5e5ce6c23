/** Checks what callers ask of a machine's place on a bridge of the operator's, and allocates it. */
import { AppError } from '../errors.ts';
import type { FixedAddress, LanBridge, LanFacts } from '../ports/network.ts';
import type { Repositories } from '../ports/store.ts';
import { fixedNumberOf, isInNetwork, lanMacOf, lanNumberOf, lanNumbers, parseIpv4 } from './addresses.ts';
import type { MachineLan, NetworkMode } from './machine-network.ts';
import { type Owner, takeCertain } from './take.ts';

/** What only the mode `bridge` has. */
export interface LanRequest {
  /** A bridge that the operator has named. Absent or null: the first one. */
  readonly bridge?: string | null | undefined;
  /** With a fixed address only. Null: none, so that it reaches its own network only. */
  readonly gateway?: string | null | undefined;
  /** With a fixed address only: addresses of name servers. */
  readonly resolvers?: readonly string[] | undefined;
}

/** A checked request. The hardware address and the fixed one are not allocated yet. */
export type LanPlan = Omit<MachineLan, 'mac'>;

const resolversMax = 3;

/**
 * Raises `unsupported` when this host has no such bridge, and for a fixed address on a bridge where the operator allows
 * none; `invalid` for impossible addresses.
 */
export function planLan(
  { bridge, address, ...rest }: LanRequest & { readonly address?: string | null | undefined },
  facts: LanFacts,
): LanPlan {
  const found = findBridge(bridge ?? null, facts);
  if (address == null) {
    for (const name of ['gateway', 'resolvers'] as const) {
      if (rest[name] == null) continue;
      throw new AppError('invalid', `network.${name} needs a fixed address`, {
        hint: `Leave out ${name}, which the DHCP server tells; or ask for an address such as 192.168.1.50/24.`,
      });
    }
    return { bridge: found.name, fixed: null };
  }
  return { bridge: found.name, fixed: planFixed(address, rest, found) };
}

function findBridge(asked: string | null, { bridges, reason }: LanFacts): LanBridge {
  if (reason !== null)
    throw new AppError('unsupported', `machines cannot stand on a bridge of this host: ${reason}`, {
      hint: "Use the mode 'nat'; flotilla doctor says what is missing.",
    });
  const [first] = bridges;
  if (first === undefined)
    throw new AppError('unsupported', 'no bridge of this host is configured for machines', {
      hint: "Use the mode 'nat', and publish the ports that others need.",
    });
  const found = asked === null ? first : bridges.find(({ name }) => name === asked);
  if (found !== undefined) return found;
  throw new AppError('unsupported', `machines may not stand on the bridge '${asked}' of this host`, {
    hint: `Use one of: ${bridges.map(({ name }) => name).join(', ')}.`,
  });
}

function planFixed(
  text: string,
  { gateway = null, resolvers = [] }: LanRequest,
  { name, fixedRange }: LanBridge,
): FixedAddress {
  if (fixedRange === null)
    throw new AppError('unsupported', `addresses on the bridge ${name} come by DHCP only`, {
      hint: `Leave out the address. The operator allows fixed ones with FLOTILLA_NETWORK_LAN_BRIDGES, such as ${name}=192.168.1.128/25.`,
    });
  const [address = '', length = ''] = text.split('/');
  const value = parseIpv4(address);
  const prefix = /^\d{1,2}$/.test(length) ? Number(length) : Number.NaN;
  if (value === null || !(prefix >= 1 && prefix <= 30) || text.split('/').length > 2)
    throw new AppError(
      'invalid',
      `network.address: not an address with the length of its prefix: '${text}'`,
      {
        hint: "On a bridge, write both, such as 192.168.1.50/24; or leave it out, and the network's DHCP server gives one.",
      },
    );
  if (!isInNetwork(fixedRange, address))
    throw new AppError('invalid', `no machine can have the address '${address}' on the bridge ${name}`, {
      hint: `Ask for one of ${fixedRange}.`,
    });
  const size = 2 ** (32 - prefix);
  if ([0, size - 1].includes(value % size))
    throw new AppError('invalid', `'${text}' is the address of a network, not of a machine`, {
      hint: 'Its first and its last address belong to no machine.',
    });
  if (gateway !== null && (!isInNetwork(`${address}/${prefix}`, gateway) || gateway === address))
    throw new AppError(
      'invalid',
      `network.gateway: not another address of the network of ${text}: '${gateway}'`,
      {
        hint: 'Name an address of the same network, or leave it out.',
      },
    );
  if (resolvers.length > resolversMax || resolvers.some((each) => parseIpv4(each) === null))
    throw new AppError('invalid', `network.resolvers must be at most ${resolversMax} IPv4 addresses`, {
      hint: 'Write addresses of name servers, such as 192.168.1.1.',
    });
  return { address, prefix, gateway, resolvers };
}

/** Raises `invalid` when a request with another mode has fields of the mode `bridge`. */
export function refuseLanFields(request: LanRequest, mode: NetworkMode): void {
  for (const name of ['bridge', 'gateway', 'resolvers'] as const) {
    if (request[name] == null) continue;
    throw new AppError('invalid', `network.${name} needs the mode 'bridge', and the mode is '${mode}'`, {
      hint: `Leave out ${name}, or use the mode 'bridge'.`,
    });
  }
}

/** Raises `conflict` when another machine of this host has the fixed address, `exhausted`. */
export async function allocateLan(tx: Repositories, plan: LanPlan, owner: Owner): Promise<MachineLan> {
  const number = await tx.allocations.take({ ...owner, kind: 'lan_mac', ...lanNumbers });
  await takeFixed(tx, plan, owner);
  return { ...plan, mac: lanMacOf(owner.hostId, number) };
}

/** Changes its place; the hardware address stays. */
export async function changeLan(
  tx: Repositories,
  before: MachineLan,
  plan: LanPlan,
  owner: Owner,
): Promise<MachineLan> {
  await tx.allocations.release(owner.hostId, owner.owner, 'lan_ipv4');
  await takeFixed(tx, plan, owner);
  return { ...before, ...plan };
}

/** Takes what a machine has whose record was written in another database. */
export async function allocateRecordedLan(tx: Repositories, lan: MachineLan, owner: Owner): Promise<void> {
  const what = `the hardware address ${lan.mac}`;
  await takeCertain(tx, { ...owner, kind: 'lan_mac' }, lanNumberOf(lan.mac), what);
  await takeFixed(tx, lan, owner);
}

export async function releaseLan(tx: Repositories, { hostId, owner }: Owner): Promise<void> {
  await tx.allocations.release(hostId, owner, 'lan_mac');
  await tx.allocations.release(hostId, owner, 'lan_ipv4');
}

async function takeFixed(tx: Repositories, { fixed }: LanPlan, owner: Owner): Promise<void> {
  if (fixed === null) return;
  const number = fixedNumberOf(fixed.address);
  await takeCertain(tx, { ...owner, kind: 'lan_ipv4' }, number, `the address ${fixed.address}`);
}
