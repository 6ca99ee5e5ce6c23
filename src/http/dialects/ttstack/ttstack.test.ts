/**
 * TTstack's controller on a real server and a fake host: what `tt` sends and reads, and every refusal in the envelope.
 * Each answer is checked as `tt` reads it: only `ok`, `data` and `error`, numbers that fit u32, words from closed lists.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';
import { newPublicKey } from '../../../../test/support/ssh-key.ts';
import { AppError } from '../../../core/errors.ts';
import { FakeClock } from '../../../core/testing/fake-clock.ts';
import type { HttpServer } from '../../server.ts';
import type { EnvDetail } from './schema.ts';

let clock: FakeClock;
let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
beforeEach(async () => {
  clock = new FakeClock();
  fake = await startFake({ clock });
  ({ server, url } = await serveFake(fake));
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

interface Answer {
  readonly status: number;
  readonly ok: boolean;
  readonly data?: unknown;
  readonly error?: string;
}

async function send(
  method: string,
  path: string,
  body?: unknown,
  key: string | null = testKey,
): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${url}/api${path}`, {
    method,
    headers: {
      ...(key === null ? {} : { Authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: text }),
  });
  const envelope = (await response.json()) as Record<string, unknown>;
  const { ok, data, error, ...others } = envelope;
  expect(others).toEqual({});
  expect(ok).toBe(response.ok);
  expect(typeof error).toBe(ok ? 'undefined' : 'string');
  return { status: response.status, ...(envelope as { ok: boolean; data?: unknown; error?: string }) };
}

/** As `tt env create` sends it. */
const asTtSends = (id: string, count = 1, changes: object = {}) => ({
  ...{ id, owner: 'ann', lifetime: null },
  vms: Array.from({ length: count }, () => ({
    ...{
      image: 'debian-12',
      engine: 'qemu',
      cpu: null,
      mem: null,
      disk: null,
      ports: [],
      deny_outgoing: false,
    },
    ...changes,
  })),
});
const now = () => Math.floor(clock.now().getTime() / 1000);
const detail = async (id: string) => (await send('GET', `/envs/${id}`)).data as EnvDetail;

describe('an environment', () => {
  test('made as tt makes it: running machines with TTstack’s defaults', async () => {
    const { status, data } = await send('POST', '/envs', asTtSends('ci-42', 2));
    const { env, vms, warnings } = data as EnvDetail;
    expect(status).toBe(201);
    expect(env).toEqual({
      ...{ id: 'ci-42', owner: 'ann', state: 'active', vm_ids: vms.map(({ id }) => id) },
      ...{ created_at: now(), expires_at: now() + 21_600 },
    });
    const id = expect.stringMatching(/^[a-z0-9]{12}$/);
    const vm = {
      ...{ id, env_id: 'ci-42', host_id: 'host', image: 'debian-12', engine: 'qemu', cpu: 2, mem: 1024 },
      ...{ disk: 40_960, state: 'running', created_at: now() },
      ip: expect.stringMatching(/^10\.77\.0\.\d+$/),
      // SSH is published whether it was asked for or not.
      port_map: { 22: expect.any(Number) },
    };
    expect(vms).toEqual([vm, vm]);
    expect(warnings).toBeUndefined();
    expect(await send('GET', `/vms/${vms[0]?.id}`)).toEqual({ status: 200, ok: true, data: vms[0] });
    expect((await send('GET', '/envs')).data).toEqual([env]);
    expect(await detail('ci-42')).toEqual(data);
  });

  test('without an owner, keys or VMs', async () => {
    const { status, data } = await send('POST', '/envs', { id: 'bare', vms: [] });
    expect(status).toBe(201);
    expect(data).toMatchObject({ env: { id: 'bare', owner: '', vm_ids: [] }, vms: [] });
  });

  test('its machines get the keys, each once, and the disk and sizes asked for', async () => {
    const key = newPublicKey('ann@laptop');
    const other = `ssh-ed25519 ${'B'.repeat(68)}`;
    const vm = { image: 'busybox', engine: 'kvm', cpu: 1, mem: 128, disk: 333, ssh_keys: [other, key] };
    const { data } = await send('POST', '/envs', { id: 'k', ssh_keys: [key, ` ${key}`], vms: [vm] });
    const [made] = (data as EnvDetail).vms;
    expect(made).toMatchObject({ engine: 'qemu', cpu: 1, mem: 128, disk: 333 });
    const machine = await fake.store.machines.get(made?.id ?? '');
    expect(machine?.spec.userData?.sshAuthorizedKeys).toEqual([key, other]);
    expect(machine?.spec.sshKeys).toEqual([key]);
    expect(machine?.spec.diskMib).toBe(333);
  });

  test('stopped and started: paused and resumed, while its lifetime stands still', async () => {
    await send('POST', '/envs', asTtSends('e', 2));
    expect(await send('POST', '/envs/e/stop')).toEqual({ status: 200, ok: true });
    const stopped = await detail('e');
    expect(stopped.env).toMatchObject({ state: 'stopped', expires_at: 0 });
    expect(stopped.vms.map(({ state }) => state)).toEqual(['paused', 'paused']);
    clock.advance(3_600_000);
    expect(await send('POST', '/envs/e/start', {})).toEqual({ status: 200, ok: true });
    const started = await detail('e');
    expect(started.env).toMatchObject({ state: 'active', expires_at: now() + 21_600 });
    expect(started.vms.map(({ state }) => state)).toEqual(['running', 'running']);
  });

  test('deleted with its machines', async () => {
    await send('POST', '/envs', asTtSends('e', 2));
    expect(await send('DELETE', '/envs/e')).toEqual({ status: 200, ok: true });
    const gone = { status: 404, ok: false, error: 'environment not found: e' };
    expect(await send('GET', '/envs/e')).toEqual(gone);
    expect(await send('DELETE', '/envs/e')).toEqual(gone);
    expect(await send('POST', '/envs/e/stop')).toEqual(gone);
    expect(await send('POST', '/envs/e/start')).toEqual(gone);
    expect(await fake.store.machines.all('host')).toEqual([]);
  });

  test('a longer lifetime than allowed is shortened, and says so', async () => {
    const { data } = await send('POST', '/envs', { id: 'long', vms: [], lifetime: 100_000 });
    expect(data).toMatchObject({
      env: { expires_at: now() + 21_600 },
      warnings: ['lifetime was shortened from 100000 s to 21600 s, the most that this host allows'],
    });
    const extended = await send('POST', '/envs/long/extend', { lifetime: 60 });
    expect(extended.data).toMatchObject({ env: { expires_at: now() + 60 } });
  });

  test('a machine that fails is not in it, and named in a warning', async () => {
    let starts = 0;
    fake.guest.onReady = async () => {
      starts += 1;
      if (starts > 1) throw new AppError('guest', 'no answer');
    };
    const { status, data } = await send('POST', '/envs', asTtSends('e', 2));
    expect(status).toBe(201);
    expect(data).toMatchObject({ vms: [{ state: 'running' }] });
    expect((data as EnvDetail).vms).toHaveLength(1);
    expect((data as EnvDetail).warnings).toEqual([expect.stringMatching(/^e-[12]: .*no answer/)]);
  });

  test('when all machines fail, nothing is left', async () => {
    fake.guest.onReady = () => Promise.reject(new AppError('guest', 'no answer'));
    expect(await send('POST', '/envs', asTtSends('e', 2))).toMatchObject({
      status: 502,
      error: expect.stringMatching(
        /^all VM creation attempts failed; check agent connectivity: e-1: .*no answer/,
      ),
    });
    expect((await send('GET', '/envs')).data).toEqual([]);
    expect(await fake.store.machines.all('host')).toEqual([]);
  });

  test('answers before tt gives up, with what is under way', async () => {
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    fake.guest.onReady = () => ready;
    const answer = send('POST', '/envs', asTtSends('e'));
    await expect
      .poll(async () => (await send('GET', '/envs/e')).data)
      .toMatchObject({ vms: [{ state: 'creating' }] });
    clock.advance(45_000);
    expect((await answer).data).toMatchObject({
      vms: [{ state: 'creating' }],
      warnings: [expect.stringContaining('still being created: e-1')],
    });
    resolve();
    expect((await send('DELETE', '/envs/e')).ok).toBe(true);
  });

  test('a stop that fails for a machine is an error that names it', async () => {
    await send('POST', '/envs', asTtSends('e', 2));
    fake.driver.failNext('pause', new AppError('engine', 'no answer'));
    expect(await send('POST', '/envs/e/stop')).toMatchObject({
      status: 500,
      error: expect.stringMatching(/^1 of 2 machines could not be stopped: e-[12]: /),
    });
    expect((await detail('e')).warnings).toEqual([expect.stringContaining('no answer')]);
  });

  test('names that a machine cannot have still make machines, and are told apart', async () => {
    for (const id of ['-a-', '_a-', 'a', 'x'.repeat(128), `${'x'.repeat(127)}y`, '-'])
      expect((await send('POST', '/envs', asTtSends(id))).status).toBe(201);
  });
});

describe('refusals', () => {
  const wrong = (changes: object) => asTtSends('e', 1, changes);
  test.each([
    ['nothing', undefined, 400, /^id is required/],
    ['malformed JSON', '{"id":', 400, /JSON/],
    ['no VMs', { id: 'e' }, 400, /^vms is required/],
    ['an empty name', { id: '', vms: [] }, 400, /^env name cannot be empty$/],
    ['a long name', { id: 'x'.repeat(129), vms: [] }, 400, /^env name too long \(max 128 chars\)$/],
    ['a name with a slash', { id: 'a/b', vms: [] }, 400, /^env name contains invalid characters/],
    ['a hidden name', { id: '.a', vms: [] }, 400, /^env name must not start with '\.' or contain '\.\.'$/],
    ['a name with two dots', { id: 'a..b', vms: [] }, 400, /^env name must not start with/],
    ['an empty image', wrong({ image: '' }), 400, /^image cannot be empty$/],
    ['no processors', wrong({ cpu: 0 }), 400, /^cpu, mem, and disk must be > 0 if specified$/],
    ['no memory', wrong({ mem: 0 }), 400, /^cpu, mem, and disk must be > 0 if specified$/],
    ['no disk', wrong({ disk: 0 }), 400, /^cpu, mem, and disk must be > 0 if specified$/],
    ['an unknown engine', wrong({ engine: 'vax' }), 400, /engine must be one of/],
    ['a key that is none', { ...wrong({}), ssh_keys: ['not a key'] }, 400, /ssh_keys\.0/],
    ['a port above 65535', wrong({ ports: [65_536] }), 400, /ports/],
    [
      'an engine that is not here',
      wrong({ engine: 'docker' }),
      422,
      /^no online host supports engine=docker$/,
    ],
    ['its other name', wrong({ engine: 'fc' }), 422, /^no online host supports engine=firecracker$/],
    [
      'an image that is not here',
      wrong({ image: 'nosuch' }),
      422,
      /^no host has image 'nosuch' for engine=qemu/,
    ],
    [
      'memory that is taken',
      wrong({ mem: 1_000_001 }),
      422,
      /^no host has enough resources for engine=qemu, cpu=2, mem=1000001MB, disk=40960MB$/,
    ],
    ['more processors than can be', wrong({ cpu: 4_000_000 }), 422, /^no host has enough resources for/],
  ])('%s', async (_, body, status, error) => {
    expect(await send('POST', '/envs', body)).toMatchObject({ status, error: expect.stringMatching(error) });
    expect((await send('GET', '/envs')).data).toEqual([]);
    expect(await fake.store.machines.all('host')).toEqual([]);
  });

  test('an environment that exists', async () => {
    await send('POST', '/envs', asTtSends('e'));
    expect(await send('POST', '/envs', asTtSends('e'))).toEqual({
      ...{ status: 409, ok: false, error: "environment 'e' already exists" },
    });
  });

  test.each([
    ['GET', '/nosuch', 404],
    ['GET', '/', 404],
    ['GET', '/envs/a/b/c', 404],
    ['PUT', '/envs', 405],
    ['PATCH', '/envs/e', 405],
    ['DELETE', '/status', 405],
    ['GET', '/envs/e/stop', 405],
    ['GET', '/vms/nosuch', 404],
    ['GET', '/hosts/nosuch', 404],
  ])('%s %s: %i with a key, 401 without', async (method, path, status) => {
    expect((await send(method, path)).status).toBe(status);
    for (const key of [null, 'hf_wrong'])
      expect(await send(method, path, undefined, key)).toEqual({
        ...{ status: 401, ok: false, error: 'invalid or missing API key' },
      });
  });

  test('another header than Bearer', async () => {
    const response = await fetch(`${url}/api/envs`, { headers: { Authorization: 'Basic abc' } });
    expect([response.status, await response.json()]).toEqual([
      401,
      { ok: false, error: 'invalid or missing API key' },
    ]);
  });

  test('what is below /api/v1 answers in its own words', async () => {
    const response = await fetch(`${url}/api/v1/nosuch`, { headers: { Authorization: `Bearer ${testKey}` } });
    expect(await response.json()).toMatchObject({ error: { code: 'NOT_FOUND' } });
  });
});

describe('hosts', () => {
  test('this one is there from the start, and its address adds nothing', async () => {
    await send('POST', '/envs', asTtSends('e', 2));
    const addr = new URL(url).host;
    const host = {
      ...{ id: 'host', addr, state: 'online', engines: ['qemu'], storage: 'file', registered_at: now() },
      resource: {
        ...{ cpu_total: 2, cpu_used: 4, mem_total: 1_000_000, mem_used: 2048 },
        ...{ disk_total: 181_920, disk_used: 81_920, vm_count: 2 },
      },
    };
    expect((await send('GET', '/hosts')).data).toEqual([host]);
    expect((await send('GET', '/hosts/host')).data).toEqual(host);
    expect(await send('POST', '/hosts', { addr })).toEqual({ status: 201, ok: true, data: host });
    expect(await send('POST', '/hosts', { addr: `localhost:${new URL(url).port}` })).toMatchObject({
      status: 201,
    });
    const { vm_count: total_vms, ...figures } = host.resource;
    expect((await send('GET', '/status')).data).toEqual({
      ...{ hosts: 1, hosts_online: 1, total_vms, total_envs: 1, ...figures },
    });
  });

  test('another one is refused in words', async () => {
    expect(await send('POST', '/hosts', { addr: '192.0.2.1:9100' })).toMatchObject({
      ...{ status: 409, error: expect.stringContaining('manages only its own host') },
    });
    expect((await send('POST', '/hosts', { addr: 'nonsense' })).status).toBe(400);
    expect((await send('POST', '/hosts', {})).status).toBe(400);
  });

  test('an unknown one is removed already; this one stays', async () => {
    expect(await send('DELETE', '/hosts/nosuch')).toEqual({ status: 200, ok: true });
    expect((await send('DELETE', '/hosts/host')).error).toBe(
      'host host is this server itself and cannot be removed',
    );
    await send('POST', '/envs', asTtSends('e'));
    expect(await send('DELETE', '/hosts/host')).toMatchObject({
      ...{ status: 409, error: 'host host still has 1 VMs; destroy them first' },
    });
  });

  test('its images', async () => {
    expect((await send('GET', '/images')).data).toEqual([
      { name: 'busybox', host_id: 'host' },
      { name: 'debian-12', host_id: 'host' },
    ]);
  });
});
