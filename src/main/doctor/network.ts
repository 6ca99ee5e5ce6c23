/** `doctor`'s findings about the machines' network. */
import { readdir } from 'node:fs/promises';
import type { Machine } from '../../core/machines/machine.ts';
import { attachmentOf } from '../../core/network/attachment.ts';
import type { NetworkFacts } from '../../core/ports/network.ts';
import { formatCidr } from '../../network/addresses.ts';
import { examineNetwork, type NetworkReport } from '../../network/doctor.ts';
import { examineRecords } from '../../network/doctor-records.ts';
import { type Finding, fail, ok, warn } from '../../setup/doctor/finding.ts';
import type { StateLayout } from '../../storage/layout.ts';
import type { Config } from '../config.ts';

export async function checkNetwork(
  { network: settings, uidBase }: Config,
  layout: StateLayout,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  // Every machine has a directory of this name, also one that was never started.
  const machineIds = new Set(await readdir(layout.disks).catch(() => []));
  const question = { settings, owner: layout.root, isRoot: uidBase !== null, machineIds };
  return (await examineNetwork(question, signal)).map((report) => findingOf(report, settings));
}

/** Compares the host's rules and addresses with the recorded machines. Works beside a daemon. */
export async function checkNetworkRecords(
  { network: settings, uidBase }: Pick<Config, 'network' | 'uidBase'>,
  readMachines: () => Promise<readonly Machine[]>,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const facts = networkFacts(settings);
  const question = {
    settings,
    isRoot: uidBase !== null,
    readMachines: async () =>
      (await readMachines()).map((machine) => {
        const { id, spec } = machine;
        const attachment = attachmentOf(machine, facts);
        const own = attachment?.kind === 'nat' ? [attachment.ipv4, attachment.ipv6] : [];
        const addresses = own.filter((address) => address !== null);
        return { id, name: spec.name, addresses, ports: spec.network.ports };
      }),
  };
  return (await examineRecords(question, signal)).map((report) => findingOf(report, settings));
}

function networkFacts({ ipv4, ipv6 }: Config['network']): NetworkFacts {
  const lan = { bridges: [], reason: null };
  return { kind: 'bridge', reason: null, ipv4: formatCidr(ipv4), ipv6: ipv6 && formatCidr(ipv6), lan };
}

function findingOf({ level, message, hint }: NetworkReport, { kind }: Config['network']): Finding {
  const advice = hint ?? undefined;
  if (level === 'fine') return ok('network', message, advice);
  const isNeeded = level === 'missing' && kind === 'bridge';
  return (isNeeded ? fail : warn)('network', message, advice);
}
