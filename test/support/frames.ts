/** Makes Ethernet frames as a hostile guest would, forged ones included. Pure; `frame-sender.ts` sends them. */
import { parseAddress } from '../../src/network/addresses.ts';

export const broadcast = 'ff:ff:ff:ff:ff:ff';

const etherTypes = { 4: 0x0800, 6: 0x86dd, arp: 0x0806, vlan: 0x8100, serviceVlan: 0x88a8 } as const;
const protocols = { icmp: 1, tcp: 6, udp: 17, gre: 47, icmpv6: 58 } as const;
export const neighbourDiscovery = {
  solicitation: 135,
  advertisement: 136,
  routerAdvertisement: 134,
} as const;

export interface Ends {
  /** Hardware addresses. */
  readonly from: string;
  readonly to: string;
}

/** The port that datagrams and connections come from. */
export const sourcePort = 40_000;

/** A datagram between two addresses of one family. */
export function udpFrame(
  ends: Ends,
  source: string,
  destination: string,
  port: number,
  from: number = sourcePort,
): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(from, 0);
  header.writeUInt16BE(port, 2);
  const payload = Buffer.from('forged');
  header.writeUInt16BE(header.length + payload.length, 4);
  return packetFrame(ends, source, destination, protocols.udp, Buffer.concat([header, payload]), 6);
}

/** The first packet of a connection. */
export function synFrame(ends: Ends, source: string, destination: string, port: number): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(sourcePort, 0);
  header.writeUInt16BE(port, 2);
  header.writeUInt32BE(port, 4);
  // Twenty bytes of header, and the flag SYN.
  header.writeUInt16BE(0x5002, 12);
  header.writeUInt16BE(64_240, 14);
  return packetFrame(ends, source, destination, protocols.tcp, header, 16);
}

/** An echo request of ICMP, whose checksum does not cover the addresses, and a packet of a protocol without ports. */
export function otherFrames(ends: Ends, source: string, destination: string): readonly Buffer[] {
  const addresses = Buffer.concat([addressBytes(source), addressBytes(destination)]);
  const echo = Buffer.from([8, 0, 0, 0, 0, 1, 0, 1]);
  echo.writeUInt16BE(checksum(echo), 2);
  const bare = Buffer.from([0, 0, 8, 0]);
  return [
    ethernet(ends, etherTypes[4], ipv4(addresses, protocols.icmp, echo)),
    ethernet(ends, etherTypes[4], ipv4(addresses, protocols.gre, bare)),
  ];
}

/** Says over ICMP that nothing listens where the packet of the other frame, of IPv4, was sent to. */
export function unreachableFrame(ends: Ends, source: string, destination: string, about: Buffer): Buffer {
  const message = Buffer.concat([Buffer.from([3, 3, 0, 0, 0, 0, 0, 0]), about.subarray(14, 14 + 28)]);
  message.writeUInt16BE(checksum(message), 2);
  const addresses = Buffer.concat([addressBytes(source), addressBytes(destination)]);
  return ethernet(ends, etherTypes[4], ipv4(addresses, protocols.icmp, message));
}

/** An answer, or with `isRequest` a question, that says where `claimed` is. */
export function arpFrame(
  ends: Ends,
  claimed: { readonly address: string; readonly mac: string },
  asked: { readonly address: string; readonly mac: string },
  isRequest = false,
): Buffer {
  const fixed = Buffer.from([0, 1, 8, 0, 6, 4, 0, isRequest ? 1 : 2]);
  const parts = [claimed, asked].flatMap(({ mac, address }) => [macBytes(mac), addressBytes(address)]);
  return ethernet(ends, etherTypes.arp, Buffer.concat([fixed, ...parts]));
}

/** A neighbour solicitation or advertisement about `target`, with the sender's hardware address as option. */
export function neighbourFrame(
  ends: Ends,
  type: 135 | 136,
  source: string,
  destination: string,
  target: string,
): Buffer {
  const isSolicitation = type === neighbourDiscovery.solicitation;
  // An advertisement claims to be solicited, and overrides.
  const flags = isSolicitation ? 0 : 0x60;
  const option = Buffer.concat([Buffer.from([isSolicitation ? 1 : 2, 1]), macBytes(ends.from)]);
  const body = [Buffer.from([type, 0, 0, 0, flags, 0, 0, 0]), addressBytes(target), option];
  return packetFrame(ends, source, destination, protocols.icmpv6, Buffer.concat(body), 2);
}

/** Announces the sender as a router of `prefix`, a /64. */
export function routerFrame(ends: Ends, source: string, prefix: string): Buffer {
  const head = Buffer.from([
    neighbourDiscovery.routerAdvertisement,
    0,
    0,
    0,
    64,
    0,
    0x07,
    0x08,
    ...Buffer.alloc(8),
  ]);
  const information = Buffer.from([3, 4, 64, 0xc0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  const body = Buffer.concat([head, information, addressBytes(prefix)]);
  return packetFrame(ends, source, 'ff02::1', protocols.icmpv6, body, 2);
}

/** The frame with a VLAN tag, the outermost first. */
export function tagged(frame: Buffer, vlans: readonly number[]): Buffer {
  const tags = vlans.map((vlan, at) => {
    const tag = Buffer.alloc(4);
    tag.writeUInt16BE(at < vlans.length - 1 ? etherTypes.serviceVlan : etherTypes.vlan, 0);
    tag.writeUInt16BE(vlan, 2);
    return tag;
  });
  return Buffer.concat([frame.subarray(0, 12), ...tags, frame.subarray(12)]);
}

function packetFrame(
  ends: Ends,
  source: string,
  destination: string,
  protocol: number,
  body: Buffer,
  checksumAt: number,
): Buffer {
  const addresses = Buffer.concat([addressBytes(source), addressBytes(destination)]);
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(body.length, 0);
  pseudo.writeUInt32BE(protocol, 4);
  const content = Buffer.from(body);
  content.writeUInt16BE(checksum(Buffer.concat([addresses, pseudo, content])), checksumAt);
  if (addresses.length === 8) return ethernet(ends, etherTypes[4], ipv4(addresses, protocol, content));
  // Neighbour discovery is believed with the greatest hop limit only.
  const head = Buffer.from([0x60, 0, 0, 0, 0, 0, protocol, 255]);
  head.writeUInt16BE(content.length, 4);
  return ethernet(ends, etherTypes[6], Buffer.concat([head, addresses, content]));
}

function ipv4(addresses: Buffer, protocol: number, content: Buffer): Buffer {
  const head = Buffer.from([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0, ...addresses]);
  head.writeUInt16BE(head.length + content.length, 2);
  head.writeUInt16BE(checksum(head), 10);
  return Buffer.concat([head, content]);
}

function ethernet({ from, to }: Ends, type: number, payload: Buffer): Buffer {
  return Buffer.concat([macBytes(to), macBytes(from), Buffer.from([type >> 8, type & 255]), payload]);
}

function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

function addressBytes(text: string): Buffer {
  const { family, value } = parseAddress(text);
  return Buffer.from(value.toString(16).padStart(family === 4 ? 8 : 32, '0'), 'hex');
}

/** The Internet checksum, as RFC 1071 has it. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt8(at) * 256 + (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65_536);
  return ~sum & 0xffff;
}
