/**
 * Finds out whether this host can have a bridge network, by making one in a network namespace that ends with the
 * attempt: kernels lack parts, containers forbid, and only trying tells. Changes nothing on the host.
 */
import { access, constants } from 'node:fs/promises';
import { ProcessError, run } from '../lib/process.ts';
import { parseCidr } from './addresses.ts';
import { lanTables } from './lan/tables.ts';
import { declarations, rules } from './rules/tables.ts';

/** What cannot be done here, and what to do about it. */
export interface Trouble {
  readonly what: string;
  readonly hint: string;
}

/** Programs and the packages that they are in, on Debian. */
const programs = {
  ip: 'iproute2',
  bridge: 'iproute2',
  tc: 'iproute2',
  nft: 'nftables',
  conntrack: 'conntrack',
  nsenter: 'util-linux',
  unshare: 'util-linux',
} as const;

const path = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin';
const timeoutMs = 20_000;

export async function findTrouble(isRoot: boolean, signal: AbortSignal): Promise<Trouble | null> {
  if (!isRoot) return { what: 'only root can make a bridge and taps', hint: 'run ./flotilla as root' };
  const missing = await missingPackages();
  if (missing.length > 0) {
    return { what: `not installed: ${missing.join(' ')}`, hint: `apt-get install ${missing.join(' ')}` };
  }
  if (!(await canUse('/dev/net/tun'))) {
    return {
      what: '/dev/net/tun cannot be opened',
      hint: 'run: modprobe tun; in a container, pass the device in (--device /dev/net/tun)',
    };
  }
  return (
    (await attempt('make a bridge and a tap', 'ip', ['-batch', '-'], links, signal)) ??
    (await attempt('load the nftables rules', 'nft', ['-f', '-'], ruleset(), signal))
  );
}

/** What keeps machines off bridges of the operator, on a host without the troubles above: the rules for that need more of nftables. */
export async function findLanTrouble(signal: AbortSignal): Promise<Trouble | null> {
  const options = { table: 'flotilla0_lan', never: [] };
  const text = lanTables.declarations(options) + lanTables.rules(options);
  return attempt('load the nftables rules for bridges of its own', 'nft', ['-f', '-'], text, signal);
}

const links = `link add name flotilla0 type bridge
tuntap add dev fttrial mode tap user 65534 vnet_hdr
link set dev fttrial master flotilla0
link set dev fttrial type bridge_slave isolated on learning off flood off
`;

function ruleset(): string {
  const options = {
    bridge: 'flotilla0',
    ipv4: parseCidr('10.77.0.0/16'),
    ipv6: parseCidr('fd77::/64'),
    hostAddresses: { 4: [], 6: [] },
  };
  return declarations(options) + rules(options);
}

async function attempt(
  what: string,
  program: string,
  args: readonly string[],
  stdin: string,
  signal: AbortSignal,
): Promise<Trouble | null> {
  try {
    await run('unshare', ['--net', '--', program, ...args], {
      stdin,
      signal,
      timeoutMs,
      env: { PATH: path, LC_ALL: 'C' },
    });
    return null;
  } catch (error) {
    if (!(error instanceof ProcessError)) throw error;
    return {
      what: `this host cannot ${what}: ${error.message}`,
      hint: 'in a container, give it CAP_NET_ADMIN and CAP_SYS_ADMIN (--privileged); otherwise use a kernel with bridge, tun and nf_tables',
    };
  }
}

/** Packages of which a program is missing. */
export async function missingPackages(): Promise<readonly string[]> {
  const missing = new Set<string>();
  for (const [program, name] of Object.entries(programs)) {
    const places = await Promise.all(path.split(':').map((dir) => canUse(`${dir}/${program}`)));
    if (!places.includes(true)) missing.add(name);
  }
  return [...missing];
}

function canUse(file: string): Promise<boolean> {
  return access(file, constants.R_OK).then(
    () => true,
    () => false,
  );
}
