/** A host's own listener: what TTstack's controller `tt-ctl` sends to it, on a fake host. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';
import { AppError } from '../../../core/errors.ts';
import type { HttpServer } from '../../server.ts';
import { ttstackHostDialect } from './dialect.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
beforeEach(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake, { dialects: [ttstackHostDialect] }));
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

async function send(method: string, path: string, body?: unknown, key: string | null = testKey) {
  const response = await fetch(`${url}/api${path}`, {
    method,
    headers: {
      ...(key === null ? {} : { Authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as { ok: boolean; error?: string } };
}

const vm = (changes: object = {}) => ({
  ...{
    vm_id: '0a1b2c3d-4e5',
    env_id: 'ci-42',
    image: 'busybox',
    engine: 'qemu',
    cpu: 1,
    mem: 128,
    disk: 256,
  },
  ...{ ports: [22], deny_outgoing: true },
  ...changes,
});
const shown = (state: string) => ({
  ...{
    id: '0a1b2c3d-4e5',
    env_id: 'ci-42',
    host_id: 'host',
    image: 'busybox',
    engine: 'qemu',
    cpu: 1,
    mem: 128,
  },
  ...{ disk: 256, state, created_at: expect.any(Number) },
  ip: expect.stringMatching(/^10\.77\.0\.\d+$/),
  port_map: { 22: expect.any(Number) },
});
const ok = { status: 200, body: { ok: true } };

test('registers: what the host has', async () => {
  const { status, body } = await send('GET', '/info');
  expect(status).toBe(200);
  expect(body).toEqual({
    ok: true,
    data: {
      ...{ host_id: 'host', engines: ['qemu'], storage: 'file', images: ['busybox', 'debian-12'] },
      resource: expect.objectContaining({ mem_total: 1_000_000, vm_count: 0 }),
    },
  });
  expect((await send('GET', '/images')).body).toEqual({ ok: true, data: ['busybox', 'debian-12'] });
});

test('a VM’s life under the controller’s id', async () => {
  const path = '/vms/0a1b2c3d-4e5';
  expect(await send('POST', '/vms', vm())).toEqual({
    status: 201,
    body: { ok: true, data: { vm: shown('running') } },
  });
  expect((await send('GET', '/vms')).body).toEqual({ ok: true, data: [shown('running')] });
  for (const [action, state] of [
    ['stop', 'paused'],
    ['stop', 'paused'],
    ['start', 'running'],
    ['start', 'running'],
  ]) {
    expect(await send('POST', `${path}/${action}`)).toEqual(ok);
    expect((await send('GET', path)).body).toEqual({ ok: true, data: shown(state ?? '') });
  }
  expect(await send('DELETE', path)).toEqual(ok);
  expect(await send('DELETE', path)).toEqual(ok);
  expect(await send('GET', path)).toEqual({
    status: 404,
    body: { ok: false, error: 'VM not found: 0a1b2c3d-4e5' },
  });
});

test('a VM that does not start leaves nothing', async () => {
  fake.guest.onReady = () => Promise.reject(new AppError('guest', 'no answer'));
  const { status, body } = await send('POST', '/vms', vm());
  expect([status, body.ok]).toEqual([502, false]);
  expect(await fake.store.machines.all('host')).toEqual([]);
});

test.each([
  [{ engine: 'jail' }, 422],
  [{ image: 'nosuch' }, 422],
  [{ vm_id: 'a/b' }, 400],
  [{ cpu: 0 }, 400],
  [{ cpu: null }, 400],
])('refuses %j before anything is made', async (changes, wanted) => {
  const { status, body } = await send('POST', '/vms', vm(changes));
  expect([status, body.ok, typeof body.error]).toEqual([wanted, false, 'string']);
  expect(await fake.store.machines.all('host')).toEqual([]);
});

test.each([
  ['GET', '/envs', 404],
  ['PUT', '/info', 405],
  ['GET', '/../machines', 404],
])('%s %s is answered in the envelope', async (method, path, wanted) => {
  const { status, body } = await send(method, path);
  expect([status, body.ok, typeof body.error]).toEqual([wanted, false, 'string']);
  expect((await send(method, path, undefined, null)).body).toEqual({
    ...{ ok: false, error: 'invalid or missing API key' },
  });
});
