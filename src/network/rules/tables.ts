/**
 * The nftables rules: constant text, which looks everything about machines up in sets and maps (`elements.ts` fills
 * them). No rule is about one machine, so the cost of a packet and of a change does not grow with their number.
 *
 * A flow between a guest and the world is judged when it begins. Its conntrack mark is then the *generation* of the
 * guest's policy (`generation4`), and while `flows4` has the guest's address with this mark, the flow passes. Once the
 * policy has changed, the mark is unknown, and the flow's next packet, in either direction, is judged by the new one.
 *
 * Decides: a guest reaches its gateway's DNS, members of its group, and what its policy allows of the world. It never
 * reaches an address of this host, `refused4`, or another guest. What it is refused is counted in `denied4`.
 */
import { type Cidr, type Family, formatCidr, gatewayOf } from '../addresses.ts';
import type { TableText } from './firewall.ts';

export interface TableOptions {
  /** The bridge's name, and that of both tables. */
  readonly bridge: string;
  readonly ipv4: Cidr;
  /** Null: guests have IPv4 only. */
  readonly ipv6: Cidr | null;
  /** Addresses of the host that are not local to the network namespace of the rules. */
  readonly hostAddresses: { readonly 4: readonly string[]; readonly 6: readonly string[] };
}

/** How long a refused destination is remembered after its last packet. */
export const deniedTimeoutS = 1800;
/**
 * A guest may add this many destinations at once and six more each minute, so that it has at most 300 in half an
 * hour, and the scan of one leaves room for the others'.
 */
const deniedBurst = 100;
const deniedMax = 131_072;
/** More flows of one guest at a time would fill the host's table of connections. */
export const flowsPerGuestMax = 8192;
/** Likewise, flows from outside to the published ports of one guest. */
export const visitsPerGuestMax = 8192;
/** No host is there, or only this one: never the world. */
const never = {
  4: ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3'],
  6: ['::/127', 'fe80::/10', 'ff00::/8'],
} as const;

/** The sets and maps that hold what is configured about machines, by table. */
const configuredSets = {
  bridge: ['taps', 'macs', 'bound4', 'bound6'],
  inet: [4, 6].flatMap((family) =>
    [
      'selves',
      'generation',
      'flows',
      'allow',
      'allowed',
      'groups',
      'members',
      'ports',
      'anyports',
      'open',
    ].map((name) => `${name}${family}`),
  ),
} as const;

const maps: ReadonlySet<string> = new Set(
  ['generation', 'groups', 'ports', 'anyports'].flatMap((name) => [`${name}4`, `${name}6`]),
);

/** Declares tables, sets and chains; what is there already stays as it is. */
export function declarations({ bridge }: TableOptions): string {
  return `table bridge ${bridge} {
  set taps { type ifname; }
  set macs { type ifname . ether_addr; }
  set bound4 { type ifname . ether_addr . ipv4_addr; }
  set bound6 { type ifname . ether_addr . ipv6_addr; }
  chain arrived { type filter hook prerouting priority -300; policy accept; }
  chain guest { }
}
table inet ${bridge} {
${setsOf(4)}
${setsOf(6)}
  chain raw { type filter hook prerouting priority raw; policy accept; }
  chain prerouting { type nat hook prerouting priority dstnat; policy accept; }
  chain locally { type nat hook output priority -100; policy accept; }
  chain postrouting { type nat hook postrouting priority srcnat; policy accept; }
  chain input { type filter hook input priority filter; policy accept; }
  chain output { type filter hook output priority filter; policy accept; }
  chain forward { type filter hook forward priority filter; policy accept; }
  chain answer { }
${chainNames.map((name) => `  chain ${name}4 { }\n  chain ${name}6 { }`).join('\n')}
}
`;
}

const chainNames = [
  'published',
  'leaving',
  'replying',
  'between',
  'entering',
  'arriving',
  'refuse',
  'refuseother',
] as const;

function setsOf(family: Family): string {
  const address = `ipv${family}_addr`;
  const flow = `${address} . ${address} . inet_proto . inet_service`;
  return `  set selves${family} { type ${address} . ${address}; }
  map generation${family} { type ${address} : mark; }
  set flows${family} { type ${address} . mark; }
  set allow${family} { type ${address}; }
  set allowed${family} { type ${flow}; flags interval; }
  set pins${family} { type ${flow}; flags interval, timeout; }
  map groups${family} { type ${address} : mark; }
  set members${family} { type ${address} . mark; }
  map ports${family} { type inet_proto . ${address} . inet_service : ${address} . inet_service; }
  map anyports${family} { type inet_proto . inet_service : ${address} . inet_service; }
  set open${family} { type ${address} . inet_proto . inet_service . inet_service; }
  set refused${family} { type ${address}; flags interval; auto-merge; }
  set denied${family} { type ${flow}; size ${deniedMax}; flags dynamic, timeout; timeout ${deniedTimeoutS}s; counter; }
  set deniedother${family} { type ${address} . ${address} . inet_proto; size ${deniedMax}; flags dynamic, timeout; timeout ${deniedTimeoutS}s; counter; }
  set scans${family} { type ${address}; size 65536; flags dynamic, timeout; timeout 1h; }
  set crowds${family} { type ${address}; size 65536; flags dynamic; }
  set visits${family} { type ${address}; size 65536; flags dynamic; }`;
}

/** All rules. Every chain must be empty before. */
export function rules(options: TableOptions): string {
  const { bridge, ipv4, ipv6 } = options;
  const families: readonly Family[] = ipv6 === null ? [4] : [4, 6];
  const each = (rule: (family: Family) => string) => families.map(rule).join('\n');
  const networkOf = (family: Family) => (family === 6 && ipv6 !== null ? ipv6 : ipv4);
  return `table bridge ${bridge} {
  chain arrived { iifname @taps goto guest; }
${spoofing(families)}
}
table inet ${bridge} {
  # Published ports of 127.0.0.1 need route_localnet on the bridge, which would let guests in too.
  chain raw { iifname "${bridge}" ip daddr 127.0.0.0/8 drop; }
  chain prerouting {
${each((family) => `    iifname != "${bridge}" meta nfproto ipv${family} fib daddr type local goto published${family}`)}
  }
  chain locally {
${each((family) => `    meta nfproto ipv${family} fib daddr type local goto published${family}`)}
  }
  chain postrouting {
${each((family) => `    ${ip(family)} saddr ${formatCidr(networkOf(family))} oifname != "${bridge}" masquerade`)}
    oifname "${bridge}" ip saddr 127.0.0.0/8 masquerade
  }
  chain input {
    iifname != "${bridge}" accept
    ct state invalid drop
${each((family) => `    ${foreign(family, 'reply')}`)}
    ct direction reply ct state established,related accept
${each((family) => `    ${crowded(family)}`)}
${each((family) => `    ${ip(family)} daddr ${gatewayOf(networkOf(family))} meta l4proto { tcp, udp } th dport 53 accept`)}
    ${ipv6 === null ? '' : 'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept'}
    ip daddr { 224.0.0.0/4, 255.255.255.255 } drop
    ip6 daddr ff00::/8 drop
${each((family) => `    meta nfproto ipv${family} goto refuse${family}`)}
    drop
  }
  chain output {
    oifname "${bridge}" icmp type redirect drop
    oifname "${bridge}" icmpv6 type { nd-redirect, nd-router-advert } drop
  }
  chain forward {
    iifname != "${bridge}" oifname != "${bridge}" accept
    tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
${each((family) => `    iifname "${bridge}" meta nfproto ipv${family} goto leaving${family}`)}
${each((family) => `    oifname "${bridge}" meta nfproto ipv${family} goto entering${family}`)}
    drop
  }
  chain answer {
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }
${each((family) => chainsOf(family, bridge))}
}
${each((family) => refusedElements(family, networkOf(family), options))}
`;
}

function refusedElements(family: Family, network: Cidr, { bridge, hostAddresses }: TableOptions): string {
  const all = [...never[family], formatCidr(network), ...hostAddresses[family]];
  return `flush set inet ${bridge} refused${family}
add element inet ${bridge} refused${family} { ${all.join(', ')} }`;
}

/** Frames of guests: whose MAC and whose addresses they may carry. Nobody answers for another, or as a router. */
function spoofing(families: readonly Family[]): string {
  const ipv6 = `    ether type ip6 icmpv6 type { nd-router-advert, nd-redirect } drop
    ether type ip6 iifname . ether saddr . ip6 saddr @bound6 accept
    ether type ip6 ip6 saddr { ::, fe80::/10 } icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept
`;
  return `  chain guest {
    ether type ip iifname . ether saddr . ip saddr @bound4 accept
    iifname . ether saddr != @macs drop
    ether type arp iifname . arp saddr ether . arp saddr ip @bound4 accept
${families.includes(6) ? ipv6 : ''}    drop
  }`;
}

/** Wherever a new flow leads, to the resolver and other guests as well: each has a place in the host's table. */
function crowded(family: Family): string {
  return `ct state new add @crowds${family} { ${ip(family)} saddr ct count over ${flowsPerGuestMax} } goto refuse${family}`;
}

/** An error of ICMP belongs to the flow that it is about, which may be another guest's. */
function foreign(family: Family, side: 'original' | 'reply'): string {
  const l3 = ip(family);
  return `ct state related ${l3} saddr . ct ${side} ${l3} saddr != @selves${family} drop`;
}

function ip(family: Family): 'ip' | 'ip6' {
  return family === 4 ? 'ip' : 'ip6';
}

function chainsOf(family: Family, bridge: string): string {
  const l3 = ip(family);
  const icmp = family === 4 ? 'icmp' : 'ipv6-icmp';
  /** Judges a packet by the policy of the guest, which is its source or, in answers, its destination. */
  const judged = (guest: 'saddr' | 'daddr') => {
    const [peer, port] = guest === 'saddr' ? ['daddr', 'dport'] : ['saddr', 'sport'];
    const flow = `${l3} ${guest} . ${l3} ${peer} . meta l4proto . th ${port}`;
    const pass = `ct mark set ${l3} ${guest} map @generation${family} accept`;
    return `    ${l3} ${guest} @allow${family} ${pass}
    meta l4proto { tcp, udp } th ${port} { 53, 853 } ${guest === 'saddr' ? `goto refuse${family}` : 'drop'}
    ${flow} @allowed${family} ${pass}
    ${flow} @pins${family} ${pass}`;
  };
  /** Passes flows of ports that are published, by the port of the host; nft knows its type for each protocol only. */
  const isOpen = (guest: 'saddr' | 'daddr', port: 'sport' | 'dport') =>
    ['tcp', 'udp']
      .map((protocol) => {
        const flow = `${l3} ${guest} . meta l4proto . ${protocol} ${port} . ct original proto-dst`;
        return `    ct status dnat meta l4proto ${protocol} ${flow} @open${family} accept`;
      })
      .join('\n');
  const destination = `${l3} saddr . ${l3} daddr . meta l4proto`;
  // Passes while the guest may have another destination remembered.
  const scan = `update @scans${family} { ${l3} saddr limit rate 6/minute burst ${deniedBurst} packets }`;
  return `  chain published${family} {
    meta l4proto { tcp, udp } dnat ${l3} to meta l4proto . ${l3} daddr . th dport map @ports${family}
    meta l4proto { tcp, udp } dnat ${l3} to meta l4proto . th dport map @anyports${family}
  }
  chain leaving${family} {
    ${crowded(family)}
    oifname "${bridge}" goto between${family}
    ct state invalid drop
    ct direction reply goto replying${family}
    ${foreign(family, 'original')}
    ct state established,related ${l3} saddr . ct mark @flows${family} accept
    ${l3} daddr @refused${family} goto refuse${family}
${judged('saddr')}
    goto refuse${family}
  }
  chain replying${family} {
    ${foreign(family, 'reply')}
${isOpen('saddr', 'sport')}
    ct status dnat ct state related meta l4proto ${icmp} accept
    ct status dnat goto answer
    drop
  }
  chain between${family} {
    meta mark set ${l3} saddr map @groups${family} ${l3} daddr . meta mark @members${family} meta mark set 0 accept
    goto refuse${family}
  }
  chain entering${family} {
    ct state invalid drop
    ct direction original goto arriving${family}
    ct state established,related ${l3} daddr . ct mark @flows${family} accept
    ${l3} saddr @refused${family} drop
${judged('daddr')}
    drop
  }
  chain arriving${family} {
    ct state new ct status dnat add @visits${family} { ${l3} daddr ct count over ${visitsPerGuestMax} } goto answer
${isOpen('daddr', 'dport')}
    ct status dnat ct state related meta l4proto ${icmp} accept
    ct status dnat goto answer
    drop
  }
  chain refuse${family} {
    meta l4proto != { tcp, udp } goto refuseother${family}
    ${destination} . th dport @denied${family} update @denied${family} { ${destination} . th dport counter } goto answer
    ${scan} update @denied${family} { ${destination} . th dport counter } goto answer
    goto answer
  }
  chain refuseother${family} {
    ${destination} @deniedother${family} update @deniedother${family} { ${destination} counter } goto answer
    ${scan} update @deniedother${family} { ${destination} counter } goto answer
    goto answer
  }`;
}

export const natTables: TableText<TableOptions> = {
  name: ({ bridge }) => bridge,
  declarations,
  rules,
  configured: configuredSets,
  isMap: (set) => maps.has(set),
};
