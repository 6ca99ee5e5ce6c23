/** Hatch's routes on a real server with fakes: what its clients send, and every refusal in its words. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';
import { AppError } from '../../../core/errors.ts';
import type { NewKey } from '../../../core/keys/service.ts';
import type { LoggedEvent, LoggedOutcome, LoggedRequest } from '../../../core/ports/guest-logged.ts';
import type { HttpServer } from '../../server.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
const idleSeconds = 2700;
beforeEach(async () => {
  fake = await startFake({ snapshotsPerMachine: 2 });
  fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
  ({ server, url } = await serveFake(fake, { hatchIdleSeconds: idleSeconds }));
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

interface Sent {
  readonly json?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function send(line: string, { json, text, headers }: Sent = {}) {
  const [method = '', path = ''] = line.split(' ');
  const content = text ?? (json === undefined ? undefined : JSON.stringify(json));
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(headers ?? { Authorization: `Bearer ${testKey}` }),
      ...(content === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(content === undefined ? {} : { body: content }),
  });
  return { status: response.status, body: JSON.parse(await response.text()) };
}
const error = (status: number, text: string) => ({ status, body: { error: text } });
const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);

async function create(json: unknown = {}): Promise<string> {
  const { status, body } = await send('POST /vms', { json });
  expect(status, JSON.stringify(body)).toBe(201);
  return body.id;
}

async function makeKey(request: NewKey): Promise<string> {
  const operator = {
    ...{ tenant: 'default', keyName: 'admin', keyId: null, expiresAt: null, isOperator: true },
    ...{ scopes: ['*'] as const, tier: null },
  };
  return (await fake.apiKeys.create(operator, request)).secret;
}

describe('create', () => {
  test('the seed’s example boots, with an address', async () => {
    const json = { vcpu_count: 2, mem_mib: 1024, enable_network: true };
    expect(await send('POST /vms', { json })).toEqual({
      status: 201,
      body: {
        ...{ id: expect.stringMatching(/^vm_[a-z0-9]{12}$/), image_id: 'img_default', state: 'running' },
        ...{ vcpu_count: 2, mem_mib: 1024, enable_network: true, guest_ip: '10.77.0.2', ssh_port: 16_000 },
        ...{ created_at: time, updated_at: time },
      },
    });
  });

  test('{} gets the defaults; without a network asked for there is no note of it', async () => {
    const defaults = { state: 'running', vcpu_count: 1, mem_mib: 512 };
    expect(await send('POST /vms', { json: {} })).toMatchObject({ status: 201, body: defaults });
    const { body } = await send('POST /vms', { json: { enable_network: false } });
    expect(body).not.toHaveProperty('network_note');
  });

  test('from an image that is not there takes the nearest, and says so', async () => {
    const answer = await send('POST /vms', { json: { image_id: 'ubuntu-22.04' } });
    expect(answer).toMatchObject({
      status: 201,
      body: {
        image_id: 'img_default',
        image_note: expect.stringContaining('`ubuntu-22.04` is not an image'),
      },
    });
  });

  test.each<[unknown, string | RegExp]>([
    [{ vcpu_count: 33 }, 'vcpu_count must be from 1 to 32'],
    [{ vcpu_count: -1 }, 'vcpu_count must be from 1 to 32'],
    [{ mem_mib: 64 }, 'mem_mib must be from 128 to 65536'],
    [{ memory: 512 }, /unknown field 'memory'/],
    [{ guest_ip: '172.16.0.9' }, /^no machine can have the address '172.16.0.9'/],
    [{ guest_mac: 'AA:FC:00:00:00:01' }, /^guest_mac cannot be set: it follows from the address/],
    [{ boot_args: 'quiet' }, /^boot_args cannot be set/],
    [{ template_id: 'tpl_nothinghere1' }, 'template not found'],
    [{ image_id: 'img_nothing' }, /nothing/],
    [{ user_data: '#cloud-config\nbootcmd: [x]\n' }, /bootcmd/],
    ['text', 'the body must be an object'],
  ])('of %j is refused in words', async (json, text) => {
    const answer = await send('POST /vms', { json });
    expect(answer.status).toBe(400);
    if (typeof text === 'string') expect(answer.body).toEqual({ error: text });
    else expect(answer.body).toEqual({ error: expect.stringMatching(text) });
    expect((await send('GET /vms')).body).toEqual([]);
  });

  test('without a body, or with one that is no JSON', async () => {
    expect(await send('POST /vms')).toEqual(
      error(400, 'the request body is empty. Send one JSON object, such as {}.'),
    );
    expect(await send('POST /vms', { text: '{' })).toMatchObject({ status: 400 });
  });

  test('of a guest that does not boot leaves nothing behind', async () => {
    fake.guest.onReady = () => Promise.reject(new AppError('guest', 'the guest said nothing'));
    const answer = await send('POST /vms', { json: {} });
    expect(answer.status).toBe(500);
    expect(answer.body.error).toMatch(/^the vm did not boot: .*the guest said nothing/);
    expect((await send('GET /vms')).body).toEqual([]);
    expect(await fake.driver.list(new AbortController().signal)).toEqual([]);
  });

  test('null is the same as absent', async () => {
    const names = ['vcpu_count', 'mem_mib', 'enable_network', 'image_id', 'template_id', 'boot_args'];
    const json = Object.fromEntries(
      [...names, 'guest_ip', 'guest_mac', 'user_data'].map((name) => [name, null]),
    );
    expect(await send('POST /vms', { json })).toMatchObject({ status: 201, body: { vcpu_count: 1 } });
  });

  test.each([{}, { 'Content-Type': 'application/x-www-form-urlencoded' }])(
    'the content type does not matter: %j',
    async (type) => {
      const answer = await fetch(`${url}/vms`, {
        method: 'POST',
        headers: { 'X-API-Key': testKey, ...type },
        body: new TextEncoder().encode('{"vcpu_count":2}'),
      });
      expect(await answer.json()).toMatchObject({ state: 'running', vcpu_count: 2 });
    },
  );

  test('beyond the quota is refused in Hatch’s words', async () => {
    const limits = { machines: 1, vcpus: null, memoryMib: null, diskMib: null };
    await fake.store.quotas.set({ tenant: 'default', limits, updatedAt: new Date().toISOString() });
    await create();
    expect(await send('POST /vms', { json: {} })).toEqual(error(403, 'vm limit reached (1/1)'));
  });
});

describe('a VM', () => {
  test('is listed newest first, shown by id, bare id and name, stopped and deleted', async () => {
    expect((await send('GET /vms')).body).toEqual([]);
    const [first, second] = [await create(), await create({ image_id: 'img_busybox' })];
    const { body } = await send('GET /vms');
    expect(body.map(({ id }: { id: string }) => id)).toEqual([second, first]);
    expect(body[0]).toMatchObject({ image_id: 'img_busybox', state: 'running', updated_at: time });
    const shown = await send(`GET /vms/${first}`);
    expect(await send(`GET /vms/${first.slice(3)}`)).toEqual(shown);
    expect(await send(`POST /vms/${first}/stop`)).toMatchObject({ status: 200, body: { state: 'stopped' } });
    expect(await send(`POST /vms/${first}/stop`)).toMatchObject({ status: 200, body: { state: 'stopped' } });
    for (const id of [first, second])
      expect(await send(`DELETE /vms/${id}`)).toEqual({ status: 200, body: { status: 'deleted' } });
    expect(await send(`GET /vms/${first}`)).toEqual(error(404, 'not found'));
    expect(await send(`DELETE /vms/${first}`)).toEqual(error(404, 'not found'));
  });

  test('that is suspended is snapshotted, and a stop loses nothing of its memory', async () => {
    const id = await create();
    await fake.machines.suspend('default', id.slice(3));
    expect(await send(`GET /vms/${id}`)).toMatchObject({ body: { state: 'snapshotted' } });
    expect(await send(`POST /vms/${id}/stop`)).toEqual(error(409, 'vm is snapshotted, must be running'));
    expect(fake.savedMemories.saved.has(id.slice(3))).toBe(true);
  });

  test('that failed says why', async () => {
    const id = await create();
    await fake.machines.stop('default', id.slice(3));
    fake.driver.failNext('launch', new AppError('engine', 'the VMM ended at once'));
    await fake.machines.start('default', id.slice(3)).catch(() => undefined);
    expect((await send(`GET /vms/${id}`)).body).toMatchObject({
      state: 'error',
      error: expect.stringContaining('VMM ended at once'),
    });
  });

  test('shows its user data to those who may run commands, and to all how far it is', async () => {
    const user_data = '#!/bin/sh\nexport TOKEN=secret\n';
    fake.guest.onProvision = async () => ({ outcome: 'failed', message: 'runcmd 1 of 1: exit code 3' });
    const id = await create({ user_data });
    const provisioning = { status: 'failed', message: 'runcmd 1 of 1: exit code 3', updated_at: time };
    await expect.poll(() => send(`GET /vms/${id}`)).toMatchObject({ body: { user_data, provisioning } });
    const headers = { 'X-API-Key': await makeKey({ name: 'viewer', scopes: ['machines:read'] }) };
    const { body } = await send(`GET /vms/${id}`, { headers });
    expect(body).toMatchObject({ id, provisioning });
    expect(body).not.toHaveProperty('user_data');
  });

  test('of another tenant is not found', async () => {
    const id = await create();
    const headers = { 'X-API-Key': await makeKey({ name: 'other', tenant: 'other', scopes: ['*'] }) };
    expect(await send(`GET /vms/${id}`, { headers })).toEqual(error(404, 'not found'));
    expect((await send('GET /vms', { headers })).body).toEqual([]);
  });

  test('has figures, null where nobody measures', async () => {
    const id = await create();
    expect(await send(`GET /vms/${id}/metrics`)).toMatchObject({
      status: 200,
      body: { vm_id: id, state: 'running', net: { rx_bytes: null }, vcpu: {}, block: {}, raw: {} },
    });
  });

  test('is suspended when idle as long as it has a route, unless it has a policy of its own', async () => {
    const id = await create();
    const idle = async () => (await fake.machines.get('default', id.slice(3))).spec.idle;
    const route = async (target_port: number) => {
      const { body } = await send(`POST /vms/${id}/routes`, { json: { target_port } });
      return body.id as string;
    };
    expect(await idle()).toBeNull();
    const [first, second] = [await route(80), await route(81)];
    expect(await idle()).toEqual({ afterSeconds: idleSeconds, action: 'suspend' });
    await send(`DELETE /routes/${first}`);
    expect(await idle()).not.toBeNull();
    await send(`DELETE /routes/${second}`);
    expect(await idle()).toBeNull();
    const own = { afterSeconds: 60, action: 'pause' as const };
    await fake.machines.update('default', id.slice(3), { idle: own });
    await send(`DELETE /routes/${await route(80)}`);
    expect(await idle()).toEqual(own);
  });

  test('gets routes', async () => {
    const id = await create();
    expect(await send(`GET /vms/${id}/routes`)).toEqual({ status: 200, body: [] });
    const route = (json: object) => send(`POST /vms/${id}/routes`, { json });
    expect(await route({})).toEqual(error(400, 'target_port must be between 1 and 65535'));
    expect(await route({ target_port: 80, subdomain: 'admin' })).toEqual(
      error(400, 'subdomain "admin" is reserved'),
    );
    expect((await route({ target_port: 80, subdomain: 'A' })).body.error).toMatch(/^subdomain must be/);
    const made = await route({ target_port: 80 });
    expect(made).toMatchObject({
      status: 201,
      body: {
        id: expect.stringMatching(/^rt_/),
        vm_id: id,
        subdomain: expect.stringMatching(/^[0-9a-f]{12}$/),
        auto_wake: true,
      },
    });
    expect(await route({ target_port: 81, subdomain: made.body.subdomain })).toEqual(
      error(409, `subdomain "${made.body.subdomain}" is already in use`),
    );
    expect((await send('GET /healthz')).body).toMatchObject({ route_count: 1 });
    const others = { 'X-API-Key': await makeKey({ name: 'other', tenant: 'other', scopes: ['*'] }) };
    expect(await send(`DELETE /routes/${made.body.id}`, { headers: others })).toEqual(
      error(404, 'not found'),
    );
    expect(await send('POST /vms/vm_none/routes', { json: { target_port: 80 } })).toEqual(
      error(404, 'not found'),
    );
    expect(await send('DELETE /routes/rt_none')).toEqual(error(404, 'not found'));
  });
});

describe('a snapshot', () => {
  const idsOf = async () => {
    const { snapshots } = await fake.snapshots.list('default', { limit: 10, offset: 0 });
    return snapshots.map((snapshot) => `snap_${snapshot.id}`);
  };

  test('is left by a VM that is not up any more, and goes with it', async () => {
    const id = await create();
    const taken = await send(`POST /vms/${id}/snapshot`);
    expect(taken.status).toBe(201);
    expect(JSON.parse(taken.body.vm_config)).toMatchObject({ vcpu_count: 1, mem_mib: 512 });
    expect(await send(`POST /vms/${id}/snapshot`)).toEqual(error(409, 'vm is snapshotted, must be running'));
    expect(await send(`POST /vms/${id}/restore`)).toMatchObject({ status: 200, body: { state: 'running' } });
    expect(await send(`POST /vms/${id}/restore`)).toEqual(error(409, 'vm is running, must be snapshotted'));
    const second = await send(`POST /vms/${id}/snapshot`);
    expect(await send(`GET /vms/${id}/snapshots`)).toEqual({ status: 200, body: [second.body, taken.body] });
    expect((await send(`DELETE /vms/${id}`)).status).toBe(200);
    expect(await idsOf()).toEqual([]);
  });

  test('that another API made stays', async () => {
    const id = await create();
    const kept = await fake.snapshots.create('default', id.slice(3), { name: 'kept' });
    expect((await send(`DELETE /vms/${id}`)).status).toBe(200);
    expect(await idsOf()).toEqual([`snap_${kept.id}`]);
  });

  test('beyond the limit is refused in Hatch’s words, and the VM runs', async () => {
    const id = await create();
    for (const name of ['one', 'two']) await fake.snapshots.create('default', id.slice(3), { name });
    expect(await send(`POST /vms/${id}/snapshot`)).toEqual(error(403, 'snapshot limit reached (2/2)'));
    expect(await send(`GET /vms/${id}`)).toMatchObject({ body: { state: 'running' } });
  });

  test('that cannot be made leaves the VM running', async () => {
    const id = await create();
    vi.spyOn(fake.snapshotFiles, 'begin').mockRejectedValueOnce(new AppError('exhausted', 'no space left'));
    expect((await send(`POST /vms/${id}/snapshot`)).status).toBe(503);
    expect(await send(`GET /vms/${id}`)).toMatchObject({ body: { state: 'running' } });
    expect(await idsOf()).toEqual([]);
  });
});

describe('exec', () => {
  const log_file = '/tmp/hatch-exec-0a1b2c3d4e5f.log';
  beforeEach(() => {
    fake.guest.logged.logPath = log_file;
  });
  const says = (pid: number, output: string, end: LoggedOutcome, rest: object = {}) => {
    const standing = end.outcome === 'running' ? ('kept' as const) : ('removed' as const);
    const events: readonly LoggedEvent[] = [
      { type: 'output', data: new TextEncoder().encode(output) },
      { type: 'end', end: { ...end, log: standing, isFull: false, ...rest } },
    ];
    Object.assign(fake.guest.logged, { pid, events, isEndless: end.outcome === 'running' });
  };

  test('answers with output and exit code', async () => {
    const id = await create();
    let asked: LoggedRequest | null = null;
    fake.guest.logged.onStart = async (request) => {
      asked = request;
    };
    says(41, 'hello\noops\n', { outcome: 'exited', exitCode: 3 });
    expect(await send(`POST /vms/${id}/exec`, { json: { command: 'echo hello; oops' } })).toEqual({
      status: 200,
      body: { stdout: 'hello\noops\n', stderr: '', exit_code: 3, timed_out: false },
    });
    expect(asked).toMatchObject({
      argv: ['sh', '-c', 'echo hello; oops'],
      log: {
        name: expect.stringMatching(/^hatch-exec-[0-9a-f]{12}\.log$/),
        directories: ['/tmp', '/run', '/dev/shm'],
      },
    });
  });

  test.each([
    ['KILL', 137],
    ['TERM', 143],
    ['RTMIN+2', 164],
    ['33', 161],
  ])('of a command that %s ended answers %d, as a shell does', async (signal, exit_code) => {
    const id = await create();
    says(41, '', { outcome: 'signalled', signal });
    expect(await send(`POST /vms/${id}/exec`, { json: { command: 'x' } })).toMatchObject({
      body: { exit_code },
    });
  });

  test('in the background, and past its time, answers with pid and log file', async () => {
    const id = await create();
    fake.guest.logged.pid = 42;
    expect(await send(`POST /vms/${id}/exec`, { json: { command: 'x', background: true } })).toEqual({
      status: 200,
      body: { stdout: '', stderr: '', exit_code: 0, timed_out: false, pid: 42, log_file },
    });
    says(43, 'so far', { outcome: 'running' });
    expect(await send(`POST /vms/${id}/exec`, { json: { command: 'x', timeout_ms: 1 } })).toEqual({
      status: 200,
      body: { stdout: 'so far', stderr: '', exit_code: -1, timed_out: true, pid: 43, log_file },
    });
  });

  test('says what the answer lacks of the output', async () => {
    const id = await create();
    const noteOf = async (rest: object) => {
      says(44, 'x', { outcome: 'exited', exitCode: 0 }, rest);
      const { body } = await send(`POST /vms/${id}/exec`, { json: { command: 'x' } });
      const { output_note = null, log_file: kept = null } = body as Record<string, unknown>;
      return [output_note, kept];
    };
    expect(await noteOf({})).toEqual([null, null]);
    expect(await noteOf({ log: 'kept' })).toEqual([null, log_file]);
    expect(await noteOf({ isFull: true })).toEqual([expect.stringContaining('no space left'), null]);
    expect(await noteOf({ log: 'gone' })).toEqual([expect.stringContaining('was removed'), null]);
  });

  test('that cannot start, or whose end is not known, is no exit code', async () => {
    const id = await create();
    fake.guest.logged.onStart = () => Promise.reject(new AppError('invalid', 'sh: not found'));
    expect(await send(`POST /vms/${id}/exec`, { json: { command: 'x' } })).toEqual(
      error(502, 'the command was not started: sh: not found'),
    );
    fake.guest.logged.onStart = async () => undefined;
    fake.guest.logged.events = [{ type: 'lost', reason: 'it was lost' }];
    expect(await send(`POST /vms/${id}/exec`, { json: { command: 'x' } })).toMatchObject({ status: 502 });
  });

  test('looks for the VM first, then at its state, then at the body', async () => {
    expect(await send('POST /vms/vm_none/exec', { json: {} })).toEqual(error(404, 'not found'));
    const id = await create();
    expect(await send(`POST /vms/${id}/exec`, { json: {} })).toEqual(error(400, 'command is required'));
    expect(await send(`POST /vms/${id}/exec`, { json: { command: '' } })).toEqual(
      error(400, 'command is required'),
    );
    expect(await send(`POST /vms/${id}/exec`, { text: 'x' })).toEqual(
      error(400, 'Malformed JSON in request body. Send one JSON object, such as {}.'),
    );
    expect((await send(`POST /vms/${id}/exec`, { json: { command: 'x', cmd: 1 } })).status).toBe(400);
    const [longest, longer] = ['ü'.repeat(65_535), 'ü'.repeat(65_536)];
    expect((await send(`POST /vms/${id}/exec`, { json: { command: longer } })).body).toEqual({
      error: 'command must have at most 131071 bytes',
    });
    says(44, '', { outcome: 'exited', exitCode: 0 });
    expect((await send(`POST /vms/${id}/exec`, { json: { command: longest } })).status).toBe(200);
    await send(`POST /vms/${id}/stop`);
    expect(await send(`POST /vms/${id}/exec`, { json: {} })).toEqual(
      error(409, 'vm is stopped, must be running'),
    );
  });
});

describe('keys', () => {
  test.each([
    [{ 'X-API-Key': testKey }, 200],
    [{ Authorization: 'Basic eDp5', 'X-API-Key': testKey }, 200],
    [{ Authorization: 'Bearer wrong', 'X-API-Key': testKey }, 200],
    [{ Authorization: `Bearer ${testKey}`, 'X-API-Key': 'wrong' }, 200],
    [{ Authorization: 'Bearer wrong', 'X-API-Key': 'wrong' }, 401],
  ] as const)('%j: %i', async (headers, status) => {
    const answer = await send('GET /vms', { headers });
    expect(answer.status).toBe(status);
    if (status === 401) expect(answer.body).toEqual({ error: 'invalid api key' });
  });

  test('no key, or none that is a key', async () => {
    expect(await send('GET /vms', { headers: {} })).toEqual(error(401, 'unauthorized'));
    const headers = { Authorization: 'Basic eDp5' };
    expect(await send('GET /vms', { headers })).toEqual(error(401, 'unauthorized'));
    expect(await send('GET /healthz', { headers: {} })).toEqual({
      status: 200,
      body: { status: 'ok', vm_count: 0, route_count: 0 },
    });
  });
});

describe('other paths and methods', () => {
  test.each([
    ['PUT /vms', 405, 'method not allowed'],
    ['PATCH /vms/vm_x', 405, 'method not allowed'],
    ['GET /routes/rt_x', 405, 'method not allowed'],
    ['GET /vms/', 400, 'invalid path'],
    ['POST /vms/vm_x/reboot', 404, 'not found'],
    ['GET /vms/vm_x/stop', 404, 'not found'],
    ['GET /routes', 404, 'not found'],
  ])('%s: %i', async (line, status, text) => {
    expect(await send(line)).toEqual(error(status, text));
  });

  test('a body of another type does not hide that', async () => {
    const headers = { 'X-API-Key': testKey };
    const answer = await fetch(`${url}/vms`, { method: 'PUT', headers, body: 'words' });
    expect([answer.status, await answer.json()]).toEqual([405, { error: 'method not allowed' }]);
  });
});

describe('templates and images', () => {
  test('a template is made, used, listed and deleted', async () => {
    const json = { name: 'web', image_id: 'img_busybox', vcpu_count: 2, mem_mib: 256, description: 'x' };
    const made = await send('POST /templates', { json });
    const id = expect.stringMatching(/^tpl_[a-z0-9]{12}$/);
    expect(made).toEqual({
      status: 201,
      body: { id, ...json, user_data: '', created_at: time, updated_at: time },
    });
    const vm = await create({ template_id: made.body.id, vcpu_count: 1 });
    expect((await send(`GET /vms/${vm}`)).body).toMatchObject({
      ...{ template_id: made.body.id, image_id: 'img_busybox', vcpu_count: 1, mem_mib: 256 },
    });
    expect((await send('GET /templates')).body).toEqual([made.body]);
    expect(await send(`GET /templates/${made.body.id}`)).toEqual({ status: 200, body: made.body });
    expect((await send('POST /templates', { json })).status).toBe(409);
    expect(await send(`DELETE /templates/${made.body.id}`)).toEqual({
      status: 200,
      body: { status: 'deleted' },
    });
    expect(await send('GET /templates/web')).toEqual(error(404, 'not found'));
    expect((await send('POST /templates', { json: { name: 'b', image_id: 'img_no' } })).status).toBe(400);
  });

  test('a template shows its user data to those who may run commands', async () => {
    const user_data = '#!/bin/sh\nexport TOKEN=secret\n';
    const json = { name: 'web', user_data, image_id: null, description: null };
    expect(await send('POST /templates', { json })).toMatchObject({ status: 201, body: { user_data } });
    const headers = { 'X-API-Key': await makeKey({ name: 'viewer', scopes: ['machines:read'] }) };
    expect((await send('GET /templates/web', { headers })).body).toMatchObject({ user_data: '' });
    expect((await send('GET /templates', { headers })).body).toMatchObject([{ user_data: '' }]);
  });

  test('images are listed; files of the host are for the operator; built-in ones stay', async () => {
    const { body } = await send('GET /images');
    expect(body.map(({ id }: { id: string }) => id)).toContain('img_default');
    expect((await send('GET /images/img_default')).body).toMatchObject({ id: 'img_default', boot_args: '' });
    expect(await send('GET /images/img_none')).toEqual(error(404, 'not found'));
    const json = { id: 'img_mine', rootfs_path: '/srv/mine.tar' };
    expect(await send('POST /images', { json })).toMatchObject({ status: 201, body: { id: 'img_mine' } });
    expect(await send('DELETE /images/img_mine')).toEqual({ status: 200, body: { status: 'deleted' } });
    expect((await send('DELETE /images/img_default')).status).toBe(409);
    expect((await send('POST /images', { json: { ...json, kernel_path: '/vmlinux' } })).status).toBe(400);
    const headers = { 'X-API-Key': await makeKey({ name: 'ci', scopes: ['*'] }) };
    expect((await send('POST /images', { json, headers })).status).toBe(403);
  });
});
