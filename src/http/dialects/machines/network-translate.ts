/** Translates a machine's network between core's terms and this dialect's. Pure. */

import type { z } from '@hono/zod-openapi';
import { AppError } from '../../../core/errors.ts';
import type { NetworkChange } from '../../../core/network/change.ts';
import type { ReportedLease } from '../../../core/network/leases.ts';
import type { MachineLan } from '../../../core/network/machine-network.ts';
import type { NetworkRequest, PortRequest } from '../../../core/network/requests.ts';
import type { NetworkView } from '../../../core/network/service.ts';
import type {
  DeniedEgress,
  EgressPolicy,
  EgressRule,
  NetworkFacts,
  PublishedPort,
} from '../../../core/ports/network.ts';
import type {
  deniedList,
  EgressBody,
  NetworkBody,
  NetworkChangeBody,
  NetworkViewBody,
  portRequest,
  publishedPort,
} from './network-schema.ts';

/** Raises `unsupported` for Hyperfleet's fields that only the host decides. */
export function toNetworkRequest(body: NetworkBody): NetworkRequest {
  for (const field of ['tap_device', 'tap_ip', 'guest_mac'] as const) {
    if (body[field] === undefined) continue;
    throw new AppError('unsupported', `network.${field} cannot be set: the host decides it`, {
      hint: 'Leave it out; the machine shows which it got.',
    });
  }
  const mode = body.mode ?? (body.enable === false ? 'none' : undefined);
  const address = body.address ?? body.guest_ip;
  return { ...toNetworkChange({ ...body, mode, address }), ports: body.ports?.map(toPortRequest) };
}

export function toNetworkChange({
  mode,
  bridge,
  gateway,
  resolvers,
  group,
  address,
  egress,
  bandwidth,
}: NetworkChangeBody): NetworkChange {
  const { egress_bits: sent, ingress_bits: received } = bandwidth ?? {};
  return {
    mode,
    bridge,
    gateway,
    resolvers,
    group,
    address,
    egress: egress === undefined ? undefined : toEgress(egress),
    bandwidth:
      bandwidth === undefined
        ? undefined
        : {
            ...(sent === undefined ? {} : { egress: sent }),
            ...(received === undefined ? {} : { ingress: received }),
          },
  };
}

function toEgress(body: EgressBody): EgressPolicy {
  if (typeof body === 'string') return { kind: body };
  const rules = body.allow.map(({ to, protocol, ports = null }): EgressRule => {
    const ranges =
      ports?.map((port) => (typeof port === 'number' ? { first: port, last: port } : port)) ?? null;
    return { to, protocol: protocol ?? (ranges === null ? 'any' : 'tcp'), ports: ranges };
  });
  return { kind: 'allowlist', rules };
}

export function toPortRequest(body: z.infer<typeof portRequest>): PortRequest {
  const { protocol = 'tcp', bind, host_port: hostPort, guest_port: guestPort } = body;
  return { protocol, bind, hostPort, guestPort };
}

export function toPortBody({
  protocol,
  bind,
  hostPort,
  guestPort,
}: PublishedPort): z.infer<typeof publishedPort> {
  return { protocol, bind, host_port: hostPort, guest_port: guestPort };
}

export function toNetworkBody({
  facts,
  network,
  mac,
  ipv4,
  ipv6,
  gateway,
  reported,
  note,
}: NetworkView): NetworkViewBody {
  const { mode, lan, group, egress, bandwidth, ports } = network;
  return {
    mode,
    kind: facts.kind,
    note: note ?? (mode !== 'nat' ? null : aloneNote(facts, ports)),
    ip: ipv4,
    lan: lan && toLanBody(lan, reported),
    ipv6,
    mac,
    gateway,
    group,
    egress: egress.kind === 'allowlist' ? { allow: egress.rules.map(toRuleBody) } : egress.kind,
    bandwidth: { egress_bits: bandwidth.egress, ingress_bits: bandwidth.ingress },
    ports: ports.map(toPortBody),
  };
}

function toLanBody({ bridge, fixed }: MachineLan, reported: ReportedLease | null): NetworkViewBody['lan'] {
  if (reported === null) {
    return { bridge, fixed: fixed && { ...fixed, resolvers: [...fixed.resolvers] }, reported };
  }
  const { resolvers, reportedAt, endsAt, ...rest } = reported;
  const times = { reported_at: reportedAt, lease_ends_at: endsAt };
  return { bridge, fixed: null, reported: { ...rest, resolvers: [...resolvers], ...times } };
}

/** What a host without a bridge does not do; null where there is one. */
function aloneNote({ kind, reason }: NetworkFacts, ports: readonly PublishedPort[]): string | null {
  if (kind === 'bridge') return null;
  const isUdp = ports.some(({ protocol }) => protocol === 'udp');
  const carried = ports.length === 0 ? '' : '; the daemon carries connections to its published ports';
  const left = isUdp ? ', and those of UDP lead nowhere' : '';
  return `it reaches nothing on this host${carried}${left}: ${reason ?? 'there is no bridge'}`;
}

function toRuleBody({ to, protocol, ports }: EgressRule) {
  const shown = ports?.map(({ first, last }) => (first === last ? first : { first, last })) ?? null;
  return { to, protocol, ports: shown };
}

export function toDeniedBody(denied: readonly DeniedEgress[]): z.infer<typeof deniedList> {
  return { denied: denied.map(({ lastAt, ...each }) => ({ ...each, last_at: lastAt })) };
}
