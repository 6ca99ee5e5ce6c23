/** Files through the real guest agent, run outside a VM, and through guests that are older or lie. */
import { appendFile, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { AppError } from '../core/errors.ts';
import type { GuestTarget } from '../core/ports/guest.ts';
import type { FileReading } from '../core/ports/guest-files.ts';
import { GuestClient } from './client.ts';
import { encodeFrame } from './frames.ts';
import { encodeLine, parseLine, readLine } from './lines.ts';
import { frameTypes } from './protocol.ts';
import { FakeGuest, fakeHello } from './testing/fake-guest.ts';
import { GoPrograms, type RunningProgram } from './testing/go-programs.ts';
import type { GuestTimings } from './timings.ts';
import { MemoryTransport } from './transports/memory.ts';
import { dialVirtioSerial } from './transports/virtio-serial.ts';

const never = new AbortController().signal;
const secret = Buffer.alloc(32, 3);

describe('the real agent', () => {
  let programs: GoPrograms;
  let agent: RunningProgram;
  let client: GuestClient;
  let target: GuestTarget;
  let directory: string;

  beforeAll(async () => {
    programs = await GoPrograms.build('guest-agent');
  });
  afterAll(() => programs?.close());
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'files-'));
    agent = await programs.start('guest-agent', (path) => ['serve', '--socket', path]);
    const address = { transport: 'virtio-serial' as const, path: agent.path };
    target = { machineId: 'm1', incarnation: 'i1', address };
    client = new GuestClient({ secret, transports: { 'virtio-serial': dialVirtioSerial } });
  });
  afterEach(async () => {
    await client.close();
    await agent.stop();
    await rm(directory, { recursive: true });
  });

  const write = (path: string, content: AsyncIterable<Uint8Array>, signal = never) =>
    client.files.write(target, { path, parents: true }, content, signal);

  async function gathered({ content }: FileReading): Promise<Buffer> {
    return Buffer.concat(await Array.fromAsync(content));
  }

  test('a file of many windows goes in and out, and a part of it', async () => {
    const path = join(directory, 'a/b/file');
    const content = Buffer.alloc(5_000_000, 'flotilla\0\xff');
    const request = { path, parents: true, mode: '0750' };
    const entry = await client.files.write(target, request, pieces(content, 300_000), never);
    expect(entry).toMatchObject({ name: 'file', type: 'file', bytes: 5_000_000, mode: '0750', target: null });
    expect((await readFile(path)).equals(content)).toBe(true);
    const whole = await client.files.read(target, { path }, never);
    expect(whole).toMatchObject({ length: 5_000_000, entry: { version: entry.version } });
    expect((await gathered(whole)).equals(content)).toBe(true);
    const part = await client.files.read(target, { path, offset: 1_000, length: 7 }, never);
    expect((await gathered(part)).equals(content.subarray(1_000, 1_007))).toBe(true);
  });

  test('an upload whose source fails, or that is cancelled, changes nothing', async () => {
    const path = join(directory, 'file');
    await write(path, pieces(Buffer.from('old'), 1));
    const failing = async function* () {
      yield Buffer.alloc(100_000);
      throw new Error('the client has left');
    };
    await expect(write(path, failing())).rejects.toThrow('the client has left');
    const cancel = new AbortController();
    const cancelled = async function* () {
      yield Buffer.alloc(100_000);
      cancel.abort(new AppError('timeout', 'cancelled'));
      yield Buffer.alloc(100_000);
    };
    await expect(write(path, cancelled(), cancel.signal)).rejects.toThrow('cancelled');
    expect(await readFile(path, 'utf8')).toBe('old');
    await vi.waitFor(async () => expect(await readdir(directory)).toEqual(['file']));
  });

  test('a download that is left early ends its call; the next one works', async () => {
    const path = join(directory, 'file');
    await write(path, pieces(Buffer.alloc(3_000_000), 300_000));
    for (let left = 0; left < 20; left++) {
      for await (const _ of (await client.files.read(target, { path }, never)).content) break;
      await (await client.files.read(target, { path }, never)).content[Symbol.asyncIterator]().return?.();
    }
    expect(await gathered(await client.files.read(target, { path }, never))).toHaveLength(3_000_000);
  });

  test('a file that grows while it is read ends in a conflict', async () => {
    const path = join(directory, 'file');
    await write(path, pieces(Buffer.alloc(3_000_000), 300_000));
    const { content } = await client.files.read(target, { path }, never);
    const iterator = content[Symbol.asyncIterator]();
    await iterator.next();
    await appendFile(path, 'more');
    const rest = Array.fromAsync({ [Symbol.asyncIterator]: () => iterator });
    await expect(rest).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringContaining('changed'),
    });
  });

  test('a directory is made, listed in pages, moved and removed', async () => {
    const from = join(directory, 'from');
    await client.files.makeDirectory(target, { path: from, mode: '1777' }, never);
    for (const name of ['b', 'a', 'c']) await write(join(from, name), pieces(Buffer.from(name), 1));
    await symlink('b', join(from, 'd'));
    const first = await client.files.list(target, { path: from, limit: 2 }, never);
    expect(first).toMatchObject({ hasMore: true, entries: [{ name: 'a' }, { name: 'b' }] });
    const rest = await client.files.list(target, { path: from, after: 'b', limit: 9 }, never);
    expect(rest).toMatchObject({
      hasMore: false,
      entries: [{ name: 'c' }, { type: 'symlink', target: 'b' }],
    });
    const to = join(directory, 'to');
    await client.files.move(target, from, to, false, never);
    await expect(client.files.move(target, join(to, 'a'), join(to, 'b'), false, never)).rejects.toMatchObject(
      {
        code: 'conflict',
      },
    );
    await client.files.remove(target, to, true, never);
    await expect(client.files.stat(target, to, false, never)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a tree goes out as an archive and in again', async () => {
    for (let at = 0; at < 30; at++)
      await write(join(directory, `tree/${at % 3}/${at}`), pieces(Buffer.alloc(at * 2_000, at), 9_000));
    const packed = await client.files.pack(target, { path: join(directory, 'tree') }, never);
    expect(packed).toMatchObject({ length: null, entry: { type: 'directory' } });
    const archive = await gathered(packed);
    const there = { path: join(directory, 'there'), parents: true };
    expect(await client.files.unpack(target, there, pieces(archive, 10_000), never)).toBe(34);
    expect(await readFile(join(directory, 'there/tree/2/29'))).toEqual(Buffer.alloc(58_000, 29));
    const renamed = await client.files.pack(target, { path: join(directory, 'tree/2'), name: '.' }, never);
    const content = { path: join(directory, 'content'), parents: true };
    await client.files.unpack(target, content, pieces(await gathered(renamed), 10_000), never);
    expect(await readFile(join(directory, 'content/29'))).toEqual(Buffer.alloc(58_000, 29));
    const noName = client.files.pack(target, { path: directory, name: 'a/b' }, never);
    await expect(noName.then(gathered)).rejects.toMatchObject({ code: 'invalid' });
    const noArchive = client.files.unpack(target, there, pieces(Buffer.alloc(2_000_000, 'x'), 9_000), never);
    await expect(noArchive).rejects.toMatchObject({ code: 'invalid' });
  });

  test('changes are reported until the directory is gone', async () => {
    const watched = join(directory, 'watched');
    await client.files.makeDirectory(target, { path: watched }, never);
    const changes = await client.files.watch(target, watched, false, never);
    await write(join(watched, 'file'), pieces(Buffer.from('x'), 1));
    await client.files.remove(target, watched, true, never);
    const all = await Array.fromAsync(changes);
    expect(all.at(-1)).toMatchObject({ type: 'deleted', path: watched });
    expect(all).toContainEqual({
      type: 'moved_to',
      path: join(watched, 'file'),
      isDirectory: false,
      cookie: expect.any(Number),
    });
  });

  test('what cannot be read or written is refused with its reason', async () => {
    const read = (path: string) => client.files.read(target, { path }, never);
    const message = expect.stringContaining('/none: no such file or directory');
    await expect(read(join(directory, 'none'))).rejects.toMatchObject({ code: 'not_found', message });
    await expect(read(directory)).rejects.toMatchObject({ code: 'invalid' });
    const refused = write(directory, pieces(Buffer.alloc(5_000_000), 100_000));
    await expect(refused).rejects.toMatchObject({ code: 'invalid' });
    expect((await gathered(await read('/proc/self/comm'))).toString()).toBe('guest-agent\n');
  });
});

async function* pieces(content: Buffer, bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += bytes) yield content.subarray(at, at + bytes);
}

describe('another guest', () => {
  const address = { transport: 'memory' as const, key: 'm1' };
  const target: GuestTarget = { machineId: 'm1', incarnation: 'i1', address };
  const entry = {
    ...{ name: 'x', type: 'file', size: 5, mode: 0o644, uid: 0, gid: 0 },
    ...{ modified_ns: '1000000', version: '1-2' },
  };
  let client: GuestClient;
  afterEach(() => client.close());

  function connect(guest: FakeGuest, timings: Partial<GuestTimings> = {}) {
    const memory = new MemoryTransport();
    memory.listen('m1', (end) => void guest.accept(end));
    client = new GuestClient({ secret, transports: { memory: memory.dial }, timings });
  }

  /** A guest that answers calls about files with this line and these bytes, and then ends the call. */
  function serve(answer: object, ...frames: readonly Uint8Array[]) {
    const guest = new FakeGuest({
      async serve(stream) {
        const { call } = parseLine((await readLine(stream)).line);
        const hello = { ...fakeHello(null), features: ['files'] };
        await stream.write(encodeLine(call === 'hello' ? hello : answer));
        if (call !== 'hello') for (const frame of frames) await stream.write(frame);
        stream.close(performance.now());
      },
    });
    connect(guest);
  }

  const data = (text: string) => encodeFrame(frameTypes.data, Buffer.from(text));
  const end = (words: object = { ok: true }) =>
    encodeFrame(frameTypes.end, Buffer.from(JSON.stringify(words)));
  const read = async () => Array.fromAsync((await client.files.read(target, { path: '/x' }, never)).content);
  const list = () => client.files.list(target, { path: '/', limit: 1 }, never);
  const line = (words: object) => data(`${JSON.stringify(words)}\n`);

  test('an older agent: unsupported', async () => {
    connect(new FakeGuest());
    await expect(read()).rejects.toMatchObject({ code: 'unsupported' });
  });

  test('an agent that would ignore the name of an archive: unsupported', async () => {
    serve({ ok: true });
    const packed = client.files.pack(target, { path: '/x', name: 'y' }, never);
    await expect(packed).rejects.toMatchObject({ code: 'unsupported' });
  });

  test.each([
    ['without the fields', { ok: true }, []],
    ['with a mode that is none', { ok: true, length: 5, entry: { ...entry, mode: 0o10000 } }, []],
    ['with more than announced', { ok: true, length: 5, entry }, [data('hello world')]],
    ['with less than announced', { ok: true, length: 5, entry }, [data('hell'), end()]],
    ['without an end', { ok: true, length: 5, entry }, [data('hello')]],
    ['with an empty frame', { ok: true, length: 5, entry }, [data('')]],
    [
      'with a frame of a command',
      { ok: true, length: 5, entry },
      [encodeFrame(frameTypes.stdout, data('x'))],
    ],
    ['with an end that says nothing', { ok: true, length: 5, entry }, [data('hello'), end({})]],
  ])('an answer %s: guest', async (_, answer, frames) => {
    serve(answer, ...frames);
    await expect(read()).rejects.toMatchObject({ code: 'guest' });
  });

  test.each([
    ['with more entries than asked for', [line(entry), line(entry), end({ ok: true, has_more: false })]],
    ['with an endless line', [data('x'.repeat(60_000))]],
    ['with half a line', [data('{'), end({ ok: true, has_more: false })]],
    ['that is not JSON', [data('[{\n'), end({ ok: true, has_more: false })]],
    ['of something else', [data('["a"]\n'), end({ ok: true, has_more: false })]],
    ['that does not say whether there is more', [line(entry), end()]],
  ])('a list %s: guest', async (_, frames) => {
    serve({ ok: true }, ...frames);
    await expect(list()).rejects.toMatchObject({ code: 'guest' });
  });

  test('a time of the far future is shown', async () => {
    const late = { ...entry, modified_ns: '9'.repeat(20) };
    serve({ ok: true }, line(late), end({ ok: true, has_more: false }));
    expect((await list()).entries).toMatchObject([{ modifiedAtMs: 99_999_999_999_999 }]);
  });

  test('a guest that takes nothing more, or sends nothing more, is given up after a while', async () => {
    const guest = new FakeGuest({
      async serve(stream) {
        const { call } = parseLine((await readLine(stream)).line);
        const hello = { ...fakeHello(null), features: ['files'] };
        await stream.write(encodeLine(call === 'hello' ? hello : { ok: true, length: 5, entry }));
      },
    });
    connect(guest, { fileIdleMs: 50 });
    await expect(read()).rejects.toMatchObject({ code: 'timeout' });
    const endless = async function* () {
      for (;;) yield Buffer.alloc(60_000);
    };
    const write = client.files.write(target, { path: '/x' }, endless(), never);
    await expect(write).rejects.toMatchObject({ code: 'timeout' });
  });
});
