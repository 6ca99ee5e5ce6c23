/** Files of machines through the SDK, on the real server with fake guests. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HttpServer } from '../../src/http/server.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../test/support/fake.ts';
import { FlotillaClient } from './client.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let client: FlotillaClient;

beforeEach(async () => {
  fake = await startFake();
  const served = await serveFake(fake);
  server = served.server;
  client = new FlotillaClient({ url: served.url, key: testKey });
  await client.machines.create({ name: 'web', vcpu_count: 1, mem_size_mib: 128 });
  await client.machines.start('web');
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

const contents = () => fake.guest.files.contents;

test('text, bytes, blobs and streams are written, and read back', async () => {
  const { files } = client;
  async function* pieces() {
    for (let at = 0; at < 50; at++) yield new Uint8Array(50_000).fill(at);
  }
  await files.write('web', '/a', 'žluť', { mode: '0600', owner: 'root', parents: true });
  expect(await files.readText('web', '/a')).toBe('žluť');
  await files.write('web', '/b', new Uint8Array([1, 2, 3]));
  expect([...(await files.read('web', '/b'))]).toEqual([1, 2, 3]);
  expect([...(await files.read('web', '/b', { offset: 1, length: 1 }))]).toEqual([2]);
  expect(await files.write('web', '/c', pieces())).toMatchObject({ name: 'c', size: 2_500_000 });
  let bytes = 0;
  for await (const piece of files.stream('web', '/c', { offset: 100_000 })) bytes += piece.length;
  expect(bytes).toBe(2_400_000);
  await files.write('web', '/d', new Blob(['blob']));
  expect(contents().get('/d')?.toString()).toBe('blob');
});

test('an upload whose source fails changes nothing, and throws its error', async () => {
  async function* failing() {
    yield new Uint8Array(10);
    throw new Error('the disk here is broken');
  }
  await client.files.write('web', '/a', 'old');
  await expect(client.files.write('web', '/a', failing())).rejects.toThrow('the disk here is broken');
  expect(contents().get('/a')?.toString()).toBe('old');
});

test('directories are made, listed, moved and deleted', async () => {
  const { files } = client;
  await files.mkdir('web', '/srv/data', { parents: true });
  for (const name of ['b', 'a']) await files.write('web', `/srv/data/${name}`, name);
  const { entries, next } = await files.list('web', '/srv/data', { after: '.keep', limit: 1 });
  expect([entries.map(({ name }) => name), next]).toEqual([['a'], 'a']);
  await expect(files.move('web', '/srv/data/a', '/srv/data/b')).rejects.toMatchObject({ code: 'CONFLICT' });
  await files.move('web', '/srv/data/a', '/srv/data/b', { overwrite: true });
  expect(await files.stat('web', '/srv/data/b')).toMatchObject({
    path: '/srv/data/b',
    is_dir: false,
    size: 1,
  });
  await files.delete('web', '/srv', { recursive: true });
  expect(contents().size).toBe(0);
});

test('trees go out and in, and changes are told', async () => {
  const { files } = client;
  await files.write('web', '/srv/a', 'content');
  expect(await files.unpack('web', '/there', files.pack('web', '/srv'), { parents: true })).toBe(1);
  expect(contents().get('/there/archive')?.toString()).toBe('content');
  fake.guest.files.changes = [{ type: 'created', path: '/srv/ž', isDirectory: false, cookie: 0 }];
  const changes = [];
  for await (const change of files.watch('web', '/srv', { recursive: true })) changes.push(change);
  expect(changes).toEqual([{ type: 'created', path: '/srv/ž', is_directory: false, cookie: 0 }]);
});

test('a reader that leaves early ends the transfer', async () => {
  await client.files.write('web', '/large', new Uint8Array(5_000_000));
  for (let times = 0; times < 40; times++) for await (const _ of client.files.stream('web', '/large')) break;
  expect(await client.files.read('web', '/large')).toHaveLength(5_000_000);
});

test('a launched machine has them, too', async () => {
  await using machine = await client.machines.launch({ image: 'busybox' });
  await machine.files.write('/note', 'hello');
  expect(await machine.files.readText('/note')).toBe('hello');
});
