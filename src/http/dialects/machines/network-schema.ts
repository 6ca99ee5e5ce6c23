/** A machine's network in requests and answers. */
import { z } from '@hono/zod-openapi';
import { networkModes } from '../../../core/network/machine-network.ts';
import { bindDefault, portsMax, rulesMax } from '../../../core/network/requests.ts';
import { closed } from '../../schema.ts';

const portNumber = z.int().min(1).max(65_535);
const protocol = z.enum(['tcp', 'udp']).openapi({ example: 'tcp' });
const text = z.string().min(1).max(253);

export const portRequest = closed({
  guest_port: portNumber.openapi({ description: 'Port of the guest.', example: 80 }),
  host_port: portNumber.nullable().optional().openapi({
    description: 'Port of the host. Null or absent: a free one of the host’s range.',
    example: 8080,
  }),
  protocol: protocol.optional().openapi({ description: 'Default: `tcp`.' }),
  bind: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .openapi({
      description: `Address of the host: \`0.0.0.0\` is every one. Default: \`${bindDefault}\`, the host alone.`,
      example: bindDefault,
    }),
}).openapi('PublishPort');

export const publishedPort = z
  .object({
    protocol,
    bind: z.string().openapi({ example: bindDefault }),
    host_port: portNumber.openapi({ example: 8080 }),
    guest_port: portNumber.openapi({ example: 80 }),
  })
  .openapi('PublishedPort');

const portRange = closed({ first: portNumber, last: portNumber }).openapi('PortRange', {
  description: 'Inclusive.',
});

const rule = closed({
  to: text.openapi({
    description: 'An address, a network, or a domain name; `*.example.com` is every name below.',
    example: 'example.com',
  }),
  protocol: z
    .enum(['tcp', 'udp', 'any'])
    .optional()
    .openapi({ description: 'Default: `tcp` with ports, otherwise `any`.', example: 'tcp' }),
  ports: z
    .array(z.union([portNumber, portRange]))
    .min(1)
    .max(64)
    .nullable()
    .optional()
    .openapi({ description: 'Ports, and ranges of them. Null or absent: every port.', example: [443] }),
}).openapi('EgressRule');

/** As accepted; the answer has every field. */
export const egressField = z
  .union([
    z.enum(['allow', 'deny']),
    closed({ allow: z.array(rule).max(rulesMax) }).openapi({ description: 'Only what a rule names.' }),
  ])
  .openapi('EgressPolicy', {
    description:
      'What the guest may send to the world. `deny`: nothing. Answers to connections from outside always pass.',
    example: { allow: [{ to: 'example.com', ports: [443] }] },
  });
export type EgressBody = z.infer<typeof egressField>;

const bits = z.int().min(8_000).max(100_000_000_000).nullable().optional();
const bandwidthField = closed({
  egress_bits: bits.openapi({
    description: 'Sent by the guest, per second. Null: unlimited.',
    example: 10_000_000,
  }),
  ingress_bits: bits.openapi({ description: 'Received by it, per second. Null: unlimited.', example: null }),
}).openapi('Bandwidth');

const changeable = {
  mode: z.enum(networkModes).optional().openapi({
    description:
      '`nat`: an address of the guests’ network, with a way out. `bridge`: a place on a bridge of the operator’s, with an address of that network. `none`: no network. Changes only while the machine is stopped.',
    example: 'nat',
  }),
  bridge: z.string().min(1).max(15).nullable().optional().openapi({
    description:
      'With the mode `bridge`: a bridge that the operator has named. Null or absent: the first one. Changes only while the machine is stopped.',
    example: 'br0',
  }),
  gateway: z.string().min(1).max(64).nullable().optional().openapi({
    description:
      'With the mode `bridge` and an address. Null or absent: none. Changes only while the machine is stopped.',
    example: '192.168.1.1',
  }),
  resolvers: z
    .array(z.string().min(1).max(64))
    .max(3)
    .optional()
    .openapi({
      description:
        'With the mode `bridge` and an address: its name servers. Changes only while the machine is stopped.',
      example: ['192.168.1.1'],
    }),
  group: z.string().max(63).nullable().optional().openapi({
    description: 'Your machines of the same group reach each other. Null: it reaches no other machine.',
    example: 'backend',
  }),
  address: z.string().min(1).max(64).nullable().optional().openapi({
    description:
      'A certain IPv4 address of the guests’ network; with the mode `bridge`, one with the length of the prefix, such as `192.168.1.50/24`. Null or absent: a free one, or one of the DHCP server. Changes only while the machine is stopped.',
    example: '10.77.0.9',
  }),
  egress: egressField.optional(),
  bandwidth: bandwidthField.optional(),
};

export const networkChange = closed(changeable).openapi('NetworkChange', {
  description: 'Policy, group and bandwidth change at once, also while the machine runs.',
});
export type NetworkChangeBody = z.infer<typeof networkChange>;

/** Hyperfleet's fields are accepted beside ours. */
export const networkField = closed({
  ...changeable,
  ports: z
    .array(portRequest)
    .max(portsMax)
    .optional()
    .openapi({ description: 'Ports of the host that lead to the guest.' }),
  enable: z.boolean().optional().openapi({
    description: 'Hyperfleet’s name: false is the mode `none`.',
    example: true,
  }),
  guest_ip: z.string().max(64).optional().openapi({ description: 'Hyperfleet’s name of `address`.' }),
  tap_device: z.string().max(64).optional().openapi({ description: 'Refused: the host names its devices.' }),
  tap_ip: z
    .string()
    .max(64)
    .optional()
    .openapi({ description: 'Refused: the host gives its own addresses.' }),
  guest_mac: z.string().max(64).optional().openapi({ description: 'Refused: it follows from the address.' }),
}).openapi('MachineNetworkRequest');
export type NetworkBody = z.infer<typeof networkField>;

const shownRange = z.union([z.int(), portRange]);
export const networkView = z
  .object({
    mode: z.enum(networkModes),
    kind: z.enum(['bridge', 'user']).openapi({
      description:
        '`user`: this host makes no bridge, so the guest’s interface reaches nothing, and the daemon carries connections to published TCP ports.',
      example: 'bridge',
    }),
    note: z.string().nullable().openapi({
      description:
        'Why it has no working network, or which change is not in force yet; null: nothing is wrong.',
      example: null,
    }),
    ip: z.string().nullable().openapi({ example: '10.77.0.9' }),
    lan: z
      .object({
        bridge: z.string().openapi({ example: 'br0' }),
        fixed: z
          .object({
            address: z.string().openapi({ example: '192.168.1.50' }),
            prefix: z.int().openapi({ example: 24 }),
            gateway: z.string().nullable().openapi({ example: '192.168.1.1' }),
            resolvers: z.array(z.string()),
          })
          .nullable()
          .openapi({ description: 'Null: its address comes by DHCP.' }),
        reported: z
          .object({
            address: z.string().openapi({ example: '192.168.1.50' }),
            prefix: z.int().openapi({ example: 24 }),
            gateway: z.string().nullable().openapi({ example: '192.168.1.1' }),
            resolvers: z.array(z.string()),
            reported_at: z.string().openapi({ example: '2026-11-29T10:00:00.000Z' }),
            lease_ends_at: z.string().openapi({ example: '2026-11-29T22:00:00.000Z' }),
          })
          .nullable()
          .openapi({
            description:
              'What the guest says that a DHCP server has given it: its own word, which nobody has checked. Null while it has said nothing.',
          }),
      })
      .nullable()
      .openapi({ description: 'Its place on a bridge of the operator’s. Null unless the mode is `bridge`.' }),
    ipv6: z.string().nullable().openapi({ example: null }),
    mac: z.string().nullable().openapi({ example: '02:66:0a:4d:00:09' }),
    gateway: z.string().nullable().openapi({ example: '10.77.0.1' }),
    group: z.string().nullable().openapi({ example: null }),
    egress: z.union([
      z.enum(['allow', 'deny']),
      z.object({
        allow: z.array(
          z.object({
            to: z.string(),
            protocol: z.enum(['tcp', 'udp', 'any']),
            ports: z.array(shownRange).nullable(),
          }),
        ),
      }),
    ]),
    bandwidth: z.object({ egress_bits: z.number().nullable(), ingress_bits: z.number().nullable() }),
    ports: z.array(publishedPort),
  })
  .openapi('MachineNetwork', { description: 'Its place in the network of its host.' });
export type NetworkViewBody = z.infer<typeof networkView>;

export const portList = z.object({ ports: z.array(publishedPort) }).openapi('PublishedPorts');
export const portChanged = z
  .object({
    port: publishedPort,
    in_force: z.boolean().openapi({
      description: 'False: it is recorded, and the host will carry it out as soon as it can.',
      example: true,
    }),
  })
  .openapi('PortPublished');

export const deniedList = z
  .object({
    denied: z.array(
      z.object({
        protocol: z.string().openapi({ example: 'tcp' }),
        address: z.string().openapi({ example: '192.0.2.7' }),
        port: z.int().nullable().openapi({ example: 443 }),
        domain: z.string().nullable().openapi({
          description: 'The name that the guest asked for, when its resolver refused it.',
          example: null,
        }),
        packets: z.int().openapi({ example: 3 }),
        last_at: z.string().openapi({ example: '2026-11-29T10:00:00.000Z' }),
      }),
    ),
  })
  .openapi('DeniedEgress');
