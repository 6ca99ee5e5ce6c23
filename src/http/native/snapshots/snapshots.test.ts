/** Snapshots and forks over HTTP, on a real server with fakes of engine, guest and disks. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';
import { AppError } from '../../../core/errors.ts';
import type { HttpServer } from '../../server.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let machine: string;

beforeEach(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake));
  const made = await send('POST', '/machines', { name: 'web', vcpu_count: 1, mem_size_mib: 128 });
  machine = made.body.id;
  await send('POST', '/machines/web/start');
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

async function send(method: string, path: string, json?: unknown) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${testKey}`,
      ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? null : JSON.parse(text) };
}

test('create, get by id and name, list, delete', async () => {
  const labels = { why: 'upgrade' };
  const made = await send('POST', '/machines/web/snapshots', { name: 'before', labels });
  expect(made).toMatchObject({
    status: 201,
    body: {
      ...{ name: 'before', status: 'ready', machine_id: machine, machine_name: 'web', parent_id: null },
      ...{ has_memory: true, vcpu_count: 1, mem_size_mib: 128, image: 'debian-12', labels },
      size_bytes: expect.any(Number),
    },
  });
  const { id } = made.body;
  for (const name of [id, 'before'])
    expect(await send('GET', `/api/v1/snapshots/${name}`)).toEqual({ status: 200, body: made.body });
  const second = await send('POST', '/api/v1/machines/web/snapshots', { memory: false });
  expect(second).toMatchObject({ status: 201, body: { has_memory: false, labels: {} } });
  const all = { status: 200, body: { snapshots: [second.body, made.body], total: 2 } };
  for (const path of [
    ...['/api/v1/snapshots', '/api/v1/snapshots?machine=web', '/machines/web/snapshots'],
    `/machines/${machine}/snapshots`,
  ])
    expect(await send('GET', path)).toEqual(all);
  expect(await send('GET', '/api/v1/snapshots?limit=1&offset=1')).toMatchObject({
    body: { snapshots: [made.body], total: 2 },
  });
  expect(await send('DELETE', `/api/v1/snapshots/${second.body.id}`)).toEqual({ status: 204, body: null });
  expect(await send('GET', `/api/v1/snapshots/${second.body.id}`)).toMatchObject({
    status: 404,
    body: { error: { code: 'NOT_FOUND' } },
  });
});

test('snapshots stay when their machine is deleted, and are listed by its id', async () => {
  const { body } = await send('POST', '/machines/web/snapshots');
  await send('DELETE', '/machines/web?force=true');
  expect(await send('GET', `/machines/${machine}/snapshots`)).toMatchObject({
    body: { snapshots: [{ id: body.id }], total: 1 },
  });
  expect(await send('GET', '/machines/web/snapshots')).toMatchObject({ status: 404 });
  expect(await send('POST', `/api/v1/snapshots/${body.id}/restore`)).toMatchObject({ status: 404 });
});

test('keep leaves the newest', async () => {
  for (const name of ['one', 'two', 'three'])
    await send('POST', '/machines/web/snapshots', { name, keep: 2 });
  const { body } = await send('GET', '/machines/web/snapshots');
  expect(body.snapshots.map(({ name }: { name: string }) => name)).toEqual(['three', 'two']);
});

test('restore sets the machine back, and runs it unless it is not to', async () => {
  const { body: snapshot } = await send('POST', '/machines/web/snapshots', { name: 'before' });
  expect(await send('POST', '/api/v1/snapshots/before/restore', { start: false })).toMatchObject({
    status: 200,
    body: { id: machine, status: 'suspended', snapshot_id: snapshot.id },
  });
  expect(await send('POST', '/api/v1/snapshots/before/restore')).toMatchObject({
    status: 200,
    body: { id: machine, status: 'running', boot_kind: 'restored' },
  });
  expect((await send('POST', '/machines/web/snapshots')).body.parent_id).toBe(snapshot.id);
});

test('a machine is made from a snapshot with its sizes', async () => {
  const { body: snapshot } = await send('POST', '/machines/web/snapshots', { name: 'before' });
  const source = { kind: 'snapshot', snapshot: 'before' };
  expect(await send('POST', '/machines', { name: 'copy', source })).toMatchObject({
    status: 201,
    body: { name: 'copy', vcpu_count: 1, mem_size_mib: 128, snapshot_id: snapshot.id },
  });
  expect(await send('POST', '/machines', { name: 'larger', source, mem_size_mib: 256 })).toMatchObject({
    status: 400,
    body: { error: { code: 'VALIDATION_ERROR' } },
  });
});

test('fork makes machines that run', async () => {
  const made = await send('POST', '/machines/web/fork', { count: 2, name: 'worker', labels: { a: 'b' } });
  expect(made.status).toBe(201);
  expect(made.body.machines).toMatchObject(
    ['worker-1', 'worker-2'].map((name) => ({
      name,
      machine: { name, status: 'running', labels: { a: 'b' } },
      error: null,
    })),
  );
  expect(await send('POST', '/machines/web/fork')).toMatchObject({
    status: 201,
    body: { machines: [{ name: 'web-1' }] },
  });
  // What they were made from is nobody's.
  expect((await send('GET', '/api/v1/snapshots')).body).toEqual({ snapshots: [], total: 0 });
});

test('a fork of which one machine is missing says why, and of which all are missing has failed', async () => {
  const problem = new AppError('exhausted', "write '/var/lib/flotilla/disks/x': no space", {
    hint: 'Free some.',
  });
  const child = await fake.machines.get('default', 'web');
  const forked = vi.spyOn(fake.snapshots, 'fork');
  forked.mockResolvedValueOnce([
    { name: 'a-1', machine: child, problem: null },
    { name: 'a-2', machine: null, problem },
  ]);
  expect(await send('POST', '/machines/web/fork', { count: 2 })).toMatchObject({
    status: 201,
    body: {
      machines: [
        { name: 'a-1', machine: { id: machine }, error: null },
        {
          ...{ name: 'a-2', machine: null },
          error: { code: 'RESOURCE_EXHAUSTED', retryable: true, hint: 'Free some.' },
        },
      ],
    },
  });
  forked.mockResolvedValueOnce([{ name: 'a-1', machine: null, problem }]);
  expect(await send('POST', '/machines/web/fork')).toMatchObject({
    status: 503,
    body: { error: { code: 'RESOURCE_EXHAUSTED' } },
  });
});

test.each<[string, string, string, object, number, string]>([
  ['a name twice', 'POST', '/machines/web/snapshots', { name: 'taken' }, 409, 'CONFLICT'],
  ['a wrong name', 'POST', '/machines/web/snapshots', { name: '-' }, 400, 'VALIDATION_ERROR'],
  ['keeping none', 'POST', '/machines/web/snapshots', { keep: 0 }, 400, 'VALIDATION_ERROR'],
  ['no machine', 'POST', '/machines/none/snapshots', {}, 404, 'NOT_FOUND'],
  ['memory that is not there', 'POST', '/machines/idle/snapshots', { memory: true }, 409, 'CONFLICT'],
  ['a fork of no machine', 'POST', '/machines/none/fork', {}, 404, 'NOT_FOUND'],
  ['no fork', 'POST', '/machines/web/fork', { count: 0 }, 400, 'VALIDATION_ERROR'],
  ['too many forks', 'POST', '/machines/web/fork', { count: 101 }, 400, 'VALIDATION_ERROR'],
  ['a fork with a name that is taken', 'POST', '/machines/web/fork', { name: 'idle' }, 409, 'CONFLICT'],
  ['an unknown snapshot', 'POST', '/api/v1/snapshots/none/restore', {}, 404, 'NOT_FOUND'],
  ['an unknown field', 'POST', '/api/v1/snapshots/taken/restore', { force: true }, 400, 'VALIDATION_ERROR'],
  [
    'a machine from no snapshot',
    'POST',
    '/machines',
    { name: 'new', source: { kind: 'snapshot', snapshot: 'none' } },
    404,
    'NOT_FOUND',
  ],
  ['a machine from nothing', 'POST', '/machines', { name: 'new' }, 400, 'VALIDATION_ERROR'],
])('%s is refused', async (_, method, path, json, status, code) => {
  for (const name of ['idle', 'idle-1'])
    await send('POST', '/machines', { name, vcpu_count: 1, mem_size_mib: 128 });
  await send('POST', '/machines/web/snapshots', { name: 'taken' });
  expect(await send(method, path, json)).toMatchObject({ status, body: { error: { code } } });
});
