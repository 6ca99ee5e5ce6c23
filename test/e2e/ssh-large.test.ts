/** Large transfers through the SSH gateway, and the window of a terminal, with OpenSSH's own client. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startTestHost, type TestHost } from '../support/host.ts';
import { SshClients } from '../support/ssh.ts';

// An emulated guest on a busy host moves less than a megabyte a second.
vi.setConfig({ testTimeout: 300_000 });

let host: TestHost;
let clients: SshClients;
beforeAll(async () => {
  host = await startTestHost();
  const [address] = host.daemon.ssh.addresses;
  clients = await SshClients.make({ port: address?.port ?? 0, hostKey: host.daemon.ssh.hostKey });
  await host.client.sshKeys.create({ public_key: await clients.key('me') });
  await host.client.machines.create({ name: 'web', vcpu_count: 1, mem_size_mib: 192, image: 'busybox' });
  await host.client.machines.start('web');
});
afterAll(async () => {
  await clients.close();
  await host.close();
});

test('30 MB in, and 30 MB out, are what was sent', async () => {
  const input = randomBytes(30_000_000);
  const digest = createHash('sha256').update(input).digest('hex');
  const run = { identity: 'me', timeoutMs: 240_000 };
  const sent = await clients.ssh('web', ['sha256sum'], { ...run, input });
  expect(sent.stdout.toString()).toBe(`${digest}  -\n`);
  const got = await clients.ssh('web', ['yes flotilla | head -c 30000000'], run);
  expect(got.stdout.length).toBe(30_000_000);
  const whole = Buffer.alloc(30_000_000, 'flotilla\n');
  expect(got.stdout.equals(whole)).toBe(true);
});

test('rekeying in the middle of a transfer loses nothing', async () => {
  const options = ['-o', 'RekeyLimit=1M'];
  const got = await clients.ssh('web', ['yes flotilla | head -c 9000000'], { identity: 'me', options });
  expect(got.exitCode, got.stderr).toBe(0);
  expect(got.stdout.equals(Buffer.alloc(9_000_000, 'flotilla\n'))).toBe(true);
});
