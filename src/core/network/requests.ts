/** Checks what callers ask of a machine's network. Pure; `allocation.ts` gives it addresses and ports. */
import { AppError } from '../errors.ts';
import type { Bandwidth, EgressPolicy, EgressRule, NetworkFacts, PortRange } from '../ports/network.ts';
import { isIpv6, parseIpv4 } from './addresses.ts';
import { type LanPlan, type LanRequest, planLan, refuseLanFields } from './lan.ts';
import type { MachineNetwork, NetworkMode } from './machine-network.ts';

/** Absent fields get defaults. */
export interface NetworkRequest extends LanRequest {
  readonly mode?: NetworkMode | undefined;
  readonly group?: string | null | undefined;
  /**
   * A certain IPv4 address: of the guests' network, or, in the mode `bridge`, with the length of the prefix, such as
   * `192.168.1.50/24`. Null: any, and one of the DHCP server.
   */
  readonly address?: string | null | undefined;
  readonly egress?: EgressPolicy | undefined;
  readonly bandwidth?: Partial<Bandwidth> | undefined;
  readonly ports?: readonly PortRequest[] | undefined;
}

export interface PortRequest {
  readonly protocol: 'tcp' | 'udp';
  /** An address of the host. Absent: loopback. */
  readonly bind?: string | undefined;
  /** Absent or null: a free one of the host's range. */
  readonly hostPort?: number | null | undefined;
  readonly guestPort: number;
}

/** A checked request. Ports and address are not allocated yet. */
export interface NetworkPlan extends Omit<MachineNetwork, 'ports' | 'lan'> {
  /** Null unless the mode is `bridge`. */
  readonly lan: LanPlan | null;
  readonly ports: readonly PortRequest[];
}

export const portsMax = 64;
export const rulesMax = 256;
const rangesMax = 64;
const bandwidthMin = 8_000;
const bandwidthMax = 100_000_000_000;
/** The loopback address of the host: published ports are private unless somebody says otherwise. */
export const bindDefault = '127.0.0.1';

const domain = /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;
const domainMax = 253;
const groupName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/;

/** Raises `invalid`, and `unsupported` for what this host does not do. */
export function planNetwork(request: NetworkRequest, facts: NetworkFacts): NetworkPlan {
  const { mode = 'nat', group = null, address = null, ports = [] } = request;
  if (mode === 'none') requireNothing(request);
  if (mode !== 'bridge') refuseLanFields(request, mode);
  else if (ports.length > 0) throw noPortsOnBridge();
  checkGroup(group);
  for (const port of ports) checkPort(port, facts);
  if (ports.length > portsMax) throw tooManyPorts();
  const lan = mode === 'bridge' ? planLan(request, facts.lan) : null;
  return {
    mode,
    address: lan === null ? address : null,
    lan,
    group,
    egress: checkEgressOf(mode, request.egress ?? { kind: 'allow' }),
    bandwidth: checkBandwidth({ egress: null, ingress: null, ...request.bandwidth }),
    ports,
  };
}

export function noPortsOnBridge(): AppError {
  return new AppError('unsupported', "a machine with the mode 'bridge' publishes no ports of the host", {
    hint: 'It has an address of its own, at which all of its ports are reached.',
  });
}

export function tooManyPorts(): AppError {
  return new AppError('invalid', `a machine publishes at most ${portsMax} ports`);
}

function requireNothing({ group, address, egress, bandwidth, ports }: NetworkRequest): void {
  const asked = { group, address, egress, bandwidth, ports: ports?.length === 0 ? undefined : ports };
  const [name] = Object.entries(asked).find(([, value]) => value != null) ?? [];
  // A machine without a network sends nothing: that is what such a policy asks for.
  if (name === undefined || (name === 'egress' && egress?.kind === 'deny')) return;
  throw new AppError('invalid', `network.${name} needs a network, and the mode is 'none'`, {
    hint: `Leave out ${name}, or use the mode 'nat'.`,
  });
}

export function checkGroup(group: string | null): void {
  if (group === null || groupName.test(group)) return;
  throw new AppError('invalid', `network.group: not a name: '${group}'`, {
    hint: 'Use at most 63 letters, digits, dots, hyphens and underscores; begin with a letter or digit.',
  });
}

/** Raises `invalid` for impossible values, `unsupported` for what the host does not publish. */
export function checkPort(port: PortRequest, { kind, reason }: NetworkFacts): void {
  const { protocol, bind = bindDefault, hostPort = null, guestPort } = port;
  for (const [name, value] of Object.entries({ hostPort, guestPort })) {
    if (value !== null && !isPort(value))
      throw new AppError('invalid', `${name === 'hostPort' ? 'host_port' : 'guest_port'} must be 1 to 65535`);
  }
  if (parseIpv4(bind) === null && !isIpv6(bind))
    throw new AppError('invalid', `bind: not an address: '${bind}'`, {
      hint: 'Write an address of the host: 127.0.0.1 for the host alone, 0.0.0.0 for everyone.',
    });
  if (kind === 'user' && protocol === 'udp')
    throw new AppError('unsupported', `this host publishes no UDP ports: ${reason ?? 'it has no bridge'}`, {
      hint: 'Without a bridge the daemon carries connections to guests itself, TCP only; flotilla doctor says what is missing.',
    });
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** With names in lower case. Raises `invalid`, and `unsupported` for names on a bridge, whose resolver is not ours. */
export function checkEgressOf(mode: NetworkMode, policy: EgressPolicy): EgressPolicy {
  const checked = checkEgress(policy);
  const name = checked.kind === 'allowlist' ? checked.rules.find(({ to }) => !isNetwork(to)) : undefined;
  if (mode !== 'bridge' || name === undefined) return checked;
  throw new AppError('unsupported', `an allowlist of the mode 'bridge' names no domains: '${name.to}'`, {
    hint: "Name IPv4 addresses and networks; names are followed in the mode 'nat', where the host answers for them.",
  });
}

function isNetwork(to: string): boolean {
  return parseIpv4(to.split('/')[0] ?? '') !== null;
}

/** With names in lower case. Raises `invalid`. */
function checkEgress(policy: EgressPolicy): EgressPolicy {
  if (policy.kind !== 'allowlist') return policy;
  if (policy.rules.length > rulesMax)
    throw new AppError('invalid', `an allowlist has at most ${rulesMax} rules`);
  return { kind: 'allowlist', rules: policy.rules.map(checkRule) };
}

function checkRule(rule: EgressRule): EgressRule {
  const to = rule.to.toLowerCase();
  if (!isDestination(to))
    throw new AppError('invalid', `an allowlist's rule leads to no destination: '${rule.to}'`, {
      hint: 'Write an address, a network such as 192.0.2.0/24, or a name such as example.com or *.example.com.',
    });
  if (rule.ports !== null && rule.protocol === 'any')
    throw new AppError('invalid', `${to}: a rule with ports needs the protocol tcp or udp`);
  if (rule.ports !== null && (rule.ports.length > rangesMax || !rule.ports.every(isRange)))
    throw new AppError('invalid', `${to}: ports must be at most ${rangesMax} ranges of 1 to 65535`);
  return { ...rule, to };
}

function isRange({ first, last }: PortRange): boolean {
  return isPort(first) && isPort(last) && first <= last;
}

function isDestination(to: string): boolean {
  const [address = '', length, ...rest] = to.split('/');
  const isV4 = parseIpv4(address) !== null;
  if (isV4 || isIpv6(address)) {
    if (length === undefined) return true;
    return rest.length === 0 && /^\d{1,3}$/.test(length) && Number(length) <= (isV4 ? 32 : 128);
  }
  // A last label of digits would be an address that was mistyped.
  return to.length <= domainMax && domain.test(to) && !/(^|\.)\d+$/.test(to);
}

/** Raises `invalid`. */
export function checkBandwidth(bandwidth: Bandwidth): Bandwidth {
  for (const [name, value] of Object.entries(bandwidth)) {
    if (value === null) continue;
    if (!Number.isInteger(value) || value < bandwidthMin || value > bandwidthMax)
      throw new AppError(
        'invalid',
        `bandwidth.${name} must be ${bandwidthMin} to ${bandwidthMax} bits per second`,
      );
  }
  return bandwidth;
}
