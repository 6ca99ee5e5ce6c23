/** Our session against HashiCorp's library over a unix socket. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { AppError } from '../../core/errors.ts';
import { GoPrograms, type RunningProgram } from '../testing/go-programs.ts';
import { frameFlag, frameType } from './frames.ts';
import { YamuxSession } from './session.ts';
import type { YamuxStream } from './stream.ts';

const done = new AppError('guest', 'the test is done');

let programs: GoPrograms;
let peer: RunningProgram;
let session: YamuxSession;
let opened: PromiseWithResolvers<YamuxStream>;

beforeAll(async () => {
  programs = await GoPrograms.build('yamux-peer');
  peer = await programs.start('yamux-peer', (path) => [path]);
});
afterAll(() => programs?.close());
beforeEach(async () => {
  const socket = connect({ path: peer.path });
  await once(socket, 'connect');
  opened = Promise.withResolvers<YamuxStream>();
  session = new YamuxSession(socket, Buffer.alloc(0), {
    pingIntervalMs: 20,
    pingDeadlineMs: 30_000,
    closeLingerMs: 30_000,
    onStream: opened.resolve,
  });
});
afterEach(() => session.close(done));

function command(line: string): YamuxStream {
  const stream = session.open();
  stream.write(Buffer.from(`${line}\n`)).catch(() => undefined);
  return stream;
}

async function readAll(stream: YamuxStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let chunk = await stream.read(); chunk !== null; chunk = await stream.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function pattern(length: number): Buffer {
  return Buffer.alloc(length, Buffer.from(Array.from({ length: 256 }, (_, index) => index)));
}

test('echoes far more than a window, in both directions at once', async () => {
  const bytes = pattern(5_000_000);
  const stream = command('echo');
  const written = stream.write(bytes).then(() => stream.end());
  const echo = await readAll(stream);
  await written;
  expect(echo.equals(bytes)).toBe(true);
});

test('receives everything sent', async () => {
  const stream = command('source 30000001');
  const bytes = await readAll(stream);
  expect(bytes.equals(pattern(30_000_001))).toBe(true);
  stream.end();
});

test('sends everything received', async () => {
  const stream = command('sink');
  const bytes = pattern(30_000_001);
  await stream.write(bytes);
  stream.end();
  const digest = createHash('sha256').update(bytes).digest('hex');
  expect((await readAll(stream)).toString()).toBe(`30000001 ${digest}\n`);
});

test('only writes to the unread stream wait', async () => {
  const stalled = command('stall');
  let isWritten = false;
  const written = stalled.write(Buffer.alloc(1_000_000)).then(() => {
    isWritten = true;
  });
  written.catch(() => undefined);
  const unread = command('source 10000000');
  const bytes = await readAll(command('source 5000000'));
  expect(bytes).toHaveLength(5_000_000);
  expect(isWritten).toBe(false);
  expect(unread.queuedBytes).toBeLessThanOrEqual(1024 * 1024);
  expect(await readAll(unread)).toHaveLength(10_000_000);
  stalled.reset(done);
  await expect(written).rejects.toBe(done);
});

test('accepts streams opened by the peer', async () => {
  const order = command('open');
  const stream = await opened.promise;
  expect(stream.id % 2).toBe(0);
  await stream.write(Buffer.from('to and fro'));
  stream.end();
  expect((await readAll(stream)).toString()).toBe('to and fro');
  order.end();
});

test('a thousand streams in sequence, two hundred at once', async () => {
  const echo = async (text: string) => {
    const stream = command('echo');
    await stream.write(Buffer.from(text));
    stream.end();
    expect((await readAll(stream)).toString()).toBe(text);
  };
  for (let index = 0; index < 1000; index += 1) await echo(`number ${index}`);
  await Promise.all(Array.from({ length: 200 }, (_, index) => echo(`at once ${index}`)));
});

test('resets during transfers do not affect the session', async () => {
  for (let round = 0; round < 50; round += 1) {
    const stream = command('source 100000000');
    await stream.read();
    stream.reset(done);
  }
  expect(await readAll(command('source 1000'))).toHaveLength(1000);
});

test('a protocol violation ends the session at the peer', async () => {
  session.send(frameType.windowUpdate, frameFlag.syn, 1, 0);
  session.send(frameType.windowUpdate, frameFlag.syn, 1, 0);
  const reason = await session.closed;
  expect(reason.code).toBe('guest');
});
