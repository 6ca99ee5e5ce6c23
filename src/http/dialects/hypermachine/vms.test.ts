/** HyperMachine's own clients and quickstart, request by request, against the real core on fakes. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake } from '../../../../test/support/fake.ts';
import { openVerifier } from '../../../main/admin-key.ts';
import type { HttpServer } from '../../server.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

interface Answer {
  readonly status: number;
  readonly body: { readonly [name: string]: unknown; readonly id?: string };
}

async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Answer['body'] };
}

describe('in development mode, without a key', () => {
  beforeEach(async () => {
    fake = await startFake();
    const isHostName = (name: string) => name === '127.0.0.1';
    ({ server, url } = await serveFake(fake, { keys: openVerifier, isHostName }));
  });

  test('the quickstart’s requests work', async () => {
    expect((await ask('GET', '/health')).body).toMatchObject({
      status: 'healthy',
      version: expect.any(String),
      uptime_seconds: expect.any(Number),
      uptime: expect.any(Number),
    });
    const created = await ask('POST', '/api/v1/vms', {
      ...{ name: 'my-first-vm', cpus: 2, memory_mb: 2048, disk_gb: 20, image: 'debian-12' },
    });
    expect(created).toMatchObject({
      status: 201,
      body: { id: expect.stringMatching(/^vm-[a-z0-9]{12}$/), name: 'my-first-vm', state: 'creating' },
    });
    const { id } = created.body;
    expect(await ask('POST', `/api/v1/vms/${id}/start`)).toEqual({
      status: 200,
      body: { id, operation: 'start', success: true, new_state: 'running', state: 'running' },
    });
    expect((await ask('GET', `/api/v1/vms/${id}`)).body).toMatchObject({ id, state: 'running', cpus: 2 });
    expect((await ask('GET', `/api/v1/vms/${id}/metrics`)).body).toMatchObject({ id, cpu_time_ms: 1500 });
  });

  test('a lifetime that does not delete the machine is none', async () => {
    await fake.machines.create('default', { name: 'web', lifetimeSeconds: 60, onExpire: 'stop' });
    const shown = async () => (await ask('GET', '/api/v1/vms')).body.vms;
    expect(await shown()).toMatchObject([{ expires_at: null }]);
    await fake.machines.update('default', 'web', { onExpire: 'delete' });
    expect(await shown()).toMatchObject([{ expires_at: expect.any(String) }]);
  });
});
