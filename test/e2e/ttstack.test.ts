/**
 * TTstack's API on a daemon that runs as users run it, with real guests: the examples of its reference as they are
 * printed, the life of the environment that they make, and the golden conversations of controller and host.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ttstackHostDialect } from '../../src/http/dialects/ttstack/dialect.ts';
import type { EnvDetail } from '../../src/http/dialects/ttstack/schema.ts';
import { readContract } from '../contract/document.ts';
import { readGolden } from '../golden/golden.contract.ts';
import { HostWorlds } from '../golden/host-worlds.ts';
import { replay } from '../golden/replay.ts';
import { type BridgeHost, makeBridgeHost } from '../support/bridge.ts';
import { type DaemonProcess, launchDaemon, makeStateDirectory } from '../support/daemon.ts';
import { readExamples } from '../support/examples.ts';
import { repository, runCommand } from '../support/host.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const publicKey = `ssh-ed25519 ${Buffer.concat([
  Buffer.from([0, 0, 0, 11]),
  Buffer.from('ssh-ed25519'),
  Buffer.from([0, 0, 0, 32]),
  Buffer.alloc(32, 7),
]).toString('base64')}`;

let state: Awaited<ReturnType<typeof makeStateDirectory>>;
let daemon: DaemonProcess;
let bridge: BridgeHost;
let commands: ReadonlyMap<string, string>;
let id = '';

beforeAll(async () => {
  const examples = await readExamples(join(repository, 'test/fixtures/quickstarts/ttstack.md'));
  commands = new Map(examples.map(({ heading, code }) => [heading, code]));
  state = await makeStateDirectory();
  bridge = await makeBridgeHost();
  const settings = { ...bridge.env, FLOTILLA_AGENT_LISTEN: '127.0.0.1:0' };
  daemon = await launchDaemon(state.path, settings, ['--role', 'host']);
});
afterAll(async () => {
  await daemon.terminate();
  await state.remove();
  await bridge.close();
});

interface Envelope {
  readonly ok: boolean;
  readonly data?: unknown;
  readonly error?: string;
}

/** Runs an example with this daemon's address and a key. */
async function shell(heading: string, change = (code: string) => code, key = daemon.key): Promise<Envelope> {
  const printed = commands.get(heading);
  if (printed === undefined) throw new Error(`there is no example '${heading}'`);
  const code = change(printed)
    .replaceAll('http://controller:9200', daemon.url)
    .replaceAll('<key>', key)
    .replace('ssh-ed25519 AAAA...', publicKey);
  const { exitCode, stdout, stderr } = await runCommand('sh', ['-c', code], { env: process.env });
  expect(exitCode, stderr).toBe(0);
  return JSON.parse(stdout.toString()) as Envelope;
}

async function send(method: string, path: string, body?: unknown, url: string | null = daemon.url) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${daemon.key}`,
      ...(body ? { 'Content-Type': 'application/json' } : {}),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

describe('the examples as they are printed', () => {
  test('with a key that is none', async () => {
    for (const heading of commands.keys())
      expect(await shell(heading, undefined, 'wrong')).toEqual({
        ok: false,
        error: 'invalid or missing API key',
      });
  });

  test('register a host: another one is refused, its own address is known', async () => {
    expect(await shell('Register a host')).toEqual({
      ...{ ok: false, error: expect.stringContaining('fleet limit reached (1 host)') },
    });
    const own = new URL(daemon.url).host;
    expect(await shell('Register a host', (code) => code.replace('10.0.0.2:9100', own))).toMatchObject({
      ...{ ok: true, data: { addr: own, state: 'online', engines: ['qemu'], storage: 'file' } },
    });
  });

  test('create an environment: its ports are published', async () => {
    const made = await shell('Create an environment');
    expect(made, JSON.stringify(made)).toMatchObject({ ok: true });
    const { env, vms, warnings } = made.data as EnvDetail;
    id = vms[0]?.id ?? '';
    expect(env).toMatchObject({ id: 'my-env', owner: 'alice', state: 'active', vm_ids: [id] });
    expect(env.expires_at - env.created_at).toBe(21_600);
    expect(vms).toMatchObject([{ cpu: 2, mem: 2048, disk: 40_960, state: 'running', env_id: 'my-env' }]);
    expect(vms[0]?.port_map).toEqual({ 22: expect.any(Number), 80: expect.any(Number) });
    expect(warnings).toEqual([expect.stringContaining('`alpine-cloud` is not an image of this host')]);
  });

  test('fleet status: counts it', async () => {
    const { ok, data } = await shell('Fleet status');
    expect([ok, data]).toMatchObject([
      true,
      {
        hosts: 1,
        hosts_online: 1,
        total_vms: 1,
        total_envs: 1,
        cpu_used: 2,
        mem_used: 2048,
        disk_used: 40_960,
      },
    ]);
  });
});

describe('the environment', () => {
  const vmState = async () => (await send('GET', `/api/vms/${id}`)).body.data.state;
  const exec = async (command: string) =>
    (await send('POST', `/machines/${id}/exec`, { command: ['/bin/sh', '-c', command] })).body;

  test('its machine runs, with the disk that was asked for and the key of its owner', async () => {
    expect(await vmState()).toBe('running');
    const blocks = await exec('df -m / | tail -1');
    expect(Number(blocks.stdout.split(/\s+/)[1])).toBeGreaterThan(38_000);
    const keys =
      'until grep -q alice /root/.ssh/authorized_keys; do sleep 0.1; done; cat /root/.ssh/authorized_keys';
    expect((await exec(keys)).stdout).toContain(`${publicKey} alice@laptop`);
  });

  test('stop pauses it and start resumes it: the same boot goes on', async () => {
    const boot = (await exec('cat /proc/sys/kernel/random/boot_id')).stdout;
    expect(await send('POST', '/api/envs/my-env/stop', {})).toMatchObject({
      status: 200,
      body: { ok: true },
    });
    expect(await vmState()).toBe('paused');
    expect(await send('POST', '/api/envs/my-env/start')).toMatchObject({ status: 200, body: { ok: true } });
    expect(await vmState()).toBe('running');
    expect((await exec('cat /proc/sys/kernel/random/boot_id')).stdout).toBe(boot);
  });

  test('the host, asked by a controller, has it too', async () => {
    const { body } = await send('GET', '/api/vms', undefined, daemon.agentUrl);
    expect(body.data).toMatchObject([{ id: 'my-env-1', env_id: 'my-env', state: 'running', mem: 2048 }]);
    expect((await send('GET', '/api/info', undefined, daemon.agentUrl)).body.data).toMatchObject({
      ...{ resource: { cpu_used: 2, mem_used: 2048, vm_count: 1 }, engines: ['qemu'], storage: 'file' },
    });
  });

  test('is deleted with its machine, and no figure is left over', async () => {
    expect(await send('DELETE', '/api/envs/my-env')).toEqual({ status: 200, body: { ok: true } });
    expect(await send('GET', `/api/vms/${id}`)).toEqual({
      ...{ status: 404, body: { ok: false, error: `VM not found: ${id}` } },
    });
    expect((await send('GET', '/api/status')).body.data).toMatchObject({
      ...{ total_vms: 0, total_envs: 0, cpu_used: 0, mem_used: 0, disk_used: 0 },
    });
  });
});

describe.each([
  ['controller', 'ttstack', undefined],
  ['host', 'ttstack-host', [ttstackHostDialect]],
] as const)('the golden conversations of the %s, with real guests', (role, document, dialects) => {
  const contract = readContract(document, dialects);
  const files = readGolden(join(repository, 'src/http/dialects/ttstack/golden', role)).filter(
    ({ conversation }) => conversation.onRealGuests,
  );
  let worlds: HostWorlds;
  beforeAll(async () => {
    worlds = await HostWorlds.of(daemon, role === 'host' ? (daemon.agentUrl ?? '') : daemon.url);
  });
  afterAll(() => worlds.close());

  test.each(files)('$path: $conversation.title', ({ conversation }) =>
    replay(conversation, worlds.open, { contract }),
  );
});
