/**
 * What the nftables rules have that they should not: elements of machines that nobody has, and rules that somebody has
 * added to our chains or removed from them. For `doctor`: changes nothing on the host.
 */
import { z } from 'zod';
import { ProcessError, run } from '../lib/process.ts';
import type { HostCommands } from './host-commands.ts';
import { lanTableName } from './lan/tables.ts';
import { machineOfLanTap, machineOfTap } from './names.ts';
import { readElement } from './rules/shown-elements.ts';
import { natTables, type TableOptions } from './rules/tables.ts';

/** The owner of elements, by the name of a set. */
export interface OwnedElement {
  /** A machine's id, or the address of a guest. */
  readonly owner: string;
  readonly set: string;
}

const named = z.object({
  family: z.string(),
  table: z.string(),
  name: z.string(),
  elem: z.array(z.unknown()).optional(),
});
const shownSchema = z.object({
  nftables: z.array(z.object({ set: named.optional(), map: named.optional() })),
});

type Configured = typeof natTables.configured;

/** Those that begin with a tap. */
const lanSets: Configured = {
  bridge: ['taps', 'macs', 'bound', 'free', 'allowed', 'groups', 'members'],
  inet: [],
};

const timeoutMs = 20_000;
const path = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin';

/** Whose elements are in the sets and maps that hold what is configured about machines; none without tables. */
export async function listOwners(
  commands: HostCommands,
  bridge: string,
  signal: AbortSignal,
): Promise<readonly OwnedElement[]> {
  const ours = new Map<string, Configured>([
    [bridge, natTables.configured],
    [lanTableName(bridge), lanSets],
  ]);
  const shown = await Promise.all(
    ['sets', 'maps'].map((what) => commands.json('nft', ['-j', 'list', what], signal)),
  );
  const all = shown.flatMap((each) => shownSchema.parse(each).nftables);
  const found = new Map<string, OwnedElement>();
  for (const { set, map } of all) {
    const one = set ?? map;
    if (one === undefined || !isConfigured(ours.get(one.table), one)) continue;
    for (const element of one.elem ?? []) {
      const owner = ownerOf(one.name, element);
      found.set(`${owner} ${one.name}`, { owner, set: one.name });
    }
  }
  return [...found.values()];
}

function isConfigured(sets: Configured | undefined, { family, name }: z.infer<typeof named>): boolean {
  return (family === 'bridge' || family === 'inet') && sets?.[family].includes(name) === true;
}

/** Elements of maps are shown as key and value. Ports lead to the guest; all others begin with it. */
function ownerOf(set: string, shown: unknown): string {
  const [key, value] = Array.isArray(shown) ? (shown as unknown[]) : [shown, null];
  const { parts } = readElement(/^(any)?ports[46]$/.test(set) ? value : key);
  const first = parts[0] ?? '';
  return machineOfTap(first) ?? machineOfLanTap(first) ?? first;
}

export interface ChangedRules {
  /** Each with its chain. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** Compares the host's chains with what nft shows of ours in a network namespace that ends at once. Null: there are no tables. */
export async function findChangedRules(
  commands: HostCommands,
  options: TableOptions,
  signal: AbortSignal,
): Promise<ChangedRules | null> {
  const tables = ['bridge', 'inet'].map((family) => ['-s', 'list', 'table', family, options.bridge]);
  const list = async (args: readonly string[]) => (await commands.run('nft', args, { signal })).stdout;
  const there = await Promise.all(tables.map(list)).catch((error: unknown) => {
    if (error instanceof ProcessError && /No such file or directory/.test(error.stderr)) return null;
    throw error;
  });
  if (there === null) return null;
  const { stdout: expected } = await run(
    'unshare',
    ['--net', '--', 'sh', '-c', 'nft -f - && nft -s list ruleset'],
    {
      stdin: natTables.declarations(options) + natTables.rules(options),
      signal,
      timeoutMs,
      env: { PATH: path, LC_ALL: 'C' },
    },
  );
  const [have, want] = [rulesOf(there.join('\n')), rulesOf(expected)];
  return { added: without(have, want), removed: without(want, have) };
}

/** `table chain: rule` of each rule in nft's text. Pure. */
export function rulesOf(text: string): readonly string[] {
  const found: string[] = [];
  let [table, chain] = ['', ''];
  for (const line of text.split('\n').map((each) => each.trim())) {
    const opened = /^(table|set|map|chain) (.+) \{$/.exec(line);
    if (opened?.[1] === 'table') table = opened[2] ?? '';
    else if (opened) chain = opened[1] === 'chain' ? (opened[2] ?? '') : '';
    else if (line === '}') chain = '';
    else if (chain !== '' && line !== '') found.push(`${table} ${chain}: ${line}`);
  }
  return found;
}

/** Those of `all` that are not in `known`, counting each as often as it is there. */
function without(all: readonly string[], known: readonly string[]): readonly string[] {
  const left = new Map<string, number>();
  for (const each of known) left.set(each, (left.get(each) ?? 0) + 1);
  return all.filter((each) => {
    const count = left.get(each) ?? 0;
    left.set(each, count - 1);
    return count <= 0;
  });
}
