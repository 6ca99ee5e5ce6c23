/** The gateway against clients that do not behave, on the fake guest. */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import ssh2 from 'ssh2';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type FakeFlotilla, startFake, testKey } from '../../test/support/fake.ts';
import { AppError } from '../core/errors.ts';
import { SshAuthenticator } from '../core/ssh/authenticator.ts';
import { CertificateAuthority } from '../core/ssh/certificate.ts';
import type { FakeCommand } from '../core/testing/fake-commands.ts';
import { silentLog } from '../lib/log.ts';
import { adminKeyVerifier } from '../main/admin-key.ts';
import { type GatewayLimits, gatewayLimits, SshGateway } from './gateway.ts';
import { makePrivateKey } from './host-key.ts';

let fake: FakeFlotilla;
let gateway: SshGateway;
let port: number;
let sockets: Socket[];
let command: FakeCommand;

beforeEach(async () => {
  sockets = [];
  fake = await startFake();
  fake.guest.commands.program = (started) => {
    command = started;
  };
  await fake.machines.create('default', { name: 'web', vcpuCount: 1, memoryMib: 128 });
  await fake.machines.start('default', 'web');
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await gateway.close();
  await fake.close();
});

async function open(limits: Partial<GatewayLimits> = {}): Promise<void> {
  const { store, edges, apiKeys, sshKeys, commands, connections, waking } = fake;
  const authority = new CertificateAuthority(generateKeyPairSync('ed25519').privateKey);
  const keys = adminKeyVerifier(testKey, apiKeys);
  gateway = new SshGateway(
    {
      authenticator: new SshAuthenticator({ store, clock: edges.clock, keys, apiKeys, authority }),
      ...{ apiKeys, sshKeys, commands, connections, waking },
      sftp: () => Promise.reject(new Error('no SFTP here')),
      now: () => edges.clock.now(),
      log: silentLog,
    },
    { hostKeys: [makePrivateKey('test')], limits: { ...gatewayLimits, ...limits } },
  );
  port = await gateway.listen({ host: '127.0.0.1', port: 0 });
}

async function dial(): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  sockets.push(socket);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** `secret`: an API key, or a private key. */
async function login(secret: string, username = 'web', at = port): Promise<ssh2.Client> {
  const client = new ssh2.Client();
  const ready = once(client, 'ready');
  const by = secret.includes('PRIVATE KEY') ? { privateKey: secret } : { password: secret };
  client.connect({ host: '127.0.0.1', port: at, username, ...by });
  await ready;
  return client;
}

interface Ran {
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** The exit code, when everything has arrived. */
  readonly ended: Promise<number>;
}

/** Listens before anything can arrive. */
function run(client: ssh2.Client, text: string): Ran {
  const { promise: ended, resolve, reject } = Promise.withResolvers<number>();
  const got: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] };
  client.exec(text, (error, channel) => {
    if (error) return reject(error);
    let exitCode = -1;
    channel.on('data', (data: Buffer) => got.stdout.push(data));
    channel.stderr.on('data', (data: Buffer) => got.stderr.push(data));
    channel.on('exit', (code: number) => {
      exitCode = code;
    });
    channel.on('close', () => resolve(exitCode));
  });
  const textOf = (pieces: readonly Buffer[]) => Buffer.concat(pieces).toString();
  return { stdout: () => textOf(got.stdout), stderr: () => textOf(got.stderr), ended };
}

async function left(client: ssh2.Client): Promise<void> {
  const closed = once(client, 'close');
  client.end();
  await closed;
}

test('a thousand clients that say nothing evict one another, and a real one gets in', async () => {
  await open({ strangers: 20 });
  for (let count = 0; count < 1000; count += 100) {
    await Promise.all(Array.from({ length: 100 }, () => dial().then((socket) => socket.resume())));
  }
  await vi.waitUntil(() => sockets.filter((socket) => !socket.destroyed).length <= 20);
  const client = await login(testKey);
  await left(client);
});

test('noise, and a client that stops in the middle of a packet, are closed', async () => {
  await open({ loginMs: 300 });
  const noisy = await dial();
  noisy.resume().write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(100));
  const silent = await dial();
  silent.resume().write('SSH-2.0-OpenSSH_9.2\r\n\0\0\x04');
  await Promise.all([noisy, silent].map((socket) => socket.destroyed || once(socket, 'close')));
});

test('an address that guesses too often is not served', async () => {
  await open({ failuresPerMinute: 3 });
  for (let count = 0; count < 3; count += 1) {
    await expect(login(`hf_${'x'.repeat(32)}`)).rejects.toThrow(/authentication methods failed/);
  }
  await expect(login(testKey)).rejects.toThrow();
});

test('output of both streams waits for the client’s window, and none of it is lost or doubled', async () => {
  await open();
  const client = await login(testKey);
  const ran = run(client, 'x');
  await vi.waitUntil(() => command !== undefined);
  const [out, err] = ['o', 'e'].map((letter) => letter.repeat(64 * 1024)) as [string, string];
  for (let count = 0; count < 80; count += 1) {
    command.write('stdout', out);
    command.write('stderr', err);
  }
  command.end({ outcome: 'exited', exitCode: 5 });
  expect(await ran.ended).toBe(5);
  expect(ran.stdout() === out.repeat(80)).toBe(true);
  expect(ran.stderr() === err.repeat(80)).toBe(true);
  await left(client);
});

test('a revoked API key ends its connections, and a closing gateway says goodbye', async () => {
  await open();
  const caller = await adminKeyVerifier(testKey, fake.apiKeys).verify(testKey);
  const { key, secret } = await fake.apiKeys.create(caller, { name: 'ci', scopes: ['machines:exec'] });
  const client = await login(secret);
  const closed = once(client, 'close');
  await fake.apiKeys.revoke(caller, key.id);
  await closed;
  const other = await login(testKey);
  const gone = once(other, 'close');
  await gateway.close();
  await gone;
});

test('a key without the scope enters no machine', async () => {
  await open();
  const caller = await adminKeyVerifier(testKey, fake.apiKeys).verify(testKey);
  const { secret } = await fake.apiKeys.create(caller, { name: 'reader', scopes: ['machines:read'] });
  const client = await login(secret);
  const ran = run(client, 'x');
  expect(await ran.ended).toBe(255);
  expect(ran.stderr()).toMatch(/^flotilla: Insufficient permissions/);
  await left(client);
});

test('a machine’s own key enters this machine alone, until it is taken from it', async () => {
  await open();
  const key = makePrivateKey('me');
  const parsed = ssh2.utils.parseKey(key);
  if (parsed instanceof Error) throw parsed;
  const line = `ssh-ed25519 ${parsed.getPublicSSH().toString('base64')} me`;
  await fake.machines.create('default', { name: 'other', vcpuCount: 1, memoryMib: 128 });
  await expect(login(key)).rejects.toThrow(/authentication methods failed/);
  const { id } = await fake.machines.update('default', 'web', { sshKeys: [line] });
  for (const name of ['other', 'no-such-machine']) {
    const elsewhere = await login(key, name);
    const refused = run(elsewhere, 'x');
    expect(await refused.ended).toBe(255);
    expect(refused.stderr()).toMatch(`Machine with id '${name}' not found`);
    await left(elsewhere);
  }
  const [byName, byId] = [await login(key, 'root+web'), await login(key, `vm_${id}`)];
  await fake.machines.update('default', 'web', { labels: { a: 'b' } });
  fake.guest.commands.program = (started) => started.end({ outcome: 'exited', exitCode: 3 });
  expect(await run(byName, 'x').ended).toBe(3);
  const closed = Promise.all([once(byName, 'close'), once(byId, 'close')]);
  await fake.machines.update('default', 'web', { sshKeys: [] });
  await closed;
  await expect(login(key)).rejects.toThrow(/authentication methods failed/);
});

test('at a port of one machine, the login name is a user of its guest', async () => {
  await open();
  const { id } = await fake.machines.get('default', 'web');
  const own = await gateway.listen({ host: '127.0.0.1', port: 0, machineId: id });
  const users: (string | undefined)[] = [];
  fake.guest.commands.program = (started) => {
    users.push(started.request.user);
    started.end({ outcome: 'exited', exitCode: 0 });
  };
  for (const name of ['ann', 'root', 'other+web']) {
    const client = await login(testKey, name, own);
    expect(await run(client, 'x').ended).toBe(0);
    await left(client);
  }
  expect(users).toEqual(['ann', undefined, 'other+web']);
  gateway.stopListening(id);
  await expect(login(testKey, 'root', own)).rejects.toThrow('ECONNREFUSED');
});

test('Hatch’s user is root where the guest has no such user, and no other one is', async () => {
  await open();
  const { id } = await fake.machines.get('default', 'web');
  const own = await gateway.listen({ host: '127.0.0.1', port: 0, machineId: id });
  fake.guest.commands.program = (started) => {
    const { user } = started.request;
    if (user !== undefined) throw new AppError('invalid', `no such user: ${user}`);
    started.end({ outcome: 'exited', exitCode: 0 });
  };
  const codes: number[] = [];
  for (const [name, at] of [
    ['agent', own],
    ['ann', own],
    ['agent+web', port],
  ] as const) {
    const client = await login(testKey, name, at);
    codes.push(await run(client, 'x').ended);
    await left(client);
  }
  expect(codes).toEqual([0, 255, 255]);
});
