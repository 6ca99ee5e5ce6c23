/** Networks of machines: options, published ports, refused destinations. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { egressRule, publication } from './network-options.ts';
import { FakeApi } from './testing/fake-api.ts';
import { runCli } from './testing/run-cli.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await FakeApi.start();
});
afterEach(() => api[Symbol.asyncDispose]());

async function cli(...args: string[]) {
  const { stdout, stderr, code } = await runCli(args, { env: { FLOTILLA_URL: api.url } });
  return { stdout: stdout.toString(), stderr, code };
}

test.each([
  ['80', { guest_port: 80 }],
  ['8080:80', { guest_port: 80, host_port: 8080 }],
  [':80', { guest_port: 80 }],
  ['0.0.0.0:8080:80/tcp', { guest_port: 80, host_port: 8080, bind: '0.0.0.0' }],
  ['0.0.0.0::80', { guest_port: 80, bind: '0.0.0.0' }],
  ['[::]:53:5353/udp', { guest_port: 5353, host_port: 53, bind: '::', protocol: 'udp' }],
])('-p %s', (text, port) => expect(publication(text)).toEqual(port));

test.each(['', '0', '65536', '1:0', 'a:80', 'host:1:2', '80/icmp', '1:2:3:4', '8080:80/'])(
  '-p %j is refused',
  (text) => expect(() => publication(text)).toThrow('It must look like'),
);

test.each([
  ['example.com', { to: 'example.com' }],
  ['*.example.com:443', { to: '*.example.com', ports: [443] }],
  ['192.0.2.0/24', { to: '192.0.2.0/24' }],
  ['192.0.2.7:53/udp', { to: '192.0.2.7', ports: [53], protocol: 'udp' }],
  ['10.0.0.0/8:8000-8010', { to: '10.0.0.0/8', ports: [{ first: 8000, last: 8010 }] }],
  ['2001:db8::/32', { to: '2001:db8::/32' }],
  ['[2001:db8::1]:80/tcp', { to: '2001:db8::1', ports: [80], protocol: 'tcp' }],
])('--allow %s', (text, rule) => expect(egressRule(text)).toEqual(rule));

test.each(['', ':443', 'example.com:0', 'example.com:x', 'a:b:c', 'example.com:80-'])(
  '--allow %j is refused',
  (text) => expect(() => egressRule(text)).toThrow('It must look like'),
);

test('create asks for a network', async () => {
  const network = ['-p', '8080:80', '--group', 'back', '--ip', '10.77.0.9', '--allow', 'example.com:443'];
  expect(await cli('create', 'busybox', '--name', 'web', ...network)).toMatchObject({ code: 0 });
  expect(api.createBodies[0]?.network).toEqual({
    address: '10.77.0.9',
    ports: [{ guest_port: 80, host_port: 8080 }],
    egress: { allow: [{ to: 'example.com', ports: [443] }] },
    group: 'back',
  });
  await cli('create', 'busybox', '--name', 'shut', '--deny-outgoing');
  expect(api.createBodies[1]?.network).toEqual({ egress: 'deny' });
  const place = ['--network', 'bridge', '--lan-bridge', 'br1', '--ip', '192.168.1.50/24'];
  const around = ['--gateway', '192.168.1.1', '--resolver', '192.168.1.1', '--resolver', '192.168.1.2'];
  await cli('create', 'busybox', '--name', 'lan', ...place, ...around);
  expect(api.createBodies[2]?.network).toEqual({
    ...{ mode: 'bridge', bridge: 'br1', address: '192.168.1.50/24', gateway: '192.168.1.1' },
    resolvers: ['192.168.1.1', '192.168.1.2'],
  });
  await cli('create', 'busybox', '--name', 'plain');
  expect(api.createBodies[3]).not.toHaveProperty('network');
});

test('an allowlist and a policy contradict each other', async () => {
  const result = await cli('create', 'busybox', '--allow', 'example.com', '--egress', 'deny');
  expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('cannot be given together') });
});

test('update changes the policy', async () => {
  api.add('web');
  expect(await cli('update', 'web', '--egress', 'deny', '--group', 'none')).toMatchObject({ code: 0 });
  expect(api.machines.get('web')?.network ?? [...api.machines.values()][0]?.network).toEqual({
    egress: 'deny',
    group: null,
  });
});

describe('ports', () => {
  test('are published, listed and withdrawn', async () => {
    api.add('web');
    expect(await cli('publish', 'web', '8080:80', '0.0.0.0:53:53/udp')).toEqual({
      stdout: '80/tcp -> 127.0.0.1:8080\n53/udp -> 0.0.0.0:53\n',
      stderr: '',
      code: 0,
    });
    expect((await cli('ports', 'web')).stdout).toBe('80/tcp -> 127.0.0.1:8080\n53/udp -> 0.0.0.0:53\n');
    expect(await cli('unpublish', 'web', '53/udp')).toMatchObject({
      stdout: '53/udp -> 0.0.0.0:53\n',
      code: 0,
    });
    expect(JSON.parse((await cli('port', 'web', '--json')).stdout)).toHaveLength(1);
  });

  test('those of others are refused, and what was published before stays', async () => {
    api.add('web');
    api.add('other');
    await cli('publish', 'other', '8080:80');
    const result = await cli('publish', 'web', '8081:80', '8080:80', '--json');
    expect(result).toMatchObject({ code: 1, stderr: expect.stringContaining('taken') });
    expect(JSON.parse(result.stdout)).toMatchObject([{ host_port: 8081 }]);
  });

  test('that are not published are an error; a typing error withdraws nothing', async () => {
    api.add('web');
    await cli('publish', 'web', '8080:80');
    expect(await cli('unpublish', 'web', '9')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('9'),
    });
    expect(await cli('unpublish', 'web', '8080', 'x')).toMatchObject({ code: 2 });
    expect((await cli('ports', 'web')).stdout).toBe('80/tcp -> 127.0.0.1:8080\n');
  });

  test('that are not in force yet are mentioned', async () => {
    api.add('web');
    api.published.isInForce = false;
    expect(await cli('publish', 'web', '8080:80')).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('not in force yet'),
    });
  });
});

test('what was refused', async () => {
  api.add('web');
  expect(await cli('denied', 'web')).toMatchObject({ stdout: '', stderr: expect.stringContaining('othing') });
  const last_at = new Date(Date.now() - 2 * 3_600_000).toISOString();
  api.denied.push({ protocol: 'tcp', address: '192.0.2.1', port: 25, domain: null, packets: 3, last_at });
  api.denied.push({ protocol: 'icmp', address: '192.0.2.2', port: null, domain: null, packets: 1, last_at });
  expect((await cli('denied', 'web')).stdout.replaceAll(/ +$/gm, '')).toBe(
    [
      'DESTINATION  PORT  PROTOCOL  PACKETS  LAST',
      '192.0.2.1    25    tcp       3        2h',
      '192.0.2.2    -     icmp      1        2h',
      '',
    ].join('\n'),
  );
});
