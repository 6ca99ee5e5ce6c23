/** Image references over HTTP: at creation, in lists, and for images that are called as in a registry. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';
import { parseAliases } from '../../../core/images/aliases.ts';
import type { HttpServer } from '../../server.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let made = 0;
beforeEach(async () => {
  fake = await startFake({ imageAliases: parseAliases('corp/*=busybox,lost=gone') });
  ({ server, url } = await serveFake(fake));
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

async function call(method: string, path: string, body?: unknown): Promise<{ status: number; body: Body }> {
  const response = await fetch(url + path, {
    method,
    headers: {
      Authorization: `Bearer ${testKey}`,
      ...(typeof body === 'object' ? { 'Content-Type': 'application/json' } : {}),
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Body) };
}
interface Body {
  readonly [field: string]: unknown;
}

const create = (image?: string | null) => {
  made += 1;
  const spec = { name: `m-${made}`, vcpu_count: 1, mem_size_mib: 512 };
  return call('POST', '/machines', image === undefined ? spec : { ...spec, image });
};
const upload = (name: string) => call('PUT', `/api/v1/images/${encodeURIComponent(name)}`, 'archive');
const note = (reference: string, image: string) =>
  `\`${reference}\` is not an image of this host; an alias maps it to ${image}`;

describe('a machine', () => {
  test.each([
    ['busybox', 'busybox', null],
    ['debian:12', 'debian-12', '`debian:12` names the image debian-12 of this host'],
    ['alpine:latest', 'debian-12', note('alpine:latest', 'debian-12')],
    ['ubuntu-22.04', 'debian-12', note('ubuntu-22.04', 'debian-12')],
    ['alpine-cloud', 'debian-12', note('alpine-cloud', 'debian-12')],
    ['img_default', 'debian-12', note('img_default', 'debian-12')],
    ['docker.io/library/alpine:3.20', 'debian-12', note('docker.io/library/alpine:3.20', 'debian-12')],
    ['corp/tool:7', 'busybox', note('corp/tool:7', 'busybox')],
  ])('of %s: the answers say what was requested and what it is', async (reference, image, image_note) => {
    const created = await create(reference);
    const shown = { image, image_ref: reference, image_note: image_note ?? undefined };
    const answers = [created.body, (await call('GET', `/machines/${created.body.id}`)).body];
    for (const body of answers) {
      const { image, image_ref, image_note } = body;
      expect({ image, image_ref, image_note }).toEqual(shown);
    }
    const { body } = await call('GET', `/api/v1/vms/vm-${created.body.id}`);
    expect(body.image).toBe(image);
    expect(body.image_note).toBe(shown.image_note);
  });

  test.each([[undefined], [null]])('of %s: the default image, without a note', async (image) => {
    const { status, body } = await create(image);
    expect(status).toBe(201);
    expect(body).toMatchObject({ image: 'debian-12', image_ref: 'debian-12' });
    expect(body).not.toHaveProperty('image_note');
  });

  test.each([
    ['nginx:latest', /There is: busybox, debian-12\. .*import nginx:latest PATH.*FLOTILLA_IMAGE_ALIASES/],
    ['lost', /An alias maps it to gone, which is not there/],
    ['../../etc/passwd', /import NAME PATH/],
    [':', /There is/],
  ])('of %s: 404 with what there is and how to get it', async (reference, hint) => {
    expect(await create(reference)).toMatchObject({
      status: 404,
      body: {
        error: {
          code: 'NOT_FOUND',
          message: `No image ${JSON.stringify(reference)}`,
          hint: expect.stringMatching(hint),
        },
      },
    });
  });

  test.each([
    ['alpine:latest', ['alpine:latest']],
    ['alpine', ['alpine:latest']],
    ['docker.io/library/alpine:latest', ['alpine:latest']],
    ['debian-12', ['alpine:latest', 'debian-12', 'debian:12']],
    ['debian:12', ['alpine:latest', 'debian-12', 'debian:12']],
    ['busybox', ['busybox', 'corp/tool:7']],
    ['corp/tool:7', ['corp/tool:7']],
    ['nginx', []],
  ])('is found by the image %s', async (image, references) => {
    const names = new Map<unknown, string>();
    for (const each of ['alpine:latest', 'debian-12', 'debian:12', 'busybox', 'corp/tool:7']) {
      names.set((await create(each)).body.name, each);
    }
    const { body } = await call('GET', `/machines?image=${encodeURIComponent(image)}`);
    const machines = body.machines as readonly Body[];
    expect(machines.map(({ name }) => names.get(name)).sort()).toEqual(references);
  });
});

describe('an image called as in a registry', () => {
  test.each(['alpine:3.20', 'ghcr.io/org/app:1', 'localhost:5000/a/b', 'app:1-RC2'])(
    '%s: imported, shown, used and deleted',
    async (name) => {
      expect(await upload(name)).toMatchObject({ status: 201, body: { name } });
      const path = `/api/v1/images/${encodeURIComponent(name)}`;
      expect(await call('GET', path)).toMatchObject({ status: 200, body: { name } });
      const { body } = await create(name);
      expect(body).toMatchObject({ image: name, image_ref: name });
      expect(body).not.toHaveProperty('image_note');
      expect((await call('DELETE', path)).status).toBe(409);
      await call('DELETE', `/machines/${body.id}`);
      expect((await call('DELETE', path)).status).toBe(204);
      expect((await call('GET', path)).status).toBe(404);
    },
  );

  test('wins over the aliases, in each of its spellings', async () => {
    await upload('alpine:3.20');
    for (const reference of ['alpine:3.20', 'docker.io/library/alpine:3.20']) {
      expect((await create(reference)).body).toMatchObject({ image: 'alpine:3.20', image_ref: reference });
    }
  });

  test.each(['../a', 'a/../b', '/a', 'a//b', 'a:', 'A/b', 'a:b:c', 'a@b', `${'a/'.repeat(120)}b`])(
    'not %s: 400',
    async (name) => {
      expect((await upload(name)).status).toBe(400);
      const json = { name, directory: '/srv/a' };
      expect((await call('POST', '/api/v1/images', json)).status).toBe(400);
    },
  );

  test('is deleted by its own name only', async () => {
    await upload('alpine:3.20');
    for (const other of ['docker.io/library/alpine:3.20', 'alpine:latest', 'corp/x']) {
      expect((await call('DELETE', `/api/v1/images/${encodeURIComponent(other)}`)).status).toBe(404);
    }
    expect((await call('GET', '/api/v1/images/alpine%3A3.20')).status).toBe(200);
  });
});
