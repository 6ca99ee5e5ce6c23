import type { Duplex } from 'node:stream';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { AppError } from '../../core/errors.ts';
import { choppedPair } from '../testing/chopped.ts';
import { type RawPeer, rawPair } from '../testing/raw-peer.ts';
import { frameFlag, frameType, initialWindowBytes } from './frames.ts';
import { receiveWindowBytes, type SessionOptions, YamuxSession } from './session.ts';
import type { YamuxStream } from './stream.ts';

const { data, windowUpdate, ping, goAway } = frameType;
const { syn, ack, fin, rst } = frameFlag;
const done = new AppError('guest', 'the test is done');

const sessions: YamuxSession[] = [];
afterEach(() => {
  for (const session of sessions.splice(0)) session.close(done);
});

function makeSession(carrier: Duplex, options: Partial<SessionOptions> = {}): YamuxSession {
  const session = new YamuxSession(carrier, Buffer.alloc(0), {
    pingIntervalMs: 60_000,
    pingDeadlineMs: 60_000,
    closeLingerMs: 60_000,
    onStream: () => undefined,
    ...options,
  });
  sessions.push(session);
  return session;
}

function setUp(options: Partial<SessionOptions> = {}): readonly [YamuxSession, RawPeer] {
  const [carrier, peer] = rawPair();
  return [makeSession(carrier, options), peer];
}

async function readAll(stream: YamuxStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let chunk = await stream.read(); chunk !== null; chunk = await stream.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('streams', () => {
  test('opens with SYN and the larger window, then data', async () => {
    const [session, peer] = setUp();
    await session.open().write(Buffer.from('hello'));
    const opened = await peer.saw((frame) => frame.type === windowUpdate);
    expect(opened).toMatchObject({
      flags: syn,
      streamId: 1,
      length: receiveWindowBytes - initialWindowBytes,
    });
    expect((await peer.saw((frame) => frame.type === data)).body.toString()).toBe('hello');
    expect(session.open().id).toBe(3);
  });

  test('ends each half separately', async () => {
    const [session, peer] = setUp();
    const stream = session.open();
    stream.end();
    await peer.saw((frame) => frame.flags === fin);
    peer.send(data, ack | fin, 1, 3, Buffer.from('abc'));
    expect((await readAll(stream)).toString()).toBe('abc');
    await expect(stream.write(Buffer.from('x'))).rejects.toThrow('after the end');
  });

  test('sends no more than the window and continues when it grows', async () => {
    const [session, peer] = setUp();
    const stream = session.open();
    const bytes = Buffer.alloc(initialWindowBytes + 10, 7);
    const written = stream.write(bytes);
    const sent = () => peer.frames.reduce((sum, frame) => sum + frame.body.length, 0);
    await peer.saw(() => sent() === initialWindowBytes);
    peer.send(ping, syn, 0, 1);
    await peer.saw((frame) => frame.type === ping && frame.flags === ack);
    expect(sent()).toBe(initialWindowBytes);
    peer.send(windowUpdate, ack, 1, 10);
    await written;
    await peer.saw(() => sent() === bytes.length);
  });

  test('grants window only for bytes that were read', async () => {
    const [session, peer] = setUp();
    const stream = session.open();
    const half = receiveWindowBytes / 2;
    peer.send(data, ack, 1, half, Buffer.alloc(half));
    peer.send(data, 0, 1, half, Buffer.alloc(half));
    peer.send(ping, syn, 0, 1);
    await peer.saw((frame) => frame.type === ping);
    expect(stream.queuedBytes).toBe(receiveWindowBytes);
    expect(peer.frames.filter((frame) => frame.type === windowUpdate && frame.flags === 0)).toEqual([]);
    let read = 0;
    while (read < half) read += (await stream.read())?.length ?? 0;
    const granted = await peer.saw((frame) => frame.type === windowUpdate && frame.flags === 0);
    expect(granted.length).toBe(read);
  });

  test('an unread stream does not stall others', async () => {
    const [session, peer] = setUp();
    const stalled = session.open();
    const other = session.open();
    peer.send(data, ack, stalled.id, receiveWindowBytes, Buffer.alloc(receiveWindowBytes));
    peer.send(data, ack | fin, other.id, 2, Buffer.from('ok'));
    expect((await readAll(other)).toString()).toBe('ok');
  });

  test('yields what had arrived before a reset, then the reset', async () => {
    const [session, peer] = setUp();
    const stream = session.open();
    peer.send(data, ack, 1, 2, Buffer.from('ab'));
    peer.send(windowUpdate, rst, 1, 0);
    peer.send(ping, syn, 0, 1);
    await peer.saw((frame) => frame.type === ping);
    expect((await stream.read())?.toString()).toBe('ab');
    await expect(stream.read()).rejects.toMatchObject({ code: 'guest', message: 'the guest reset the call' });
    expect(session.isOpen).toBe(true);
  });

  test('our reset ends the waiting read and write and is sent; late data is dropped', async () => {
    const [session, peer] = setUp();
    const stream = session.open();
    const read = stream.read();
    const write = stream.write(Buffer.alloc(initialWindowBytes + 1));
    stream.reset(done);
    await expect(read).rejects.toBe(done);
    await expect(write).rejects.toBe(done);
    await peer.saw((frame) => frame.flags === rst && frame.streamId === 1);
    peer.send(data, ack, 1, 3, Buffer.from('abc'));
    peer.send(ping, syn, 0, 9);
    await peer.saw((frame) => frame.type === ping && frame.length === 9);
  });

  test('resets a closed stream that the guest leaves open', async () => {
    const [session, peer] = setUp({ pingIntervalMs: 5, closeLingerMs: 10 });
    peer.carrier.on('data', () => peer.send(ping, ack, 0, 0));
    session.open().close(performance.now());
    await peer.saw((frame) => frame.flags === rst && frame.streamId === 1);
  });

  test('refuses more streams than it can hold', () => {
    const [session] = setUp();
    for (let count = 0; count < 256; count += 1) session.open();
    expect(() => session.open()).toThrow(expect.objectContaining({ code: 'exhausted' }));
  });
});

describe('a hostile guest', () => {
  const over = 'the guest broke';
  test.each<readonly [string, (peer: RawPeer) => void]>([
    ['a frame of another version', (peer) => peer.carrier.write(Buffer.alloc(12, 9))],
    ['data for a stream nobody opened', (peer) => peer.send(data, 0, 77, 1, Buffer.alloc(1))],
    ['a window for a stream nobody opened', (peer) => peer.send(windowUpdate, 0, 6, 1)],
    ['a stream of our numbers', (peer) => peer.send(windowUpdate, syn, 5, 0)],
    [
      'the same stream twice',
      (peer) => {
        peer.send(windowUpdate, syn, 2, 0);
        peer.send(windowUpdate, syn, 2, 0);
      },
    ],
    ['more than the window in one frame', (peer) => peer.send(data, 0, 1, receiveWindowBytes + 1)],
    [
      'more than the window in two frames',
      (peer) => {
        peer.send(data, 0, 1, receiveWindowBytes, Buffer.alloc(receiveWindowBytes));
        peer.send(data, 0, 1, 1, Buffer.alloc(1));
      },
    ],
    [
      'data after its end',
      (peer) => {
        peer.send(windowUpdate, fin, 1, 0);
        peer.send(data, 0, 1, 1, Buffer.alloc(1));
      },
    ],
    [
      'two ends',
      (peer) => {
        peer.send(windowUpdate, fin, 1, 0);
        peer.send(windowUpdate, fin, 1, 0);
      },
    ],
    ['a window without bounds', (peer) => peer.send(windowUpdate, 0, 1, 0xffff_ffff)],
    [
      'gigabytes for a stream that was reset',
      (peer) => {
        peer.send(windowUpdate, rst, 1, 0);
        peer.send(data, 0, 1, 0x7fff_ffff);
      },
    ],
  ])('that sends %s loses its session', async (_what, attack) => {
    const [session, peer] = setUp();
    const stream = session.open();
    const pending = stream.write(Buffer.alloc(initialWindowBytes + 1));
    pending.catch(() => undefined);
    attack(peer);
    const reason = await session.closed;
    expect(reason).toMatchObject({ code: 'guest', message: expect.stringContaining(over) });
    await expect(pending).rejects.toThrow();
    expect(session.isOpen).toBe(false);
    await peer.closed();
  });

  test('that opens endless streams gets 16, the others are reset', async () => {
    const opened: YamuxStream[] = [];
    const [, peer] = setUp({ onStream: (stream) => opened.push(stream) });
    for (let id = 2; id <= 2000; id += 2) peer.send(windowUpdate, syn, id, 0);
    await peer.saw((frame) => frame.streamId === 2000);
    expect(opened).toHaveLength(16);
    expect(peer.frames.filter((frame) => frame.flags === rst)).toHaveLength(1000 - 16);
  });

  test('that sends arbitrary bytes at worst loses its session', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 64 }), { maxLength: 8 }),
        async (chunks) => {
          const [session, peer] = setUp();
          const stream = session.open();
          const read = stream.read().then(
            () => undefined,
            () => undefined,
          );
          for (const chunk of chunks) peer.carrier.write(Buffer.from(chunk));
          peer.carrier.end();
          await session.closed;
          await read;
        },
      ),
      { numRuns: 200 },
    );
  });

  test('whose honest bytes are corrupted at worst loses its session', async () => {
    const honest = Buffer.from(
      '000000020000000100000003616263' +
        '000100000000000100000100' +
        '000200010000000000000001' +
        '000000040000000100000000',
      'hex',
    );
    for (let at = 0; at < honest.length; at += 1)
      for (const bit of [1, 2, 4, 8, 16, 32, 64, 128]) {
        const [session, peer] = setUp();
        const ended = readAll(session.open()).catch(() => undefined);
        const bytes = Buffer.from(honest);
        bytes[at] = (bytes[at] ?? 0) ^ bit;
        peer.carrier.end(bytes);
        await session.closed;
        await ended;
      }
  });
});

describe('the session', () => {
  test('answers pings', async () => {
    const [, peer] = setUp();
    peer.send(ping, syn, 0, 4711);
    expect(await peer.saw((frame) => frame.type === ping)).toMatchObject({ flags: ack, length: 4711 });
  });

  test('detects a dead guest, and only by its silence', async () => {
    const [session, peer] = setUp({ pingIntervalMs: 5, pingDeadlineMs: 20 });
    const read = session.open().read();
    read.catch(() => undefined);
    await peer.saw((frame) => frame.type === ping);
    const reason = await session.closed;
    expect(reason.code).toBe('timeout');
    await expect(read).rejects.toBe(reason);
  });

  test('any byte is a sign of life', async () => {
    const [session, peer] = setUp({ pingIntervalMs: 5, pingDeadlineMs: 10 });
    let pings = 0;
    peer.carrier.on('data', () => {
      pings += 1;
      peer.send(windowUpdate, rst, 2, 0);
    });
    peer.send(windowUpdate, syn, 2, 0);
    await peer.saw(() => pings >= 10);
    expect(session.isOpen).toBe(true);
  });

  test('fails open streams when the carrier is lost, after delivering what had arrived', async () => {
    const [session, peer] = setUp();
    const stream = session.open();
    peer.send(data, ack, 1, 2, Buffer.from('ab'));
    peer.carrier.end();
    expect((await session.closed).message).toBe('the guest link was lost');
    expect((await stream.read())?.toString()).toBe('ab');
    await expect(stream.read()).rejects.toMatchObject({ code: 'guest' });
    expect(() => session.open()).toThrow('the guest link was lost');
  });

  test('lets open calls finish when the guest goes away, then ends', async () => {
    const [session, peer] = setUp();
    const stream = session.open();
    peer.send(goAway, 0, 0, 0);
    peer.send(data, ack | fin, 1, 2, Buffer.from('ok'));
    expect((await readAll(stream)).toString()).toBe('ok');
    expect(session.isOpen).toBe(false);
    expect(() => session.open()).toThrow('no more calls');
    stream.end();
    expect((await session.closed).message).toContain('ended the link');
  });

  test('two sessions transfer everything over any carrier', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 });
    const bodies = fc.array(fc.integer({ min: 0, max: 400_000 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(sizes, bodies, async (cuts, lengths) => {
        const [hostEnd, guestEnd] = choppedPair(cuts);
        const host = makeSession(hostEnd);
        makeSession(guestEnd, {
          role: 'server',
          onStream: (stream) => {
            void readAll(stream).then(async (bytes) => {
              await stream.write(bytes);
              stream.end();
            });
          },
        });
        const echoes = lengths.map(async (length, index) => {
          const stream = host.open();
          const bytes = Buffer.alloc(length, index + 1);
          const written = stream.write(bytes);
          stream.end();
          const echo = await readAll(stream);
          await written;
          expect(echo.equals(bytes)).toBe(true);
        });
        await Promise.all(echoes);
        host.close(done);
        await host.closed;
      }),
      { numRuns: 15 },
    );
  });
});
