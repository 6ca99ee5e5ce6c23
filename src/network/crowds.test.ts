/** Neither one guest nor those who visit it can fill the host's table of connections, wherever the flows lead. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { whyNoNamespaces } from './lab/namespaces.ts';
import { gateway, hostAddress, Scene, worldAddress } from './lab/scene.ts';
import { flowsPerGuestMax, visitsPerGuestMax } from './rules/tables.ts';

const reason = await whyNoNamespaces();
if (reason !== null) console.warn(`skipped: ${reason}`);

describe.skipIf(reason !== null)('a guest with many flows', () => {
  let scene: Scene;

  beforeAll(async () => {
    scene = await Scene.make();
    await scene.world.serve('tcp', 80);
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  it.each(['the world', 'a member of its group', 'the resolver'])(
    'has a bounded number to %s',
    async (where) => {
      const group = where.replaceAll(' ', '-');
      const { space, attachment } = await scene.guest({ group });
      const neighbour = await scene.guest({ group });
      await neighbour.space.serve('tcp', 80);
      const places = { 'the world': worldAddress, 'the resolver': gateway } as Record<string, string>;
      await space.crowd(places[where] ?? neighbour.attachment.ipv4, 53, flowsPerGuestMax + 500);
      const args = ['-L', '-f', 'ipv4', '--orig-src', attachment.ipv4];
      const flows = (await scene.host.run('conntrack', args)).split('\n').filter(Boolean).length;
      expect(flows).toBeGreaterThan(flowsPerGuestMax / 2);
      expect(flows).toBeLessThanOrEqual(flowsPerGuestMax + 1);
      // It is refused more; its neighbour is not.
      expect(await space.ask('tcp', worldAddress, 80)).toBeNull();
      expect(await neighbour.space.ask('tcp', worldAddress, 80)).toBe(`${hostAddress} hello`);
    },
  );

  it('has a bounded number from outside to its published ports', async () => {
    const port = (hostPort: number) => [
      { protocol: 'udp', bind: '0.0.0.0', hostPort, guestPort: 90 } as const,
      { protocol: 'tcp', bind: '0.0.0.0', hostPort, guestPort: 80 } as const,
    ];
    const visited = await scene.guest({ ports: port(18_090) });
    const neighbour = await scene.guest({ ports: port(18_091) });
    for (const { space } of [visited, neighbour]) await space.serve('tcp', 80);
    expect(await scene.world.ask('tcp', hostAddress, 18_090)).toBe(`${worldAddress} hello`);
    await scene.world.crowd(hostAddress, 18_090, visitsPerGuestMax + 500);
    const args = ['-L', '-f', 'ipv4', '--reply-src', visited.attachment.ipv4];
    const flows = (await scene.host.run('conntrack', args)).split('\n').filter(Boolean).length;
    expect(flows).toBeGreaterThan(visitsPerGuestMax / 2);
    expect(flows).toBeLessThanOrEqual(visitsPerGuestMax + 1);
    // Its ports take no more; its own flows, and its neighbour’s ports, are other accounts.
    expect(await scene.world.ask('tcp', hostAddress, 18_090)).toBeNull();
    expect(await visited.space.ask('tcp', worldAddress, 80)).toBe(`${hostAddress} hello`);
    expect(await scene.world.ask('tcp', hostAddress, 18_091)).toBe(`${worldAddress} hello`);
  });
});
