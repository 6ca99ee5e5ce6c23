/** Options about a machine's network: published ports, and what its guest may reach. */
import { isIP } from 'node:net';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { EgressRule, NetworkRequest, PublishPort } from '../sdk/src/index.ts';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';

const publishShape =
  'It must look like 80, 8080:80, 0.0.0.0:8080:80 or 53:53/udp, with ports from 1 to 65535.';
const allowShape =
  'It must look like example.com, *.example.com:443, 192.0.2.0/24, 192.0.2.7:53/udp or [2001:db8::/32]:8000-8010.';
const portMax = 65_535;

function portNumber(text: string, shape: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > portMax) throw new InvalidArgumentError(shape);
  return port;
}

/** `[[ADDRESS:]PORT:]GUESTPORT[/udp]` as docker writes it; an address of IPv6 is in brackets. */
export function publication(text: string): PublishPort {
  const [, address, host, guest = '', protocol] =
    /^(?:(?:(\[[^\]]+\]|[^:[\]]+):)?(\d*):)?(\d+)(?:\/(tcp|udp))?$/.exec(text) ?? [];
  const bind = address?.replace(/^\[|\]$/g, '');
  if (bind !== undefined && isIP(bind) === 0) throw new InvalidArgumentError(publishShape);
  return {
    guest_port: portNumber(guest, publishShape),
    ...(host === undefined || host === '' ? {} : { host_port: portNumber(host, publishShape) }),
    ...(bind === undefined ? {} : { bind }),
    ...(protocol === 'udp' ? { protocol } : {}),
  };
}

/** For an option that may be repeated. */
export function publications(text: string, before: readonly PublishPort[] = []): readonly PublishPort[] {
  return [...before, publication(text)];
}

/** `DESTINATION[:PORT[-PORT]][/udp]`: a name, an address or a network; one of IPv6 with a port is in brackets. */
export function egressRule(text: string): EgressRule {
  const [, whole = text, protocol] = /^(.*)\/(tcp|udp)$/.exec(text) ?? [];
  const [, inBrackets, bare, first, last] =
    /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+)(?:-(\d+))?)?$/.exec(whole) ?? [];
  const to = inBrackets ?? bare ?? (isIP(whole.split('/')[0] ?? '') === 6 ? whole : '');
  if (to === '') throw new InvalidArgumentError(allowShape);
  const from = first === undefined ? null : portNumber(first, allowShape);
  return {
    to,
    ...(protocol === undefined ? {} : { protocol: protocol === 'udp' ? 'udp' : 'tcp' }),
    ...(from === null
      ? {}
      : { ports: [last === undefined ? from : { first: from, last: portNumber(last, allowShape) }] }),
  };
}

function egressRules(text: string, before: readonly EgressRule[] = []): readonly EgressRule[] {
  return [...before, egressRule(text)];
}

export interface PolicyOptions {
  readonly egress?: 'allow' | 'deny';
  readonly allow?: readonly EgressRule[];
  readonly group?: string;
}

export interface NetworkOptions extends PolicyOptions {
  readonly network?: 'nat' | 'bridge' | 'none';
  readonly ip?: string;
  readonly lanBridge?: string;
  readonly gateway?: string;
  readonly resolver?: readonly string[];
  readonly publish?: readonly PublishPort[];
}

/** The options that a machine's `update` takes as well. */
export function addPolicyOptions(command: Command, moreOfGroup = ''): Command {
  return command
    .addOption(
      new Option('--egress <policy>', 'what the guest may send to the world (default: allow)').choices([
        'allow',
        'deny',
      ]),
    )
    .option(
      '--allow <destination>',
      'let the guest reach only what is named so: example.com:443, *.example.com, 192.0.2.0/24 (repeatable)',
      egressRules,
    )
    .addOption(
      new Option('--deny-outgoing', 'the same as --egress deny').hideHelp().implies({ egress: 'deny' }),
    )
    .option('--group <name>', `your machines of one group reach each other${moreOfGroup}`);
}

export function addNetworkOptions(command: Command): Command {
  return addPolicyOptions(
    command
      .option(
        '-p, --publish <port>',
        'let a port of this host lead to one of the machine: 8080:80, 0.0.0.0:8080:80, 53:53/udp (repeatable)',
        publications,
      )
      .addOption(
        new Option(
          '--network <mode>',
          'nat: an address, and a way out; bridge: a place in the network of the host; none: no network (default: nat)',
        ).choices(['nat', 'bridge', 'none']),
      )
      .option(
        '--ip <address>',
        'a certain address of the machines’ network; with --network bridge, one such as 192.168.1.50/24',
      )
      .option('--lan-bridge <name>', 'with --network bridge: another bridge than the first one of the host')
      .option('--gateway <address>', 'with --network bridge and --ip: the gateway')
      .option(
        '--resolver <address>',
        'with --network bridge and --ip: a name server (repeatable)',
        (text: string, before: readonly string[] = []) => [...before, text],
      ),
  );
}

/** Undefined when no option was given. */
export function networkOf(options: NetworkOptions): NetworkRequest | undefined {
  const { network, ip, lanBridge, gateway, resolver, publish } = options;
  const asked: NetworkRequest = {
    ...(network === undefined ? {} : { mode: network }),
    ...(ip === undefined ? {} : { address: ip }),
    ...(lanBridge === undefined ? {} : { bridge: lanBridge }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(resolver === undefined ? {} : { resolvers: [...resolver] }),
    ...(publish === undefined ? {} : { ports: [...publish] }),
    ...policyOf(options),
  };
  return Object.keys(asked).length === 0 ? undefined : asked;
}

/** An allowlist together with `allow` or `deny` would say two things. */
export function policyOf({ egress, allow, group }: PolicyOptions): Pick<NetworkRequest, 'egress' | 'group'> {
  if (egress !== undefined && allow !== undefined)
    throw new CliError('--allow and --egress cannot be given together', {
      hint: '--allow alone refuses everything else',
      exitCode: exitCodes.usage,
    });
  const policy = allow === undefined ? egress : { allow: [...allow] };
  return {
    ...(policy === undefined ? {} : { egress: policy }),
    ...(group === undefined ? {} : { group: group === 'none' ? null : group }),
  };
}
