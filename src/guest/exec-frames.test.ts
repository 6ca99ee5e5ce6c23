/** Invalid frames on a stream that stays open: they fail at once and use no memory. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CommandFrameReader, ExecFrameReader, encodeNumberFrame } from './exec-frames.ts';
import { framePayloadBytesMax, frameTypes } from './protocol.ts';

/** A guest that sends nothing more and does not end the stream. */
const silent = { read: () => Promise.withResolvers<Buffer | null>().promise };

function header(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

/** The result of the next event within a few turns of the event loop; null when it is still pending. */
async function soon(next: Promise<unknown>): Promise<unknown> {
  let settled: unknown = null;
  next.then(
    (event) => {
      settled = event;
    },
    (error: unknown) => {
      settled = error;
    },
  );
  for (let count = 0; count < 10; count += 1) await turn();
  return settled;
}

const { stdout, stderr, outcome, lost } = frameTypes;

test.each(
  [stdout, stderr, outcome, lost].flatMap((type) =>
    [0xffff_ffff, framePayloadBytesMax + 1].map((length) => [type, length]),
  ),
)('a frame of type %i and %i bytes', async (type = 0, length = 0) => {
  const before = process.memoryUsage().arrayBuffers;
  const ended = await soon(new CommandFrameReader(silent, header(type, length)).next());
  expect(ended).toMatchObject({ code: 'guest', message: `the guest sent an exec frame of ${length} bytes` });
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
});

test('the largest frame is waited for', async () => {
  expect(await soon(new CommandFrameReader(silent, header(outcome, framePayloadBytesMax)).next())).toBeNull();
});

test.each([
  ['too short', Buffer.concat([header(lost, 4), Buffer.alloc(4)])],
  ['too large', Buffer.concat([header(lost, 8), Buffer.alloc(8, 0xff)])],
])('a number that is %s', async (_what, bytes) => {
  expect(await soon(new CommandFrameReader(silent, bytes).next())).toMatchObject({ code: 'guest' });
});

test('a loss where nothing may be lost', async () => {
  const ended = await soon(new ExecFrameReader(silent, encodeNumberFrame(lost, 5)).next());
  expect(ended).toMatchObject({ code: 'guest', message: 'the guest lost output of a command' });
});
