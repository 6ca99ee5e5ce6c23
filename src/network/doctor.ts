/**
 * What `doctor` says about the network: whether a bridge is possible, and what of the host stands in its way. Changes
 * nothing; works beside a daemon.
 */
import { z } from 'zod';
import { ProcessError } from '../lib/process.ts';
import { HostCommands } from './host-commands.ts';
import { LanLinks, missingBridge } from './lan/links.ts';
import { Links } from './links.ts';
import type { NetworkSettings } from './settings.ts';
import { findLanTrouble, findTrouble, type Trouble } from './trial.ts';

/** A `problem` keeps guests from what they are allowed; what is `missing` leaves the host without a bridge. */
export interface NetworkReport {
  readonly level: 'fine' | 'missing' | 'problem';
  readonly message: string;
  readonly hint: string | null;
}

export interface NetworkQuestion {
  readonly settings: NetworkSettings;
  readonly owner: string;
  readonly isRoot: boolean;
  /** Machines that this host has. */
  readonly machineIds: ReadonlySet<string>;
}

const chainSchema = z.object({
  nftables: z.array(
    z.object({
      chain: z
        .object({
          family: z.string(),
          table: z.string(),
          name: z.string(),
          hook: z.string().optional(),
          policy: z.string().optional(),
        })
        .optional(),
    }),
  ),
});

const carriedPorts = 'the daemon carries connections to their published TCP ports';

export async function examineNetwork(
  { settings, owner, isRoot, machineIds }: NetworkQuestion,
  signal: AbortSignal,
): Promise<readonly NetworkReport[]> {
  const { lanBridges } = settings;
  const isUser = settings.kind === 'user';
  const trouble = isUser && lanBridges.length === 0 ? null : await findTrouble(isRoot, signal);
  const lanTrouble = trouble ?? (lanBridges.length > 0 ? await findLanTrouble(signal) : null);
  const lan = await examineLan(settings, owner, lanTrouble, signal);
  if (isUser) {
    const message = `machines have no network (FLOTILLA_NETWORK is \`user\`); ${carriedPorts}`;
    return [{ level: 'fine', message, hint: null }, ...lan];
  }
  if (trouble !== null) {
    const message = `machines reach no network: ${trouble.what}; ${carriedPorts}`;
    return [{ level: 'missing', message, hint: trouble.hint }, ...lan];
  }
  const commands = new HostCommands(settings.netns);
  const links = new Links(commands, { ...settings, owner });
  const reports = [...(await findDroppingChains(commands, settings.bridge, signal))];
  const stale = [...(await links.machines(signal))].filter((id) => !machineIds.has(id));
  if (stale.length > 0) {
    reports.push({
      level: 'problem',
      message: `interfaces of machines that this host does not have: ${stale.join(' ')}`,
      hint: 'A running daemon removes them; start it, or look at its log.',
    });
  }
  const place = settings.netns === null ? '' : ` in ${settings.netns}`;
  const fine = {
    level: 'fine',
    message: `machines get a tap on ${settings.bridge}${place}`,
    hint: null,
  } as const;
  return [...(reports.length > 0 ? reports : [fine]), ...lan];
}

/** One report for each bridge of the operator on which machines may stand. */
async function examineLan(
  { lanBridges, netns }: NetworkSettings,
  owner: string,
  trouble: Trouble | null,
  signal: AbortSignal,
): Promise<readonly NetworkReport[]> {
  const links = new LanLinks(new HostCommands(netns), owner);
  const reports: NetworkReport[] = [];
  for (const { name, fixedRange } of lanBridges) {
    if (trouble !== null) {
      const message = `machines cannot stand on the bridge ${name}: ${trouble.what}`;
      reports.push({ level: 'problem', message, hint: trouble.hint });
      continue;
    }
    const link = await links.find(name, signal);
    if (link?.linkinfo?.info_kind !== 'bridge') {
      const { message, hint = null } = missingBridge(name, link !== null);
      reports.push({ level: 'problem', message, hint });
      continue;
    }
    const addresses = fixedRange === null ? 'addresses by DHCP' : `addresses by DHCP, or of ${fixedRange}`;
    const isUp = link.flags?.includes('UP') === true;
    reports.push(
      isUp
        ? { level: 'fine', message: `machines may stand on the bridge ${name}: ${addresses}`, hint: null }
        : { level: 'problem', message: `the bridge ${name} is down`, hint: `run: ip link set ${name} up` },
    );
  }
  return reports;
}

/** Another firewall that drops what it does not know also drops the packets of guests, whatever our rules say. */
async function findDroppingChains(
  commands: HostCommands,
  bridge: string,
  signal: AbortSignal,
): Promise<readonly NetworkReport[]> {
  const shown = await commands.json('nft', ['-j', 'list', 'chains'], signal).catch((error: unknown) => {
    if (error instanceof ProcessError) return { nftables: [] };
    throw error;
  });
  return chainSchema.parse(shown).nftables.flatMap(({ chain }) => {
    if (chain?.policy !== 'drop' || (chain.hook !== 'forward' && chain.hook !== 'input')) return [];
    if (!['ip', 'ip6', 'inet'].includes(chain.family)) return [];
    const where = `${chain.family} ${chain.table} ${chain.name}`;
    const direction =
      chain.hook === 'input' ? [`iifname ${bridge}`] : [`iifname ${bridge}`, `oifname ${bridge}`];
    return [
      {
        level: 'problem',
        message: `the chain ${where} drops packets that it does not know, also those of machines`,
        hint: `Unless it lets them through already: ${direction
          .map((match) => `nft insert rule ${where} ${match} accept`)
          .join('; ')}`,
      },
    ] as const;
  });
}
