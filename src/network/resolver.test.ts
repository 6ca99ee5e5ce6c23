/** The resolver that guests ask, and what domain rules let through; with a name server behind it. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { EgressRule } from '../core/ports/network.ts';
import { NameServer } from './lab/name-server.ts';
import { silenceMs, whyNoNamespaces } from './lab/namespaces.ts';
import { gateway, hostAddress, makeNetwork, patience, Scene, worldAddress } from './lab/scene.ts';

const reason = await whyNoNamespaces();
if (reason !== null) console.warn(`skipped: ${reason}`);

const https = (to: string): EgressRule => ({ to, protocol: 'tcp', ports: [{ first: 443, last: 443 }] });

describe.skipIf(reason !== null)('the resolver', () => {
  let server: NameServer;
  let scene: Scene;

  beforeAll(async () => {
    server = await NameServer.make();
    scene = await Scene.make({ dns: [server.address] });
    for (const port of [80, 443]) await scene.world.serve('tcp', port);
    server.set('example.com', 'A', worldAddress);
    server.set('www.example.com', 'CNAME', 'edge.cdn.example');
    server.set('edge.cdn.example', 'A', worldAddress, 0);
    server.set('other.example', 'A', worldAddress);
    server.set('rebound.example.com', 'A', '10.1.2.3');
    server.set('gateway.example.com', 'A', '127.0.0.1');
    for (let low = 1; low <= 60; low += 1) server.set('large.example', 'A', `198.51.100.${low}`);
  });
  afterAll(async () => {
    await scene[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  it('forwards questions, over TCP what is too long for a datagram', async () => {
    const { space } = await scene.guest();
    expect(await space.resolve(gateway, 'example.com')).toBe(`NOERROR ${worldAddress}`);
    expect(await space.resolve(gateway, 'nowhere.example')).toBe('NXDOMAIN');
    expect(await space.resolve(gateway, 'large.example')).toBe('TRUNCATED');
    expect(await space.resolve(gateway, 'large.example', { isStream: true })).toMatch(
      /^NOERROR( 198\.51\.100\.\d+){60}$/,
    );
    expect(await space.resolve(gateway, 'a b.example')).toBe('REFUSED');
  });

  it('knows the machines of the group by name, and no others', async () => {
    const one = await scene.guest({ name: 'one', tenant: 'acme', group: 'shop' });
    const two = await scene.guest({ name: 'two', tenant: 'acme', group: 'shop' });
    await scene.guest({ name: 'alone', tenant: 'acme' });
    await scene.guest({ name: 'theirs', tenant: 'globex', group: 'shop' });
    const ask = (name: string) => one.space.resolve(gateway, `${name}.flotilla.internal`);
    expect(await ask('TWO')).toBe(`NOERROR ${two.attachment.ipv4}`);
    expect(await ask('one')).toBe(`NOERROR ${one.attachment.ipv4}`);
    for (const name of ['alone', 'theirs', 'nobody']) expect(await ask(name)).toBe('NXDOMAIN');
    expect(server.asked.filter((name) => name.endsWith('flotilla.internal'))).toEqual([]);
  });

  it('asks the world nothing for a guest under `deny`', async () => {
    const { space, attachment } = await scene.guest({ egress: { kind: 'deny' } });
    const before = server.asked.length;
    expect(await space.resolve(gateway, 'secret.example.com')).toBe('REFUSED');
    expect(await space.resolve(gateway, 'secret.example.com')).toBe('REFUSED');
    expect(server.asked.length).toBe(before);
    expect(await scene.network.denied(attachment.machineId, patience())).toMatchObject([
      { protocol: 'dns', domain: 'secret.example.com', packets: 2, port: null },
    ]);
  });

  it('opens the addresses of a name that a rule allows, for the ports of the rule, once the guest has asked', async () => {
    const { space, attachment } = await scene.guest({
      egress: { kind: 'allowlist', rules: [https('*.example.com')] },
    });
    expect(await space.ask('tcp', worldAddress, 443)).toBeNull();
    // An alias of another zone, whose answer lasts 0 seconds.
    expect(await space.resolve(gateway, 'WWW.example.com')).toBe(`NOERROR edge.cdn.example ${worldAddress}`);
    expect(await space.ask('tcp', worldAddress, 443)).toBe(`${hostAddress} hello`);
    expect(await space.ask('tcp', worldAddress, 80)).toBeNull();
    expect(await space.resolve(gateway, 'example.com')).toBe('REFUSED');
    expect(await space.resolve(gateway, 'other.example')).toBe('REFUSED');
    const denied = await scene.network.denied(attachment.machineId, patience());
    expect(denied.map(({ domain, address, port }) => domain ?? `${address}:${port}`).sort()).toEqual([
      `${worldAddress}:443`,
      `${worldAddress}:80`,
      'example.com',
      'other.example',
    ]);
  });

  it('refuses answers that lead a name to private addresses', async () => {
    const { space } = await scene.guest({ egress: { kind: 'allowlist', rules: [https('*.example.com')] } });
    expect(await space.resolve(gateway, 'rebound.example.com')).toBe('REFUSED');
    expect(await space.resolve(gateway, 'gateway.example.com')).toBe('REFUSED');
    const lan = { to: '10.1.0.0/16', protocol: 'any', ports: null } as const;
    const both = await scene.guest({ egress: { kind: 'allowlist', rules: [https('*.example.com'), lan] } });
    expect(await both.space.resolve(gateway, 'rebound.example.com')).toBe('NOERROR 10.1.2.3');
  });

  it('closes addresses whose name is no longer allowed, and keeps flows that a wider policy still allows', async () => {
    const { space, attachment } = await scene.guest({
      egress: { kind: 'allowlist', rules: [https('example.com')] },
    });
    await space.resolve(gateway, 'example.com');
    const flow = await space.open(worldAddress, 443);
    const change = (...rules: EgressRule[]) =>
      scene.network.update({ ...attachment, egress: { kind: 'allowlist', rules } }, patience());
    await change(https('example.com'), https('other.example'));
    expect(await space.say(flow, 'still')).toBe(`${hostAddress} still`);
    expect(await space.ask('tcp', worldAddress, 443)).toBe(`${hostAddress} hello`);
    await change(https('other.example'));
    expect(await space.say(flow, 'gone', silenceMs)).toBeNull();
    expect(await space.ask('tcp', worldAddress, 443)).toBeNull();
    await space.resolve(gateway, 'other.example');
    expect(await space.ask('tcp', worldAddress, 443)).toBe(`${hostAddress} hello`);
  });

  it('keeps what was opened when the daemon is replaced, also for names with other ports', async () => {
    const web = { to: 'other.example', protocol: 'tcp', ports: [{ first: 1, last: 1000 }] } as const;
    const guest = await scene.guest({ egress: { kind: 'allowlist', rules: [https('example.com'), web] } });
    await guest.space.resolve(gateway, 'example.com');
    await scene.network.close();
    const next = makeNetwork(scene.host.path, undefined, [server.address]);
    onTestFinished(() => next.close());
    await next.open(patience());
    await next.restore([guest.attachment], patience());
    expect(await guest.space.ask('tcp', worldAddress, 443)).toBe(`${hostAddress} hello`);
    expect(await guest.space.ask('tcp', worldAddress, 80)).toBeNull();
    expect(await guest.space.resolve(gateway, 'other.example')).toBe(`NOERROR ${worldAddress}`);
    expect(await guest.space.ask('tcp', worldAddress, 80)).toBe(`${hostAddress} hello`);
  });
});
