/** The calls of the seed documents in life-cycle order, against a real daemon and a real guest. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestHost, type TestHost } from '../support/host.ts';

let host: TestHost;
beforeAll(async () => {
  host = await startTestHost();
});
afterAll(() => host.close());

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(`${host.url}${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${host.key}`,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}

const error = (code: string, message: string) => ({ error: { code, message } });

describe('the life of a machine', () => {
  let id: string;

  test('create: 201, pending', async () => {
    const { status, body } = await call('POST', '/machines', {
      name: 'web-server',
      vcpu_count: 1,
      mem_size_mib: 128,
      image: 'busybox',
      exposed_ports: [8080, 443],
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      id: expect.stringMatching(/^[a-z0-9]{12}$/),
      name: 'web-server',
      status: 'pending',
      vcpu_count: 1,
      mem_size_mib: 128,
      kernel_image_path: expect.stringMatching(/^\//),
      // Null until the engine has been tried, which takes a few seconds after the daemon's start.
      kernel_args: expect.toBeOneOf([expect.any(String), null]),
      rootfs_path: expect.stringMatching(/^\//),
      exposed_ports: [8080, 443],
      created_at: expect.stringMatching(/Z$/),
      updated_at: expect.stringMatching(/Z$/),
    });
    id = body.id as string;
  });

  test('list: 200 with the summary and the total', async () => {
    const { status, body } = await call('GET', '/machines?status=pending&limit=10&offset=0');
    expect(status).toBe(200);
    expect(body.total).toBe(1);
    expect(body.machines).toEqual([
      {
        id,
        name: 'web-server',
        status: 'pending',
        vcpu_count: 1,
        mem_size_mib: 128,
        created_at: expect.stringMatching(/Z$/),
        image: 'busybox',
        labels: {},
        expires_at: null,
        on_expire: 'delete',
      },
    ]);
    expect((await call('GET', '/machines?status=running')).body).toEqual({ machines: [], total: 0 });
  });

  test('exec and stop before it runs: 400', async () => {
    expect(await call('POST', `/machines/${id}/exec`, { command: ['true'] })).toMatchObject({
      status: 400,
      body: error('BAD_REQUEST', 'Machine must be running to execute commands'),
    });
    expect(await call('POST', `/machines/${id}/stop`)).toMatchObject({
      status: 400,
      body: error('BAD_REQUEST', "Cannot stop machine in 'pending' state"),
    });
  });

  test('start: 200 when the guest answers', async () => {
    const { status, body } = await call('POST', `/machines/${id}/start`);
    expect(body).toMatchObject({ id, status: 'running', pid: expect.any(Number), error_message: null });
    expect(status).toBe(200);
  });

  test('get by id and by name: 200 with the process and its socket', async () => {
    const { status, body } = await call('GET', `/machines/${id}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      id,
      status: 'running',
      socket_path: expect.stringContaining(host.config.stateDir),
      tap_device: null,
      guest_ip: expect.stringMatching(/^10\.77\./),
    });
    expect((await call('GET', '/machines/web-server')).body).toEqual(body);
  });

  test('a second start and a delete while it runs: 400', async () => {
    expect(await call('POST', `/machines/${id}/start`)).toMatchObject({
      status: 400,
      body: error('BAD_REQUEST', "Cannot start machine in 'running' state"),
    });
    expect(await call('DELETE', `/machines/${id}`)).toMatchObject({
      status: 400,
      body: error('BAD_REQUEST', "Cannot delete machine in 'running' state"),
    });
  });

  test('exec: both streams, the exit code, and the guest’s host name', async () => {
    const { status, body } = await call('POST', `/machines/${id}/exec`, {
      command: ['sh', '-c', 'hostname; id -u; echo err >&2; exit 3'],
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      exit_code: 3,
      stdout: 'web-server\n0\n',
      stderr: 'err\n',
      outcome: 'exited',
    });
  });

  test('exec of a missing program: 200 and 127', async () => {
    const { status, body } = await call('POST', `/machines/${id}/exec`, { command: ['no-such-program'] });
    expect(status).toBe(200);
    expect(body).toMatchObject({ exit_code: 127, stderr: expect.stringContaining('no-such-program') });
  });

  test('exec past its timeout: 504, and nothing of it is left in the guest', async () => {
    expect(
      await call('POST', `/machines/${id}/exec`, { command: ['sleep', '4321'], timeout: 1 }),
    ).toMatchObject({
      status: 504,
      body: error('TIMEOUT', 'Command execution timed out after 1 seconds'),
    });
    const { body } = await call('POST', `/machines/${id}/exec`, {
      command: ['sh', '-c', 'ps | grep "[s]leep 4321"'],
    });
    expect(body).toMatchObject({ exit_code: 1, stdout: '' });
  });

  test('the clock of the guest is right', async () => {
    const before = Math.floor(Date.now() / 1000);
    const { body } = await call('POST', `/machines/${id}/exec`, { command: ['date', '+%s'] });
    const guestSeconds = Number(body.stdout);
    expect(guestSeconds).toBeGreaterThanOrEqual(before - 1);
    expect(guestSeconds).toBeLessThanOrEqual(Math.ceil(Date.now() / 1000) + 1);
  });

  test('metrics: what the VMM uses, and what the guest says of its memory', async () => {
    const { status, body } = await call('GET', `/machines/${id}/metrics`);
    expect(status).toBe(200);
    const positive = expect.toSatisfy((value: unknown) => typeof value === 'number' && value > 0);
    expect(body).toMatchObject({
      ...{ machine_id: id, status: 'running', uptime_seconds: positive },
      cpu: { vcpu_count: 1, time_ms: positive },
      memory: {
        size_bytes: 128 * 2 ** 20,
        host_used_bytes: positive,
        guest: { total_bytes: positive, free_bytes: positive, available_bytes: positive },
      },
      disk: { read_bytes: positive, reads: positive },
      network: { rx_bytes: null, tx_bytes: null },
    });
  });

  test('restart: 200, a new boot of the same machine', async () => {
    const bootId = async () =>
      (await call('POST', `/machines/${id}/exec`, { command: ['cat', '/proc/sys/kernel/random/boot_id'] }))
        .body.stdout;
    await call('POST', `/machines/${id}/exec`, { command: ['sh', '-c', 'echo kept > /root/kept; sync'] });
    const before = await bootId();
    expect(await call('POST', `/machines/${id}/restart`)).toMatchObject({
      status: 200,
      body: { status: 'running' },
    });
    expect(await bootId()).not.toBe(before);
    const kept = await call('POST', `/machines/${id}/exec`, { command: ['cat', '/root/kept'] });
    expect(kept.body).toMatchObject({ stdout: 'kept\n' });
  });

  test('stop: 200 and stopped; wait: 200 at once', async () => {
    expect(await call('POST', `/machines/${id}/stop`)).toMatchObject({
      status: 200,
      body: { status: 'stopped', pid: null, error_message: null },
    });
    expect(await call('GET', `/machines/${id}/wait?status=stopped&timeout=1`)).toMatchObject({ status: 200 });
    expect(await call('GET', `/machines/${id}/wait?status=running&timeout=1`)).toMatchObject({
      status: 504,
      body: error('TIMEOUT', `Timed out waiting for machine ${id} to reach status running`),
    });
  });

  test('delete: 204, then 404 for everything', async () => {
    expect(await call('DELETE', `/machines/${id}`)).toEqual({ status: 204, body: {} });
    const gone = { status: 404, body: error('NOT_FOUND', `Machine with id '${id}' not found`) };
    expect(await call('GET', `/machines/${id}`)).toMatchObject(gone);
    expect(await call('POST', `/machines/${id}/start`)).toMatchObject(gone);
    expect(await call('DELETE', `/machines/${id}`)).toMatchObject(gone);
  });
});
