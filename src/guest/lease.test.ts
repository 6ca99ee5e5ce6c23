/** The guest's DHCP client as the host sees it: agents that have none, and what hostile ones say of theirs. */
import { afterEach, expect, test } from 'vitest';
import type { GuestTarget } from '../core/ports/guest.ts';
import { GuestClient } from './client.ts';
import { encodeLine, parseLine, readLine } from './lines.ts';
import { FakeGuest, fakeHello } from './testing/fake-guest.ts';
import { MemoryTransport } from './transports/memory.ts';

const never = new AbortController().signal;
const target: GuestTarget = {
  machineId: 'm1',
  incarnation: 'i1',
  address: { transport: 'memory', key: 'm1' },
};
const byDhcp = {
  ...{ mac: '06:00:00:00:00:01', addresses: [], gateways: [], resolvers: [], searchDomains: [] },
  dhcp: true,
};

let client: GuestClient;
afterEach(() => client.close());

/** An agent with these features, which answers all calls but hello like this. Returns the calls that it has had. */
function setUp(features: readonly string[], answer: object = {}): readonly unknown[] {
  const calls: unknown[] = [];
  const memory = new MemoryTransport();
  const guest = new FakeGuest({
    serve: async (stream) => {
      const call = parseLine((await readLine(stream)).line);
      const isHello = call.call === 'hello';
      if (!isHello) calls.push(call);
      await stream.write(encodeLine(isHello ? { ...fakeHello(null), features } : { ok: true, ...answer }));
      stream.close(performance.now());
    },
  });
  memory.listen('m1', (end) => void guest.accept(end));
  client = new GuestClient({
    secret: Buffer.alloc(32, 7),
    transports: { memory: memory.dial },
    timings: { backoffMs: 1, backoffMaxMs: 5, linkWaitMs: 5_000, callMs: 5_000 },
  });
  return calls;
}

test('an agent without DHCP is not asked for it, and the reason says what to do', async () => {
  const calls = setUp(['network']);
  expect(await client.configureNetwork(target, byDhcp, never)).toMatch(
    /too old for DHCP; import the image again, or give the machine a fixed address/,
  );
  expect(calls).toEqual([]);
  expect(await client.configureNetwork(target, { ...byDhcp, dhcp: false }, never)).toBeNull();
});

const lease = {
  address: '192.168.7.20',
  prefix: 24,
  gateway: null,
  resolvers: ['192.168.7.1'],
  server: '192.168.7.1',
  left_ms: 60_000,
};

test('an agent is told to use DHCP, and asked what it has got', async () => {
  const calls = setUp(['network', 'dhcp'], { change: 3, lease, problem: null });
  expect(await client.configureNetwork(target, byDhcp, never)).toBeNull();
  expect(await client.dhcpLease(target, 2, 1_000, never)).toEqual({
    change: 3,
    lease: { address: '192.168.7.20', prefix: 24, gateway: null, resolvers: ['192.168.7.1'], leftMs: 60_000 },
    problem: null,
  });
  expect(calls).toMatchObject([
    { call: 'network', dhcp: true },
    { call: 'lease', known: 2, timeout_ms: 1_000 },
  ]);
});

test.each<[string, object]>([
  ['nothing', {}],
  ['no address', { change: 1, lease: { ...lease, address: '<script>' }, problem: null }],
  ['an address of another family', { change: 1, lease: { ...lease, address: 'fe80::1' }, problem: null }],
  ['an impossible prefix', { change: 1, lease: { ...lease, prefix: 33 }, problem: null }],
  ['many resolvers', { change: 1, lease: { ...lease, resolvers: Array(4).fill('1.1.1.1') }, problem: null }],
  ['no end', { change: 1, lease: { ...lease, left_ms: 1e300 }, problem: null }],
  ['no number of the change', { change: 'x', lease: null, problem: null }],
])('an agent that says %s is not believed', async (_, answer) => {
  setUp(['network', 'dhcp'], answer);
  await expect(client.dhcpLease(target, 0, 1_000, never)).rejects.toMatchObject({ code: 'guest' });
});

test('what an agent complains of is cleaned and cut', async () => {
  setUp(['network', 'dhcp'], { change: 1, lease: null, problem: `\u001b[31m${'x'.repeat(9_000)}` });
  const { problem } = await client.dhcpLease(target, 0, 1_000, never);
  expect(problem).not.toContain('\u001b');
  expect(problem?.length).toBeLessThan(2_000);
});
