/** Files of machines: who may reach them, when, and how many at a time; on the fake guest, with the real store. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import { transfersPerMachineMax } from './service.ts';

const tenant = 'default';
const never = new AbortController().signal;
let fake: FakeFlotilla;

beforeEach(async () => {
  fake = await startFake();
  await fake.machines.create(tenant, { name: 'web', vcpuCount: 1, memoryMib: 128 });
  await fake.machines.start(tenant, 'web');
});
afterEach(() => fake.close());

const read = (path = '/a', of = tenant) =>
  fake.files.readPart({ tenant: of, machine: 'web' }, path, 0, 10, never);

test('another tenant’s machine does not exist', async () => {
  await expect(read('/a', 'other')).rejects.toMatchObject({ code: 'not_found' });
});

test('a machine that does not run is a conflict, and says if it soon will', async () => {
  await fake.machines.pause(tenant, 'web');
  await expect(read()).rejects.toMatchObject({ code: 'conflict', isPassing: false });
});

test.each([
  ['relative', 'a/b'],
  ['with NUL', '/a\0'],
  ['too long', `/${'ž'.repeat(2048)}`],
])('a path that is %s is refused', async (_, path) => {
  await expect(read(path)).rejects.toMatchObject({ code: 'invalid' });
});

test('a machine has a limited number of transfers, and one that has ended, failed or was left makes room', async () => {
  fake.guest.files.contents.set('/a', Buffer.from('content'));
  const of = { tenant, machine: 'web' };
  const open = async () => (await fake.files.read(of, { path: '/a' }, never)).content;
  const readings = await Promise.all(Array.from({ length: transfersPerMachineMax }, open));
  await expect(open()).rejects.toMatchObject({ code: 'exhausted' });
  // Nothing was read of the first one.
  await readings[0]?.[Symbol.asyncIterator]().return?.();
  await expect(read('/none')).rejects.toMatchObject({ code: 'not_found' });
  expect((await read()).content.toString()).toBe('content');
  const changes = await fake.files.watch(of, '/a', false, never);
  await expect(open()).rejects.toMatchObject({ code: 'exhausted' });
  expect(await Array.fromAsync(changes)).toEqual([]);
  expect(await Array.fromAsync(await open())).toHaveLength(1);
});

test('a part tells whether there is more', async () => {
  fake.guest.files.contents.set('/a', Buffer.from('0123456789'));
  const part = (offset: number, bytesMax: number) =>
    fake.files.readPart({ tenant, machine: 'web' }, '/a', offset, bytesMax, never);
  expect(await part(2, 3)).toMatchObject({ content: Buffer.from('234'), isEnd: false, entry: { bytes: 10 } });
  expect(await part(2, 8)).toMatchObject({ content: Buffer.from('23456789'), isEnd: true });
});
