/** `/api/v1/images` on a real server with fakes: what each caller may do, and the messages of refusals. */
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';
import { AppError } from '../../../core/errors.ts';
import { importQueueMax, importsAtOnce } from '../../../core/images/turns.ts';
import type { Scope } from '../../../core/keys/caller.ts';
import type { Operation } from '../../../core/operations/operation.ts';
import type { Image } from '../../../core/ports/images.ts';
import type { HttpServer } from '../../server.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
beforeEach(async () => {
  fake = await startFake();
  // Small, to show that this limit does not apply to uploads.
  ({ server, url } = await serveFake(fake, { bodyBytesMax: 4096 }));
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

const operator = {
  ...{ tenant: 'default', keyName: 'admin', keyId: null, expiresAt: null, tier: null, isOperator: true },
  scopes: ['*'] as readonly Scope[],
};

async function keyOf(tenant: string, scopes: readonly Scope[] = ['*']): Promise<string> {
  return (await fake.apiKeys.create(operator, { name: tenant, tenant, scopes })).secret;
}

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function send(
  method: string,
  path: string,
  { key = testKey, json, bytes }: { key?: string; json?: unknown; bytes?: Uint8Array } = {},
): Promise<Answer> {
  const content = json === undefined ? bytes : JSON.stringify(json);
  const response = await fetch(`${url}/api/v1/images${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${key}`,
      ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(content === undefined ? {} : { body: content as never }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}
const refusal = (code: string, message: string | RegExp) => ({
  error: { code, message: expect.stringMatching(message) },
});
const bytes = new Uint8Array(100_000);
const memory = { name: 'web', vcpu_count: 1, mem_size_mib: 128 };

function createMachine(image: string, key = testKey): Promise<Response> {
  return fetch(`${url}/machines`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ ...memory, image }),
  });
}

describe('import and upload', () => {
  test('from a directory: 201 with the image', async () => {
    const { status, body } = await send('POST', '', {
      json: { name: 'tiny', directory: '/srv/tiny', kernel: 'image', min_memory_mib: 200, shared: true },
    });
    expect(status).toBe(201);
    expect(body).toEqual({
      ...{ name: 'tiny', digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/), size_mib: 64 },
      ...{ min_memory_mib: 200, kernel: 'image', kernel_release: '6.1.0', built_in: false, shared: true },
      created_at: expect.stringMatching(/Z$/),
    });
    expect(await send('GET', '/tiny')).toEqual({ status: 200, body });
  });

  test('an upload larger than other bodies may be: 201, the tenant’s own', async () => {
    const key = await keyOf('one');
    const { status, body } = await send('PUT', '/tiny?min_memory_mib=128', { key, bytes });
    expect(status).toBe(201);
    expect(body).toMatchObject({ name: 'tiny', shared: false, kernel: 'host', min_memory_mib: 128 });
    expect((await send('GET', '/tiny', { key: await keyOf('two') })).status).toBe(404);
    expect(await send('PUT', '/tiny', { key, bytes })).toMatchObject({
      status: 409,
      body: refusal('CONFLICT', "An image named 'tiny' exists already"),
    });
  });

  test.each([
    [{ name: 'tiny' }, 'directory must be given'],
    [{ name: 'tiny', directory: '/a', tarball: '/b' }, 'directory must be given'],
    [{ name: '../tiny', directory: '/a' }, 'name must have at most 240'],
    [{ name: 'a..b', directory: '/a' }, 'name must have at most 240'],
    [{ name: 'tiny', directory: '/a', kernel: 'mine' }, 'kernel must be one of: host, image'],
    [{ name: 'tiny', directory: '/a', min_memory_mib: 1 }, 'min_memory_mib must be at least 16'],
  ])('%j: 400', async (json, message) => {
    expect(await send('POST', '', { json })).toMatchObject({
      status: 400,
      body: refusal('VALIDATION_ERROR', message),
    });
  });

  test('files of the host and shared images are the operator’s: 403 with a hint', async () => {
    const key = await keyOf('one');
    for (const json of [
      { name: 'tiny', directory: '/srv/tiny' },
      { name: 'tiny', tarball: '/srv/tiny.tar' },
    ]) {
      expect(await send('POST', '', { key, json })).toMatchObject({
        status: 403,
        body: { error: { code: 'FORBIDDEN', hint: expect.stringContaining('PUT /api/v1/images/{name}') } },
      });
    }
    const reader = await keyOf('one', ['machines:read']);
    expect((await send('PUT', '/tiny', { key: reader, bytes })).status).toBe(403);
    expect((await send('GET', '', { key: reader })).status).toBe(200);
  });

  test('an upload that is refused halfway is answered', async () => {
    fake.images.receive = async (_id, chunks) => {
      for await (const _ of chunks) throw new AppError('invalid', 'not an archive');
      throw new Error('an empty upload');
    };
    const answer = await fetch(`${url}/api/v1/images/tiny`, {
      method: 'PUT',
      headers: { Authorization: `Bearer ${testKey}` },
      body: new Uint8Array(8 * 2 ** 20),
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject(refusal('VALIDATION_ERROR', 'Not an archive'));
  });

  test('a client that disconnects ends its import', async () => {
    const begun = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<unknown>();
    fake.images.onImport = (_, signal) => {
      begun.resolve();
      signal.addEventListener('abort', () => ended.resolve(signal.reason));
      return ended.promise.then(() => Promise.reject(signal.reason));
    };
    const request = httpRequest(`${url}/api/v1/images/tiny`, {
      method: 'PUT',
      headers: { Authorization: `Bearer ${testKey}` },
    });
    request.on('error', () => undefined);
    request.end('x');
    await begun.promise;
    request.destroy();
    expect(await ended.promise).toMatchObject({ message: 'image.import was cancelled' });
    await vi.waitUntil(async () => (await lastImport())?.state === 'cancelled');
    expect((await send('GET', '/tiny')).status).toBe(404);
  });

  test('a daemon that ends interrupts its imports and waits for them, and the next one continues them', async () => {
    const begun = Promise.withResolvers<void>();
    let hasEnded = false;
    fake.images.onImport = async (_, signal) => {
      begun.resolve();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      hasEnded = true;
      throw signal.reason;
    };
    const answer = send('PUT', '/tiny', { bytes });
    await begun.promise;
    await fake.interrupt();
    expect(hasEnded).toBe(true);
    expect(await answer).toMatchObject({ status: 503, body: refusal('UNAVAILABLE', 'shutting down') });
    expect((await send('PUT', '/tiny', { bytes })).status).toBe(503);
    fake.images.onImport = async () => undefined;
    const { imageService } = await fake.recovered();
    expect((await imageService.get(operator, 'tiny')).name).toBe('tiny');
    expect(await lastImport()).toMatchObject({ state: 'succeeded' });
  });

  test('an upload interrupted by a restart of the daemon fails, and leaves nothing', async () => {
    const begun = Promise.withResolvers<void>();
    fake.images.receive = async (_id, _chunks, signal) => {
      begun.resolve();
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      throw signal.reason;
    };
    const answer = send('PUT', '/tiny', { bytes });
    await begun.promise;
    await fake.interrupt();
    expect((await answer).status).toBe(503);
    await fake.recovered();
    expect(await lastImport()).toMatchObject({
      state: 'failed',
      failure: { step: 'receive', message: expect.stringContaining('the upload was interrupted') },
    });
    expect(fake.images.received.size).toBe(0);
  });

  test('an import that takes too long: timeout', async () => {
    await fake.close();
    fake = await startFake({ importTimeoutMs: 1 });
    fake.images.onImport = (_, signal) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const adding = fake.imageService.add(operator, importOf('tiny'), new AbortController().signal);
    await expect(adding).rejects.toMatchObject({ code: 'timeout' });
    expect(fake.images.built.size).toBe(0);
  });

  test('two are made at a time, some wait, the next is refused: 503', async () => {
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    let underway = 0;
    let underwayMax = 0;
    fake.images.onImport = async () => {
      underway += 1;
      underwayMax = Math.max(underwayMax, underway);
      begun.resolve();
      await gate.promise;
      underway -= 1;
    };
    const names = Array.from({ length: importQueueMax + importsAtOnce }, (_, index) => `t${index}`);
    const importing = names.map((name) => addAs(name, name));
    await begun.promise;
    await vi.waitUntil(async () => (await importsAt('build')) === names.length);
    expect(await send('PUT', '/f', { bytes })).toMatchObject({
      status: 503,
      body: refusal('RESOURCE_EXHAUSTED', `${importQueueMax} imports wait already`),
    });
    gate.resolve();
    await Promise.all(importing);
    expect(underwayMax).toBe(importsAtOnce);
    expect((await send('PUT', '/f', { bytes })).status).toBe(201);
  });
});

async function lastImport(): Promise<Operation | undefined> {
  const { operations } = await fake.store.operations.list({ tenant: 'default', limit: 1, offset: 0 });
  return operations[0];
}

/** Number of imports that have begun this step and not ended it. */
async function importsAt(step: string): Promise<number> {
  const open = await fake.store.operations.open('host');
  return open.filter(({ steps }) => steps.at(-1)?.name === step).length;
}

/** With the operator's key, on behalf of a tenant. */
function addAs(tenant: string, name: string, service = fake.imageService): Promise<Image> {
  return service.add({ ...operator, tenant }, importOf(name), new AbortController().signal);
}

describe('a tenant', () => {
  test('that sends slowly does not block another’s import', async () => {
    const { promise: dripping, resolve: lastDrop } = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const slow = fake.imageService.add(
      { ...operator, tenant: 'slow' },
      {
        ...importOf('slow'),
        source: {
          kind: 'stream',
          chunks: (async function* () {
            yield new Uint8Array(1);
            begun.resolve();
            await dripping;
          })(),
        },
      },
      new AbortController().signal,
    );
    await begun.promise;
    // Each of them is complete before half of the other has arrived.
    for (const name of ['a', 'b', 'c']) expect((await addAs('fast', name)).name).toBe(name);
    expect((await send('PUT', '/uploaded', { bytes })).status).toBe(201);
    lastDrop();
    expect((await slow).name).toBe('slow');
  });

  test('whose image takes long keeps no other from importing', async () => {
    const gate = Promise.withResolvers<void>();
    fake.images.onImport = ({ name }) => (name === 'heavy' ? gate.promise : Promise.resolve());
    const heavy = addAs('heavy', 'heavy');
    await vi.waitUntil(async () => (await importsAt('build')) === 1);
    for (const name of ['a', 'b', 'c']) expect((await addAs(name, name)).name).toBe(name);
    gate.resolve();
    expect((await heavy).name).toBe('heavy');
  });

  test('has one import under way and one that waits, and leaves the other places to others', async () => {
    const gate = Promise.withResolvers<void>();
    const order: string[] = [];
    fake.images.onImport = ({ name }) => {
      order.push(name);
      return gate.promise;
    };
    const importing = ['a', 'b'].map((name) => addAs('default', name));
    const refused = await send('PUT', '/c', { bytes });
    expect(refused).toMatchObject({
      status: 503,
      body: {
        error: {
          code: 'RESOURCE_EXHAUSTED',
          message: 'Your tenant has an import under way and one that waits already',
          hint: 'Try again when the imports before it are done.',
          retryable: true,
        },
      },
    });
    const other = addAs('one', 'd');
    gate.resolve();
    await Promise.all([...importing, other]);
    // The other tenant came later and did not wait for both.
    expect(order).toEqual(['a', 'd', 'b']);
    expect((await send('PUT', '/c', { bytes })).status).toBe(201);
  });

  test('whose turn does not come gets an error and leaves the queue', async () => {
    const gate = Promise.withResolvers<void>();
    await fake.close();
    fake = await startFake({ turnTimeouts: { tenantMs: 1, hostMs: 1 } });
    const service = fake.imageService;
    const begun = Promise.withResolvers<void>();
    let underway = 0;
    fake.images.onImport = () => {
      underway += 1;
      if (underway === importsAtOnce) begun.resolve();
      return gate.promise;
    };
    const first = ['one', 'other'].map((tenant) => addAs(tenant, 'a', service));
    await begun.promise;
    for (let round = 0; round < 6; round++) {
      await expect(addAs('two', 'b', service)).rejects.toMatchObject({
        code: 'exhausted',
        message: 'the import’s turn did not come within 0.001 s',
        hint: 'Try again when the imports before it are done.',
      });
    }
    gate.resolve();
    await Promise.all(first);
    expect((await addAs('two', 'b', service)).name).toBe('b');
  });

  test('has at most 200 images, even if its own hide shared ones', async () => {
    const add = (isShared: boolean, index: number) =>
      fake.imageService.add(operator, { ...importOf(`n${index}`), isShared }, new AbortController().signal);
    for (let index = 0; index < 200; index++) {
      await add(true, index);
      if (index % 2 === 0) {
        const shared = await fake.images.named('default', `n${index}`);
        if (shared) fake.images.put({ ...shared, tenant: 'default' });
      }
    }
    await expect(add(true, 200)).rejects.toMatchObject({
      code: 'exhausted',
      message: 'there are 200 imported images already',
    });
    expect((await add(false, 200)).tenant).toBe('default');
  });
});

describe('a client that left before its import began', () => {
  test('begins no import', async () => {
    const asked = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    const added = Promise.withResolvers<AbortSignal>();
    const imageService = {
      add: (_: unknown, __: unknown, signal: AbortSignal) => {
        added.resolve(signal);
        return Promise.reject(new AppError('unavailable', 'not now'));
      },
    } as unknown as FakeFlotilla['imageService'];
    const keys = {
      verify: async () => {
        asked.resolve();
        await left.promise;
        return operator;
      },
    };
    const other = await serveFake(fake, { imageService, keys });
    const socket = connect(other.server.port, '127.0.0.1');
    socket.write('PUT /api/v1/images/tiny HTTP/1.1\r\nHost: x\r\n\r\n');
    await asked.promise;
    const closed = other.server.close(60_000);
    socket.destroy();
    // The server's last connection has gone, which it reports to the answer in the next turn.
    await closed;
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    left.resolve();
    expect((await added.promise).aborted).toBe(true);
  });
});

const importOf = (name: string) => ({
  ...{ name, kernel: 'host' as const, memoryMibMin: 96, isShared: false },
  source: { kind: 'directory' as const, path: '/srv' },
});

describe('list', () => {
  test('a page by name, with the total', async () => {
    await send('PUT', '/tiny', { bytes });
    const { body } = await send('GET', '?limit=2&offset=1');
    expect(body).toMatchObject({
      images: [{ name: 'debian-12', built_in: true }, { name: 'tiny' }],
      total: 3,
    });
  });
});

describe('delete', () => {
  test('204, then 404', async () => {
    await send('PUT', '/tiny', { bytes });
    expect(await send('DELETE', '/tiny')).toEqual({ status: 204, body: {} });
    expect((await send('DELETE', '/tiny')).status).toBe(404);
  });

  test('a built-in image: 409', async () => {
    expect(await send('DELETE', '/busybox')).toMatchObject({
      status: 409,
      body: refusal('CONFLICT', "Image 'busybox' is built in"),
    });
  });

  test('a shared image, by a tenant: 403', async () => {
    await send('POST', '', { json: { name: 'tiny', directory: '/srv/tiny', shared: true } });
    expect(await send('DELETE', '/tiny', { key: await keyOf('one') })).toMatchObject({
      status: 403,
      body: refusal('FORBIDDEN', "Image 'tiny' is shared"),
    });
  });

  test('an image used by any machines: 409 with their number, but not their owners', async () => {
    await send('POST', '', { json: { name: 'tiny', directory: '/srv/tiny', shared: true } });
    expect((await createMachine('tiny', await keyOf('one'))).status).toBe(201);
    expect((await createMachine('tiny', await keyOf('two'))).status).toBe(201);
    const answer = await send('DELETE', '/tiny');
    expect(answer).toMatchObject({
      status: 409,
      body: refusal('CONFLICT', /^Image 'tiny' is used by 2 machines$/),
    });
    expect(JSON.stringify(answer)).not.toContain('web');
  });

  test('during a concurrent creation: either the machine has its image or there is no machine', async () => {
    for (let round = 0; round < 20; round++) {
      await send('PUT', '/tiny', { bytes });
      const [created, deleted] = await Promise.all([createMachine('tiny'), send('DELETE', '/tiny')]);
      const machines = await fake.store.machines.all('host');
      expect([
        [201, 409],
        [404, 204],
        [409, 204],
      ]).toContainEqual([created.status, deleted.status]);
      for (const { id, imageDigest } of machines) {
        expect(await fake.images.find(imageDigest)).not.toBeNull();
        await fake.machines.delete('default', id, { force: true });
      }
      if (deleted.status === 409) await send('DELETE', '/tiny');
    }
  });
});

test('the slashes of a name may stand in an address as they are', async () => {
  const name = 'ghcr.io/org/app:1';
  expect(await send('PUT', `/${name}`, { bytes })).toMatchObject({ status: 201, body: { name } });
  for (const path of [name, encodeURIComponent(name), 'ghcr.io%2Forg/app:1'])
    expect(await send('GET', `/${path}`)).toMatchObject({ status: 200, body: { name } });
  expect(await send('GET', '/ghcr.io/org/app:1/')).toMatchObject({ status: 404 });
  expect((await send('DELETE', `/${name}`)).status).toBe(204);
  expect((await send('GET', `/${name}`)).status).toBe(404);
});

test('the clean-up spares images of all machines, including those never started', async () => {
  const { digest } = await addAs('default', 'mine');
  expect((await createMachine('mine')).status).toBe(201);
  expect(await fake.imageService.collect()).toEqual([]);
  expect(fake.images.used).toEqual(new Set([digest]));
});
