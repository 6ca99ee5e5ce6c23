/**
 * The nftables rules for machines on bridges of the operator: constant text, which looks everything up in sets and maps,
 * as `rules/tables.ts` does. Frames are judged at the machines' taps, in the bridge family: they never reach the host's
 * routing, and kernels need not have connection tracking for bridges.
 *
 * Decides: a guest sends IPv4 and ARP only, from its own hardware address, and from its fixed address or those that the
 * network's DHCP server has given it (`leases`, which the kernel fills from the answers that it sees). It neither answers
 * DHCP nor redirects. It reaches no other guest here but members of its group, no address of the host but its DHCP and DNS
 * server, nothing in `never`, and of the rest what its policy allows.
 */
import type { TableText } from '../rules/firewall.ts';

export interface LanTableOptions {
  /** Of both tables. */
  readonly table: string;
  /** Networks and addresses that guests never reach here, beside those of the namespace of the rules. */
  readonly never: readonly string[];
}

/**
 * An address may be used for this long after the DHCP server has last given it. The guest agent asks for it again well
 * before.
 */
const leaseTimeout = '24h';
/** Questions to the DHCP server, of one guest: so many at once, and then so many a minute. */
const asksBurst = 20;
const asksPerMinute = 6;
/** How long a guest may answer: to a new connection, on an open one, to datagrams, to a ping. */
const [openingTimeout, openTimeout, datagramsTimeout, pingTimeout] = ['60s', '2h', '3m', '30s'];
const flowsMax = 65_536;

/** No host is there, or more than one. */
const neverHosts = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3'];

/**
 * Fields of DHCP messages, which nft has no names for: offset and length in bits. `address` is the address that the answer
 * is about, `relay` that of a relay, `client` the client's hardware address.
 */
const dhcp = { address: '@th,192,32', relay: '@th,256,32', client: '@th,288,48' } as const;
/** The source's IPv4 address of a packet, and of ARP, in the same type as `dhcp.address`. */
const source = { ip: '@nh,96,32', arp: '@nh,112,32' } as const;

function declarations({ table }: LanTableOptions): string {
  return `table bridge ${table} {
  set taps { type ifname; }
  set macs { type ifname . ether_addr; }
  set bound { type ifname . ether_addr . ipv4_addr; }
  set clients { typeof meta iifname . ${dhcp.client}; }
  set leases { typeof meta iifname . ${dhcp.address}; size ${flowsMax}; flags dynamic, timeout; timeout ${leaseTimeout}; }
  set servers { type ifname . ipv4_addr; size ${flowsMax}; flags dynamic, timeout; timeout ${leaseTimeout}; }
  set asks { type ifname; size ${flowsMax}; flags dynamic, timeout; timeout 1h; }
  set free { type ifname; }
  set allowed { type ifname . ipv4_addr . inet_proto . inet_service; flags interval; }
  set opening { type ifname . ipv4_addr . inet_proto . inet_service . inet_service; size ${flowsMax}; flags dynamic, timeout; }
  set open { type ifname . ipv4_addr . inet_proto . inet_service . inet_service; size ${flowsMax}; flags dynamic, timeout; }
  set pinged { type ifname . ipv4_addr; size ${flowsMax}; flags dynamic, timeout; }
  map groups { type ifname : mark; }
  set members { type ifname . mark; }
  set never { type ipv4_addr; flags interval; auto-merge; }
  chain arrived { type filter hook prerouting priority -300; policy accept; }
  chain passing { type filter hook forward priority 0; policy accept; }
  chain delivering { type filter hook postrouting priority 0; policy accept; }
  chain guest { }
  chain speaking { }
  chain sending { }
  chain asking { }
  chain judged { }
  chain answering { }
  chain between { }
  chain given { }
}
table inet ${table} {
  set places { type ifname . ether_addr; }
  chain arrived { type filter hook prerouting priority raw; policy accept; }
  chain guest { }
  chain host { }
}
`;
}

function rules({ table, never }: LanTableOptions): string {
  const out = 'iifname . ip daddr . meta l4proto . th dport . th sport';
  const back = 'oifname . ip saddr . meta l4proto . th sport . th dport';
  const ask = `update @asks { iifname limit rate ${asksPerMinute}/minute burst ${asksBurst} packets } accept`;
  return `table bridge ${table} {
  chain arrived { iifname @taps goto guest; }
  chain passing { iifname @taps oifname @taps goto between; }
  chain delivering { oifname @taps goto given; }
  chain guest {
    iifname . ether saddr != @macs drop
    ether type arp goto speaking
    ether type ip goto sending
    drop
  }
  # A guest may ask who has an address before it has one itself.
  chain speaking {
    iifname . arp saddr ether . arp saddr ip @bound accept
    iifname . arp saddr ether @macs iifname . ${source.arp} @leases accept
    iifname . arp saddr ether @macs arp saddr ip 0.0.0.0 arp operation request accept
    drop
  }
  chain sending {
    udp sport 67 drop
    udp sport 68 udp dport 67 goto asking
    iifname . ether saddr . ip saddr @bound goto judged
    iifname . ${source.ip} @leases goto judged
    drop
  }
  # No matches on what must not be: a frame that is too short to be read would pass them.
  chain asking {
    iifname . ${dhcp.client} @clients ${dhcp.relay} 0 ip saddr 0.0.0.0 ip daddr 255.255.255.255 ${ask}
    iifname . ${dhcp.client} @clients ${dhcp.relay} 0 iifname . ${source.ip} @leases ip daddr 255.255.255.255 ${ask}
    iifname . ${dhcp.client} @clients ${dhcp.relay} 0 iifname . ${source.ip} @leases iifname . ip daddr @servers ${ask}
    drop
  }
  chain judged {
    ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 drop
    ip daddr @never drop
    icmp type { redirect, router-advertisement } drop
    meta l4proto tcp ${out} @open update @open { ${out} timeout ${openTimeout} } accept
    tcp flags & (syn | ack) == syn | ack ${out} @opening update @open { ${out} timeout ${openTimeout} } accept
    ${out} @opening accept
    iifname @free accept
    icmp type echo-reply iifname . ip daddr @pinged accept
    iifname . ip daddr . meta l4proto . th dport @allowed accept
    drop
  }
  chain between {
    meta mark set iifname map @groups oifname . meta mark @members meta mark set 0 accept
    drop
  }
  # What comes to a guest: noted, so that its answers pass whatever its policy is.
  chain given {
    ether type arp accept
    ether type != ip drop
    udp sport 67 udp dport 68 oifname . ${dhcp.client} @clients ${dhcp.address} != 0 update @leases { meta oifname . ${dhcp.address} } update @servers { oifname . ip saddr } accept
    tcp flags & (syn | ack) == syn update @opening { ${back} timeout ${openingTimeout} } accept
    meta l4proto udp update @opening { ${back} timeout ${datagramsTimeout} } accept
    icmp type echo-request update @pinged { oifname . ip saddr timeout ${pingTimeout} } accept
  }
}
table inet ${table} {
  chain arrived { iifname . ether saddr @places goto guest; }
  chain guest {
    meta nfproto != ipv4 drop
    fib daddr type { local, broadcast, anycast, multicast } goto host
  }
  chain host {
    udp dport { 53, 67 } accept
    tcp dport 53 accept
    drop
  }
}
flush set bridge ${table} never
add element bridge ${table} never { ${[...neverHosts, ...never].join(', ')} }
`;
}

const configured = {
  bridge: ['taps', 'macs', 'bound', 'clients', 'free', 'allowed', 'groups', 'members'],
  inet: ['places'],
} as const;

/** Of both tables of a daemon with this bridge of its own. */
export function lanTableName(ownBridge: string): string {
  return `${ownBridge}_lan`;
}

export const lanTables: TableText<LanTableOptions> = {
  name: ({ table }) => table,
  declarations,
  rules,
  configured,
  isMap: (set) => set === 'groups',
};
