/** Chooses the network that this host can have: a bridge, or else the user network with the reason why. */
import { access } from 'node:fs/promises';
import { AppError, isAppError } from '../core/errors.ts';
import type { NatAttachment, Network } from '../core/ports/network.ts';
import type { Logger } from '../lib/log.ts';
import { formatCidr } from './addresses.ts';
import { BridgeNetwork } from './bridge-network.ts';
import { HostNetwork } from './host-network.ts';
import { LanNetwork } from './lan/lan-network.ts';
import { outerAddresses } from './outer-addresses.ts';
import type { NetworkSettings } from './settings.ts';
import { findLanTrouble, findTrouble, type Trouble } from './trial.ts';
import { UserNetwork } from './user-network.ts';

export interface NetworkHost {
  /** Tells the daemons of one host apart: the state directory. */
  readonly owner: string;
  /** Null when not root. */
  readonly uidBase: number | null;
  readonly log: Logger;
}

/** Raises `unsupported` when a bridge is asked for and cannot be, `invalid` when the namespace is missing. */
export async function chooseNetwork(
  settings: NetworkSettings,
  host: NetworkHost,
  signal: AbortSignal,
): Promise<Network> {
  const { kind, netns, lanBridges } = settings;
  const isNeeded = kind !== 'user' || lanBridges.length > 0;
  if (isNeeded && netns !== null) await checkNamespace(netns);
  const trouble = isNeeded ? await findTrouble(host.uidBase !== null, signal) : null;
  const nat = await chooseNat(settings, host, trouble, signal);
  const lanTrouble = trouble ?? (lanBridges.length > 0 ? await findLanTrouble(signal) : null);
  return chooseLan(settings, host, lanTrouble, nat);
}

async function chooseNat(
  settings: NetworkSettings,
  { owner, uidBase, log }: NetworkHost,
  trouble: Trouble | null,
  signal: AbortSignal,
): Promise<Network<NatAttachment>> {
  const { kind, ipv4 } = settings;
  if (kind === 'user') return new UserNetwork({ reason: 'FLOTILLA_NETWORK is `user`', ipv4, log });
  if (trouble === null && uidBase !== null) {
    const network = new BridgeNetwork({ ...settings, owner, uidBase, log });
    try {
      await network.open(signal);
      return network;
    } catch (error) {
      await network.close();
      if (kind === 'bridge' || !isAppError(error)) throw error;
      return new UserNetwork({ reason: `${error.message}. ${error.hint ?? ''}`.trim(), ipv4, log });
    }
  }
  const { what, hint } = trouble ?? { what: 'not root', hint: 'run ./flotilla as root' };
  if (kind === 'bridge') {
    throw new AppError('unsupported', `FLOTILLA_NETWORK is \`bridge\`, but ${what}`, {
      hint: `To mend it: ${hint}`,
    });
  }
  return new UserNetwork({ reason: `${what}; to mend it: ${hint}`, ipv4, log });
}

/** A host that makes no bridge of its own can still have machines on one of the operator's. */
function chooseLan(
  { kind, bridge, netns, ipv4, lanBridges: bridges }: NetworkSettings,
  { owner, uidBase, log }: NetworkHost,
  trouble: Trouble | null,
  nat: Network<NatAttachment>,
): Network {
  const isAsked = kind !== 'user' || bridges.length > 0;
  if (trouble !== null || uidBase === null || !isAsked) {
    const reason = trouble === null ? null : `${trouble.what}; to mend it: ${trouble.hint}`;
    return new HostNetwork(nat, null, { bridges, reason });
  }
  const never = () => [formatCidr(ipv4), ...outerAddresses(netns)[4]];
  const lan = new LanNetwork({ bridges, ownBridge: bridge, owner, netns, uidBase, never, log });
  return new HostNetwork(nat, lan, { bridges, reason: null });
}

async function checkNamespace(path: string): Promise<void> {
  await access(path).catch((error: unknown) => {
    throw new AppError('invalid', `FLOTILLA_NETNS: there is no network namespace at ${path}`, {
      cause: error,
      hint: 'Make it first, for example: ip netns add NAME',
    });
  });
}
