/** What one peer may cost: a budget per turn of the event loop, and the end of a session that only floods. */
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { AppError } from '../../core/errors.ts';
import { type RawPeer, rawPair } from '../testing/raw-peer.ts';
import { encodeHeader, type FrameType, frameFlag, frameType } from './frames.ts';
import { framesPerTurnMax } from './intake.ts';
import { emptyFramesMax, LinkFloodError, type SessionOptions, YamuxSession } from './session.ts';

const { data, windowUpdate, ping } = frameType;
const { syn, ack, fin, rst } = frameFlag;
const sessions: YamuxSession[] = [];
afterEach(() => {
  vi.useRealTimers();
  for (const session of sessions.splice(0)) session.close(new AppError('guest', 'the test is done'));
});

function setUp(options: Partial<SessionOptions> = {}): readonly [YamuxSession, RawPeer] {
  const [carrier, peer] = rawPair();
  const session = new YamuxSession(carrier, Buffer.alloc(0), {
    pingIntervalMs: 60_000,
    pingDeadlineMs: 60_000,
    closeLingerMs: 60_000,
    onStream: () => undefined,
    ...options,
  });
  sessions.push(session);
  return [session, peer];
}

type Header = readonly [FrameType, number, number, number];
const many = (count: number, ...header: Header) =>
  Buffer.concat(Array.from({ length: count }, () => encodeHeader(...header)));

/** Single bytes on stream 1: each is a valid frame that a reader wants. */
const bytesOn1 = (count: number) =>
  Buffer.concat(
    Array.from({ length: count }, () => Buffer.concat([encodeHeader(data, 0, 1, 1), Buffer.of(7)])),
  );

describe('a turn of the event loop', () => {
  test('handles no more than the budget of frames from one session, and serves the others in between', async () => {
    const [loud, loudPeer] = setUp();
    const stream = loud.open();
    const [, quietPeer] = setUp();
    const count = 20 * framesPerTurnMax;
    loudPeer.carrier.write(bytesOn1(count));
    let seen = 0;
    let answered = 0;
    let largestStep = 0;
    while (stream.queuedBytes < count) {
      quietPeer.send(ping, syn, 0, 1);
      await turn();
      largestStep = Math.max(largestStep, stream.queuedBytes - seen);
      // The quiet session's answers during the loud session's flood.
      if (stream.queuedBytes < count) answered = quietPeer.frames.length;
      seen = stream.queuedBytes;
    }
    expect(largestStep).toBeGreaterThan(0);
    expect(largestStep).toBeLessThanOrEqual(framesPerTurnMax);
    expect(answered).toBeGreaterThan(5);
  });

  test('loses no waiting byte', async () => {
    const [session, peer] = setUp();
    const stream = session.open();
    const sent = Buffer.from(Array.from({ length: 3000 }, (_, index) => index & 0xff));
    for (const byte of sent) peer.send(data, 0, 1, 1, Buffer.of(byte));
    peer.send(windowUpdate, fin, 1, 0);
    const read: Buffer[] = [];
    for (let chunk = await stream.read(); chunk !== null; chunk = await stream.read()) read.push(chunk);
    expect(Buffer.concat(read).equals(sent)).toBe(true);
  });
});

describe('a session whose peer floods is ended', () => {
  test.each<readonly [string, Header]>([
    ['windows that do not grow', [windowUpdate, 0, 1, 0]],
    ['windows that grow by crumbs', [windowUpdate, 0, 1, 1]],
    ['data without a byte', [data, 0, 1, 0]],
    ['pings', [ping, syn, 0, 1]],
    ['answers to pings that nobody sent', [ping, ack, 0, 1]],
    ['windows for a stream that is over', [windowUpdate, 0, 3, 100_000]],
    ['ends of a stream that is over', [windowUpdate, fin, 3, 0]],
    ['resets of a stream that is over', [windowUpdate, rst, 3, 0]],
  ])('%s', async (_what, header) => {
    const [session, peer] = setUp();
    session.open();
    session.open().reset(new AppError('guest', 'over'));
    peer.carrier.write(many(emptyFramesMax + 1, ...header));
    expect(await session.closed).toBeInstanceOf(LinkFloodError);
  });

  test('streams opened endlessly', async () => {
    const [session, peer] = setUp();
    const opens = Array.from({ length: emptyFramesMax + 100 }, (_, index) =>
      encodeHeader(windowUpdate, syn, 2 * index + 2, 0),
    );
    peer.carrier.write(Buffer.concat(opens));
    expect(await session.closed).toBeInstanceOf(LinkFloodError);
  });

  test('but not a session with a few such frames between pings, however long it lives', async () => {
    vi.useFakeTimers({ toFake: ['setInterval'] });
    const [session, peer] = setUp();
    for (let interval = 1; interval <= 3; interval += 1) {
      peer.carrier.write(many(emptyFramesMax - 1, windowUpdate, 0, 1, 0));
      session.open();
      peer.send(ping, syn, 0, interval);
      await peer.saw((frame) => frame.type === ping && frame.flags === ack && frame.length === interval);
      vi.advanceTimersByTime(60_000);
    }
    expect(session.isOpen).toBe(true);
  });

  test('and a session whose peer does not read its answers', async () => {
    vi.useFakeTimers({ toFake: ['setInterval'] });
    const [session, peer] = setUp();
    peer.carrier.removeAllListeners('data').pause();
    const flood = () => {
      if (!session.isOpen) return;
      vi.advanceTimersByTime(60_000);
      peer.carrier.write(many(4000, ping, syn, 0, 7), () => setImmediate(flood));
    };
    flood();
    expect((await session.closed).message).toBe('the guest does not read its link');
  });
});
