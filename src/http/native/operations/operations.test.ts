/** `/api/v1/operations` on a real server: running operations, how others ended, and who may see them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake } from '../../../../test/support/fake.ts';
import { AppError } from '../../../core/errors.ts';
import type { Scope } from '../../../core/keys/caller.ts';
import type { HttpServer } from '../../server.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;

/** Keys by tenant and scope: `tenant/scope`. */
const keys = {
  verify: async (key: string | null) => {
    const [tenant = '', scope = ''] = key?.split('/') ?? [];
    return {
      ...{ tenant, keyName: 'test', keyId: null, expiresAt: null },
      ...{ scopes: [scope as Scope], tier: null, isOperator: false },
    };
  },
};
const mine = 'mine/machines:read';
const others = 'others/*';

beforeEach(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake, { keys }));
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

/** The part of an answer that the tests read; the rest is compared as a whole. */
interface Body {
  readonly operation_id: string | null;
  readonly operations: readonly { readonly id: string; readonly kind: string; readonly created_at: string }[];
  readonly total: number;
}

async function get(path: string, key = mine): Promise<{ readonly status: number; readonly body: Body }> {
  const response = await fetch(`${url}/api/v1${path}`, { headers: { Authorization: `Bearer ${key}` } });
  return { status: response.status, body: (await response.json()) as Body };
}

const create = (name: string, tenant = 'mine') =>
  fake.machines.create(tenant, { name, vcpuCount: 1, memoryMib: 128 });
const kinds = ({ body }: { readonly body: Body }) => body.operations.map(({ kind }) => kind);
const moment = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

/** Starts a machine whose guest does not answer before `release`. */
async function holdStart(id: string) {
  const { promise: isReady, resolve: release } = Promise.withResolvers<void>();
  const { promise: isHeld, resolve: held } = Promise.withResolvers<void>();
  fake.guest.onReady = (signal) => {
    held();
    const { promise: aborted, reject } = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    return Promise.race([isReady, aborted]);
  };
  const ended = fake.machines.start('mine', id);
  const outcome = ended.then(
    () => 'started',
    () => 'undone',
  );
  await isHeld;
  return { release, outcome };
}

describe('one operation', () => {
  test('running: with its steps so far, and named by its machine until it ends', async () => {
    const { id } = await create('web');
    const { release, outcome } = await holdStart(id);
    const { operation_id } = (await get(`/machines/${id}`)).body;
    expect(await get(`/operations/${operation_id}`)).toEqual({
      status: 200,
      body: {
        id: operation_id,
        kind: 'machine.start',
        subjects: [{ kind: 'machine', id }],
        machine_id: id,
        state: 'running',
        cancel_requested: false,
        steps: [
          { name: 'clear', phase: 'succeeded', at: moment },
          { name: 'launch', phase: 'succeeded', at: moment },
          { name: 'ready', phase: 'started', at: moment },
        ],
        failure: null,
        created_at: moment,
        updated_at: moment,
      },
    });
    expect((await get('/operations?state=running')).body).toMatchObject({
      operations: [{ id: operation_id }],
      total: 1,
    });
    release();
    expect(await outcome).toBe('started');
    expect((await get(`/operations/${operation_id}`)).body).toMatchObject({
      state: 'succeeded',
      failure: null,
    });
    expect((await get('/operations?state=running')).body).toEqual({ operations: [], total: 0 });
    expect((await get(`/machines/${id}`)).body.operation_id).toBeNull();
  });

  test('failed: with the reason and the step', async () => {
    const { id } = await create('web');
    fake.guest.onReady = () => Promise.reject(new AppError('guest', 'the guest said no'));
    await expect(fake.machines.start('mine', id)).rejects.toMatchObject({ code: 'guest' });
    const { body } = await get(`/operations?machine=${id}&state=failed`);
    expect(body).toMatchObject({
      operations: [
        {
          kind: 'machine.start',
          failure: { code: 'guest', message: expect.stringContaining('The guest said no'), step: 'ready' },
          steps: expect.arrayContaining([{ name: 'launch', phase: 'undone', at: moment }]),
        },
      ],
      total: 1,
    });
  });

  test('cancelled: marked as requested to end', async () => {
    const { id } = await create('web');
    const { outcome } = await holdStart(id);
    await fake.machines.stop('mine', id);
    expect(await outcome).toBe('undone');
    expect((await get('/operations?state=cancelled')).body).toMatchObject({
      operations: [
        {
          kind: 'machine.start',
          machine_id: id,
          cancel_requested: true,
          failure: { code: 'conflict', message: 'machine.start was cancelled', step: 'ready' },
        },
      ],
      total: 1,
    });
  });

  test('unknown: 404', async () => {
    expect(await get('/operations/nosuchid')).toMatchObject({
      status: 404,
      body: { error: { code: 'NOT_FOUND', message: "Operation with id 'nosuchid' not found" } },
    });
  });
});

describe('the list', () => {
  test('newest first, page by page, with the total of all pages', async () => {
    for (const name of ['a', 'b', 'c']) await create(name);
    const whole = (await get('/operations')).body;
    expect(whole.total).toBe(3);
    const first = (await get('/operations?limit=2')).body;
    const second = (await get('/operations?limit=2&offset=2')).body;
    expect([first.total, second.total]).toEqual([3, 3]);
    expect([...first.operations, ...second.operations]).toEqual(whole.operations);
    const times = whole.operations.map(({ created_at }) => created_at);
    expect(times).toEqual(times.toSorted().toReversed());
    expect((await get('/operations?offset=3')).body).toEqual({ operations: [], total: 3 });
  });

  test('of one machine, by its id or name; only by its id when it is deleted', async () => {
    const { id } = await create('web');
    await create('other');
    expect(kinds(await get(`/operations?machine=${id}`))).toEqual(['machine.create']);
    expect(kinds(await get('/operations?machine=web'))).toEqual(['machine.create']);
    await fake.machines.delete('mine', id, { force: false });
    expect(kinds(await get(`/operations?machine=${id}`)).toSorted()).toEqual([
      'machine.create',
      'machine.delete',
    ]);
    expect((await get('/operations?machine=web')).body).toEqual({ operations: [], total: 0 });
  });

  test('a machine named like another’s id: the id wins', async () => {
    const { id } = await create('web');
    const namesake = await create('namesake');
    // Recorded before there was a rule for names.
    const recorded = await fake.store.machines.get(namesake.id);
    if (recorded === null) throw new Error('it is not recorded');
    const spec = { ...recorded.spec, name: id };
    await fake.store.machines.patch(namesake.id, null, { spec }, recorded.updatedAt);
    expect((await get(`/operations?machine=${id}`)).body).toMatchObject({
      operations: [{ machine_id: id }],
      total: 1,
    });
    expect((await get(`/operations?machine=${namesake.id}`)).body).toMatchObject({ total: 1 });
  });

  test.each([
    ['state=done', 'state must be one of: running, undoing, succeeded, failed, cancelled'],
    ['limit=0', 'limit must be at least 1'],
    ['limit=1001', 'limit must be at most 1000'],
    ['offset=-1', 'offset must be at least 0'],
    ['machine=', 'machine must not be empty'],
  ])('%s: 400', async (query, message) => {
    expect(await get(`/operations?${query}`)).toMatchObject({
      status: 400,
      body: { error: { code: 'VALIDATION_ERROR', message } },
    });
  });
});

describe('access', () => {
  test('another tenant sees nothing, even if it knows the ids', async () => {
    const { id } = await create('web');
    const [operation] = (await get('/operations')).body.operations;
    const none = { status: 200, body: { operations: [], total: 0 } };
    expect(await get('/operations', others)).toEqual(none);
    expect(await get(`/operations?machine=${id}`, others)).toEqual(none);
    expect(await get('/operations?machine=web', others)).toEqual(none);
    expect(await get(`/operations/${operation?.id}`, others)).toMatchObject({
      status: 404,
      body: { error: { code: 'NOT_FOUND', message: `Operation with id '${operation?.id}' not found` } },
    });
  });

  test('a name refers to the caller’s own machine', async () => {
    await create('web', 'others');
    const { id } = await create('web');
    expect((await get('/operations?machine=web')).body).toMatchObject({
      operations: [{ machine_id: id }],
      total: 1,
    });
  });

  test.each(['/operations', '/operations/nosuchid'])(
    '%s with a key without read access: 403',
    async (path) => {
      for (const scope of ['machines:write', 'machines:exec'])
        expect(await get(path, `mine/${scope}`)).toMatchObject({
          status: 403,
          body: { error: { code: 'FORBIDDEN' } },
        });
    },
  );
});
