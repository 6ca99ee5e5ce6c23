/**
 * The parts of an import, each called twice, and continued by another daemon after a crash between any two.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Image, ImageImport } from '../../core/ports/images.ts';
import { CacheLayout, StateLayout } from '../layout.ts';
import { offerImageBuilder } from '../testing/image-builder.ts';
import { ImageStore } from './store.ts';

const never = new AbortController().signal;
const id = 'operation001';
const request: ImageImport = {
  ...{ tenant: 'one', name: 'tiny', kernel: 'host', memoryMibMin: 96 },
  source: { kind: 'upload' },
};

let dir: string;
let state: StateLayout;
let archive: Buffer;
const open = () => new ImageStore({ state, cache: new CacheLayout(join(dir, 'cache')) });
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'flotilla-parts-'));
  state = new StateLayout(join(dir, 'state'));
  await offerImageBuilder(new CacheLayout(join(dir, 'cache')));
  await mkdir(join(dir, 'root/bin'), { recursive: true });
  await writeFile(join(dir, 'root/bin/sh'), '#!/nothing\n', { mode: 0o755 });
  archive = execFileSync('tar', ['-c', '-C', join(dir, 'root'), '.']);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const sent = async function* () {
  yield archive;
};
const unread = async function* (): AsyncIterable<Uint8Array> {
  yield await Promise.reject(new Error('the sender is asked again'));
};

async function expectOnly(image: Image): Promise<void> {
  expect(await open().list('one')).toEqual([image]);
  expect(await readdir(state.blobs)).toEqual([image.digest.slice('sha256:'.length)]);
  expect((await readdir(state.images)).filter((name) => name.startsWith('.'))).toEqual([]);
}

it('each part is done once even if called twice, also by another daemon', async () => {
  await open().receive(id, sent(), never);
  await open().receive(id, unread(), never);
  expect(await open().hasReceived(id)).toBe(true);
  await open().build(id, request, never);
  await open().build(id, request, never);
  const image = await open().publish(id, request);
  expect(await open().publish(id, request)).toEqual(image);
  await open().discard(id);
  await open().discard(id);
  await expectOnly(image);
});

it('an interrupted part is repeated', async () => {
  const broken = async function* () {
    yield archive.subarray(0, 700);
    throw new Error('the line went dead');
  };
  await expect(open().receive(id, broken(), never)).rejects.toThrow('the line went dead');
  expect(await open().hasReceived(id)).toBe(false);
  await open().receive(id, sent(), never);
  await expect(open().build(id, request, AbortSignal.abort(new Error('killed')))).rejects.toThrow('killed');
  await open().build(id, request, never);
  const image = await open().publish(id, request);
  await open().discard(id);
  await expectOnly(image);
});

it('an import discarded before publishing leaves no image', async () => {
  await open().receive(id, sent(), never);
  await open().build(id, request, never);
  await open().discard(id);
  await expect(open().publish(id, request)).rejects.toMatchObject({ code: 'internal' });
  expect(await open().list('one')).toEqual([]);
  expect(await readdir(state.blobs)).toEqual([]);
});

it('a published image is recognised by its import, and removed without affecting a later one', async () => {
  await open().receive(id, sent(), never);
  expect(await open().made(id, request)).toBeNull();
  await open().build(id, request, never);
  const image = await open().publish(id, request);
  expect(await open().made(id, request)).toEqual(image);
  await open().remove({ ...image, createdAt: '2020-01-01T00:00:00.000Z' });
  expect(await open().list('one')).toEqual([image]);
  await open().remove(image);
  await open().remove(image);
  expect(await open().list('one')).toEqual([]);
  await open().discard(id);
  expect(await open().made(id, request)).toBeNull();
});

it('a starting daemon keeps the files of open imports, and removes others', async () => {
  await open().receive(id, sent(), never);
  await open().receive('operation002', sent(), never);
  const next = open();
  await next.sync({ importsUnderWay: [id] });
  expect(await next.hasReceived(id)).toBe(true);
  expect(await next.hasReceived('operation002')).toBe(false);
});

it('an upload with a silent sender ends when it is cancelled', async () => {
  const asked = Promise.withResolvers<void>();
  const silent = async function* () {
    yield archive.subarray(0, 512);
    asked.resolve();
    await new Promise(() => undefined);
  };
  const cancelled = new AbortController();
  const receiving = open().receive(id, silent(), cancelled.signal);
  await asked.promise;
  cancelled.abort(new Error('cancelled'));
  await expect(receiving).rejects.toThrow('cancelled');
  expect(await open().hasReceived(id)).toBe(false);
});

it('of two imports with one name, the second is refused at publishing', async () => {
  for (const each of [id, 'operation002']) {
    await open().receive(each, sent(), never);
    await open().build(each, request, never);
  }
  const image = await open().publish(id, request);
  await expect(open().publish('operation002', request)).rejects.toMatchObject({ code: 'conflict' });
  for (const each of [id, 'operation002']) await open().discard(each);
  await expectOnly(image);
});
