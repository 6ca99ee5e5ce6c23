/**
 * What `doctor` says about the network when it compares the host with the recorded machines: what the rules have of
 * machines that nobody has, rules that are not ours, and ports that are published on addresses which the host has lost.
 */
import type { PublishedPort } from '../core/ports/network.ts';
import { ProcessError } from '../lib/process.ts';
import type { NetworkReport } from './doctor.ts';
import { HostCommands } from './host-commands.ts';
import { isEverywhere, isThere, readLocalAddresses } from './local-addresses.ts';
import { outerAddresses } from './outer-addresses.ts';
import type { NetworkSettings } from './settings.ts';
import { findChangedRules, listOwners, type OwnedElement } from './stray-rules.ts';

/** A recorded machine, whether it runs or not. */
export interface KnownMachine {
  readonly id: string;
  readonly name: string;
  /** Of its guest, of both families. */
  readonly addresses: readonly string[];
  readonly ports: readonly PublishedPort[];
}

export interface RecordsQuestion {
  readonly settings: NetworkSettings;
  readonly isRoot: boolean;
  /** Asked after the host was looked at: a machine that was made in between explains what was seen. */
  readonly readMachines: () => Promise<readonly KnownMachine[]>;
}

/** More are counted. */
const namesMax = 10;

export async function examineRecords(
  { settings, isRoot, readMachines }: RecordsQuestion,
  signal: AbortSignal,
): Promise<readonly NetworkReport[]> {
  // A user network has no rules, and its ports are ports of the daemon's own namespace.
  const hasRules = settings.kind !== 'user' && isRoot;
  const commands = new HostCommands(hasRules ? settings.netns : null);
  const owners = hasRules ? await orNone(() => listOwners(commands, settings.bridge, signal), []) : [];
  const changed = hasRules ? await orNone(() => changedRules(commands, settings, signal), []) : [];
  const machines = await readMachines();
  const lost = await orNone(() => lostBinds(commands, machines, signal), []);
  return [...strayElements(owners, machines), ...changed, ...lost];
}

/** Without these programs, or the rights to run them, `examineNetwork` has said so. */
async function orNone<T>(work: () => Promise<T>, none: T): Promise<T> {
  return work().catch((error: unknown) => {
    if (error instanceof ProcessError && !error.isTimeout) return none;
    throw error;
  });
}

function strayElements(
  owners: readonly OwnedElement[],
  machines: readonly KnownMachine[],
): readonly NetworkReport[] {
  const known = new Set(machines.flatMap(({ id, addresses }) => [id, ...addresses]));
  const stray = Map.groupBy(
    owners.filter(({ owner }) => !known.has(owner)),
    ({ owner }) => owner,
  );
  if (stray.size === 0) return [];
  const names = [...stray].map(([owner, sets]) => `${owner} (${sets.map(({ set }) => set).join(', ')})`);
  return [
    {
      level: 'problem',
      message: `the rules name machines that this host does not have: ${shortened(names, ', ')}`,
      hint: 'The next start of the daemon removes them.',
    },
  ];
}

async function changedRules(
  commands: HostCommands,
  { bridge, ipv4, ipv6, netns }: NetworkSettings,
  signal: AbortSignal,
): Promise<readonly NetworkReport[]> {
  const options = { bridge, ipv4, ipv6, hostAddresses: outerAddresses(netns) };
  const found = await findChangedRules(commands, options, signal);
  const hint = 'The next start of the daemon writes its own rules anew; keep others in tables of their own.';
  const report = (what: string, list: readonly string[]): readonly NetworkReport[] =>
    list.length === 0 ? [] : [{ level: 'problem', message: `${what}: ${shortened(list, '; ')}`, hint }];
  return [
    ...report('rules that are not the daemon’s are in its tables', found?.added ?? []),
    ...report('rules of the daemon are missing', found?.removed ?? []),
  ];
}

async function lostBinds(
  commands: HostCommands,
  machines: readonly KnownMachine[],
  signal: AbortSignal,
): Promise<readonly NetworkReport[]> {
  const ports = machines.flatMap(({ name, ports }) => ports.map((port) => ({ name, port })));
  const certain = ports.filter(({ port }) => !isEverywhere(port.bind));
  if (certain.length === 0) return [];
  const local = await readLocalAddresses(commands, signal);
  return certain
    .filter(({ port }) => !isThere(port.bind, local))
    .map(({ name, port: { protocol, bind, hostPort, guestPort } }) => ({
      level: 'problem',
      message: `${protocol} port ${hostPort} of machine ${name} is published on ${bind}, which this host does not have any more`,
      hint: `Give the host the address again, or: ./flotilla unpublish ${name} ${hostPort} and ./flotilla publish ${name} 0.0.0.0:${hostPort}:${guestPort}`,
    }));
}

function shortened(names: readonly string[], separator: string): string {
  const more = names.length > namesMax ? `${separator}and ${names.length - namesMax} more` : '';
  return names.slice(0, namesMax).join(separator) + more;
}
