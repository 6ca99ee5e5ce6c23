/** Every kind of change of a machine's network and ports, with the machine that it begins with. */
import type { Core } from '../../src/core/core.ts';
import type { CreateRequest } from '../../src/core/machines/spec.ts';
import type { UpdateRequest } from '../../src/core/machines/update.ts';
import type { LanFacts, PublishedPort } from '../../src/core/ports/network.ts';
import { machineRequest, name, tenant } from './worlds.ts';

export interface NetworkChangeCase {
  readonly title: string;
  /** Whether it may be made while the machine runs. */
  readonly isLive: boolean;
  /** Makes the machine `web`, and brings it to the state in which the change is made. */
  prepare(core: Core): Promise<void>;
  act(core: Core): Promise<unknown>;
}

type State = 'created' | 'running' | 'paused';

const published = { protocol: 'tcp', hostPort: 18_080 } as const;
const certain = { protocol: 'udp', hostPort: 18_081, guestPort: 53 } as const;

/** The SSH port that the machine has, and another one. */
const [sshPort, otherSshPort] = [16_002, 16_003];

/** A place on a bridge of the operator, and another one. */
const place = { mode: 'bridge', address: '192.168.7.150/24', gateway: '192.168.7.1' } as const;
const otherAddress = '192.168.7.151/24';
export const lan: LanFacts = { bridges: [{ name: 'br0', fixedRange: '192.168.7.128/25' }], reason: null };

async function bring({ machines }: Core, state: State, network = machineRequest.network): Promise<void> {
  await machines.create(tenant, { ...machineRequest, network, sshPort });
  if (state === 'created') return;
  await machines.start(tenant, name);
  if (state === 'paused') await machines.pause(tenant, name);
}

const withdraw = ({ network }: Core, port: Pick<PublishedPort, 'protocol' | 'hostPort'>) =>
  network.unpublish(tenant, name, port);
const update = (core: Core, network: UpdateRequest['network']) =>
  core.machines.update(tenant, name, { network });

interface Change {
  readonly what: string;
  readonly isLive: boolean;
  /** Of the machine that it begins with; absent: that of all worlds. */
  readonly network?: CreateRequest['network'];
  readonly act: NetworkChangeCase['act'];
}

const changes: readonly Change[] = [
  {
    what: 'publish a certain port',
    isLive: true,
    act: ({ network }) => network.publish(tenant, name, certain),
  },
  {
    what: 'publish any port',
    isLive: true,
    act: ({ network }) => network.publish(tenant, name, { protocol: 'tcp', guestPort: 8080 }),
  },
  { what: 'withdraw a port', isLive: true, act: (core) => withdraw(core, published) },
  {
    what: 'allow less',
    isLive: true,
    act: (core) =>
      update(core, {
        egress: { kind: 'allowlist', rules: [{ to: 'example.com', protocol: 'any', ports: null }] },
      }),
  },
  {
    what: 'enter a group, limited',
    isLive: true,
    act: (core) => update(core, { group: 'back', bandwidth: { egress: 8_000_000 } }),
  },
  {
    what: 'another SSH port',
    isLive: true,
    act: ({ machines }) => machines.update(tenant, name, { sshPort: otherSshPort }),
  },
  {
    what: 'no SSH port',
    isLive: true,
    act: ({ machines }) => machines.update(tenant, name, { sshPort: null }),
  },
  { what: 'another address', isLive: false, act: (core) => update(core, { address: '10.77.0.9' }) },
  { what: 'no network', isLive: false, act: (core) => update(core, { mode: 'none' }) },
  {
    what: 'allow less on a bridge',
    isLive: true,
    network: place,
    act: (core) => update(core, { egress: { kind: 'deny' }, group: 'back' }),
  },
  {
    what: 'another fixed address on a bridge',
    isLive: false,
    network: place,
    act: (core) => update(core, { address: otherAddress }),
  },
  { what: 'leave a bridge', isLive: false, network: place, act: (core) => update(core, { mode: 'nat' }) },
  {
    what: 'enter a bridge',
    isLive: false,
    network: {},
    act: (core) => update(core, place),
  },
];

export const networkChanges: readonly NetworkChangeCase[] = changes.flatMap(
  ({ what, isLive, network, act }) =>
    (isLive ? (['created', 'running', 'paused'] as const) : (['created'] as const)).map((state) => ({
      title: `${what}, of a ${state} machine`,
      isLive,
      prepare: (core) => bring(core, state, network),
      act,
    })),
);
