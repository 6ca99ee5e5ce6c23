/** `/api/v1/environments` over the fake engine: the life of a group of machines. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';
import { AppError } from '../../../core/errors.ts';

let fake: FakeFlotilla;
let served: Awaited<ReturnType<typeof serveFake>>;
beforeEach(async () => {
  fake = await startFake();
  fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
  served = await serveFake(fake);
});
afterEach(async () => {
  await served.server.close(0);
  await fake.close();
});

async function ask(method: string, path: string, body?: object) {
  const answer = await fetch(`${served.url}/api/v1/environments${path}`, {
    method,
    headers: { Authorization: `Bearer ${testKey}`, ...(body ? { 'Content-Type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? null : JSON.parse(text) };
}

const machine = (name: string) => ({ name, vcpu_count: 1, mem_size_mib: 128, image: 'busybox' });
const request = {
  id: 'ci.42',
  owner: 'alice',
  lifetime_seconds: 3600,
  machines: [machine('web'), machine('db')],
};
const statuses = ({ body }: Awaited<ReturnType<typeof ask>>) =>
  body.machines.map((each: { name: string; status: string }) => [each.name, each.status]).sort();

test('it is created with running machines, stopped, started, extended and deleted', async () => {
  const created = await ask('POST', '', request);
  expect(created).toMatchObject({
    status: 201,
    body: { id: 'ci.42', owner: 'alice', state: 'active', warnings: [] },
  });
  expect(statuses(created)).toEqual([
    ['db', 'running'],
    ['web', 'running'],
  ]);
  const stopped = await ask('POST', '/ci.42/stop');
  expect(stopped).toMatchObject({ status: 200, body: { state: 'stopped', expires_at: null } });
  expect(statuses(stopped)).toEqual([
    ['db', 'paused'],
    ['web', 'paused'],
  ]);
  const started = await ask('POST', '/ci.42/start');
  expect(statuses(started)).toEqual([
    ['db', 'running'],
    ['web', 'running'],
  ]);
  const extended = await ask('POST', '/ci.42/extend', { lifetime_seconds: 1_000_000 });
  expect(extended.body.warnings).toEqual([expect.stringMatching(/shortened from 1000000 s to 21600 s/)]);
  expect((await ask('GET', '?owner=alice')).body).toMatchObject({
    environments: [{ id: 'ci.42' }],
    total: 1,
  });
  expect((await ask('GET', '?owner=bob')).body.total).toBe(0);
  expect((await ask('DELETE', '/ci.42')).status).toBe(204);
  expect((await ask('GET', '/ci.42')).status).toBe(404);
  expect((await fake.machines.list({ tenant: 'default', limit: 9, offset: 0 })).total).toBe(0);
});

test('a machine that fails is a warning; when all fail, nothing is left', async () => {
  let starts = 0;
  fake.guest.onReady = () =>
    ++starts === 1 ? Promise.resolve() : Promise.reject(new AppError('guest', 'it never came up'));
  const partly = await ask('POST', '', request);
  expect(partly.status).toBe(201);
  expect(partly.body.warnings).toEqual([expect.stringContaining('it never came up')]);
  await ask('DELETE', '/ci.42');
  fake.guest.onReady = () => Promise.reject(new AppError('guest', 'it never came up'));
  expect((await ask('POST', '', request)).status).toBeGreaterThanOrEqual(500);
  expect((await ask('GET', '')).body.total).toBe(0);
  expect((await fake.machines.list({ tenant: 'default', limit: 9, offset: 0 })).total).toBe(0);
});

test.each([
  [{ ...request, machines: [] }, /machines must/],
  [{ ...request, id: '../up' }, /id must be letters/],
  [
    { ...request, machines: [{ ...machine('web'), lifetime_seconds: 5 }] },
    /machines\.0: unknown field 'lifetime_seconds'/,
  ],
  [{ ...request, machines: [machine('web'), { name: 'db' }] }, /vcpu_count/],
])('a request that is wrong makes nothing: %#', async (body, message) => {
  expect(await ask('POST', '', body)).toMatchObject({
    status: 400,
    body: { error: { message: expect.stringMatching(message) } },
  });
  expect((await fake.machines.list({ tenant: 'default', limit: 9, offset: 0 })).total).toBe(0);
});
