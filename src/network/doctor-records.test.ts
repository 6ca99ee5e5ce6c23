/** What `doctor` finds on a host whose rules and addresses do not fit its records, with a real host in a namespace. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { examineRecords, type KnownMachine } from './doctor-records.ts';
import { whyNoNamespaces } from './lab/namespaces.ts';
import { hostAddress, makeAttachment, patience, Scene } from './lab/scene.ts';
import { readNetworkSettings } from './settings.ts';
import { rulesOf } from './stray-rules.ts';

const reason = await whyNoNamespaces();
if (reason !== null) console.warn(`skipped: ${reason}`);

describe.skipIf(reason !== null)('a host and its records', () => {
  let scene: Scene;
  const known: KnownMachine[] = [];

  beforeAll(async () => {
    scene = await Scene.make({ ipv6: 'fd77::/64' });
    const bind = { protocol: 'tcp', bind: hostAddress, hostPort: 8080, guestPort: 80 } as const;
    const all = { ...bind, bind: '0.0.0.0', hostPort: 8081 };
    const { attachment } = await scene.guest({
      ...{ ipv6: 'fd77::9', group: 'g', ports: [bind, all] },
      egress: { kind: 'allowlist', rules: [{ to: '203.0.113.0/24', protocol: 'tcp', ports: null }] },
    });
    const { machineId: id, name, ipv4, ports } = attachment;
    known.push({ id, name, addresses: [ipv4, 'fd77::9'], ports });
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  const examine = (machines: readonly KnownMachine[] = known, kind: 'bridge' | 'user' = 'bridge') => {
    const settings = readNetworkSettings({
      ...{ kind, bridge: 'flotilla0', netns: scene.host.path },
      ...{ cidr: '10.77.0.0/16', ipv6: 'fd77::/64', dns: undefined, lanBridges: undefined },
    });
    return examineRecords({ settings, isRoot: true, readMachines: async () => machines }, patience());
  };
  const nft = (script: string) => scene.host.run('nft', ['-f', '-'], script);

  it('has nothing to say when they fit', async () => {
    expect(await examine()).toEqual([]);
  });

  it('names each machine and address that nobody has, and their sets', async () => {
    const [report, ...more] = await examine([]);
    const [machine] = known as [KnownMachine];
    expect([report?.level, more]).toEqual(['problem', []]);
    expect(report?.message).toContain(`${machine.id} (taps, macs, bound4, bound6)`);
    for (const set of ['allowed4', 'anyports4', 'generation4', 'members4', 'open4', 'ports4', 'selves4'])
      expect(report?.message).toMatch(new RegExp(`${machine.addresses[0]} \\([^)]*\\b${set}\\b`));
    expect(report?.message).toContain('fd77::9 (');
    const ghost = makeAttachment(900);
    await nft(`add element inet flotilla0 allow4 { ${ghost.ipv4} }`);
    expect((await examine()).map(({ message }) => message)).toEqual([
      `the rules name machines that this host does not have: ${ghost.ipv4} (allow4)`,
    ]);
    await nft(`delete element inet flotilla0 allow4 { ${ghost.ipv4} }`);
    // Those of machines on bridges of the operator have tables of their own.
    await nft(
      `add table bridge flotilla0_lan
       add set bridge flotilla0_lan taps { type ifname; }
       add element bridge flotilla0_lan taps { "fxghost0000001" }`,
    );
    expect((await examine()).map(({ message }) => message)).toEqual([
      'the rules name machines that this host does not have: ghost0000001 (taps)',
    ]);
    await nft('delete table bridge flotilla0_lan');
    expect(await examine()).toEqual([]);
  });

  it('names rules that somebody has added to the daemon’s or removed', async () => {
    await nft('insert rule inet flotilla0 forward ip daddr 203.0.113.7 accept');
    expect((await examine()).map(({ message }) => message)).toEqual([
      'rules that are not the daemon’s are in its tables: inet flotilla0 forward: ip daddr 203.0.113.7 accept',
    ]);
    await nft('flush chain inet flotilla0 raw');
    expect((await examine()).map(({ message }) => message)).toEqual([
      expect.stringContaining('rules that are not'),
      'rules of the daemon are missing: inet flotilla0 raw: iifname "flotilla0" ip daddr 127.0.0.0/8 drop',
    ]);
  });

  it('refuses a port on an address that the host does not have, and says it when the host loses one', async () => {
    const ask = (bind: string) =>
      scene.network.tryPort({ protocol: 'tcp', bind, hostPort: 8082 }, patience()).then(
        () => 'fine',
        ({ code, message }) => `${code}: ${message}`,
      );
    for (const bind of ['0.0.0.0', '::', '127.0.0.1', '127.0.0.2', '10.77.0.1', hostAddress])
      expect([bind, await ask(bind)]).toEqual([bind, 'fine']);
    for (const bind of ['192.0.2.7', '198.51.100.2', '198.51.100.255', '2001:db8::7'])
      expect(await ask(bind)).toBe(`invalid: bind: not an address of this host: '${bind}'`);
    const machine = { ...(known[0] as KnownMachine), name: 'web' };
    const port = { protocol: 'tcp', bind: '192.0.2.7', hostPort: 8080, guestPort: 80 } as const;
    const [report] = (await examine([{ ...machine, ports: [port] }])).slice(-1);
    expect(report).toEqual({
      level: 'problem',
      message:
        'tcp port 8080 of machine web is published on 192.0.2.7, which this host does not have any more',
      hint: 'Give the host the address again, or: ./flotilla unpublish web 8080 and ./flotilla publish web 0.0.0.0:8080:80',
    });
    await scene.host.ip('address add 192.0.2.7/32 dev lo');
    expect(await ask('192.0.2.7')).toBe('fine');
    expect((await examine([{ ...machine, ports: [port] }])).at(-1)?.message).not.toContain('192.0.2.7');
    await scene.host.ip('address delete 192.0.2.7/32 dev lo');
  });

  it('looks at no rules where there are none', async () => {
    expect(await examine([], 'user')).toEqual([]);
  });
});

it('reads rules and their chains, and no elements of sets', () => {
  const text = `table inet a {
	set s {
		type ipv4_addr
		elements = { 192.0.2.1 }
	}

	chain one {
		type filter hook input priority filter; policy accept;
		drop
	}
}
`;
  expect(rulesOf(text)).toEqual([
    'inet a one: type filter hook input priority filter; policy accept;',
    'inet a one: drop',
  ]);
});
