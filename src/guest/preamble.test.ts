import { randomBytes } from 'node:crypto';
import { type Duplex, duplexPair } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { exchangePreamble, incarnationToken, preambleAck } from './preamble.ts';
import { choppedPair } from './testing/chopped.ts';

const token = incarnationToken(Buffer.alloc(32, 1), 'abc123');
const signal = new AbortController().signal;
const discardBytesMax = 100_000;

async function nonceFrom(guestEnd: Duplex): Promise<Buffer> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of guestEnd.iterator({ destroyOnReturn: false })) {
    bytes = Buffer.concat([bytes, chunk]);
    if (bytes.length >= 48) break;
  }
  expect(bytes.subarray(0, 32).equals(token)).toBe(true);
  return bytes.subarray(32, 48);
}

test('tokens differ by incarnation and by secret', () => {
  const other = incarnationToken(Buffer.alloc(32, 2), 'abc123');
  expect(token).toHaveLength(32);
  expect(token.equals(other)).toBe(false);
  expect(token.equals(incarnationToken(Buffer.alloc(32, 1), 'abc124'))).toBe(false);
});

test('skips stale bytes, including an answer to an older nonce, wherever they are split', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 500 }),
      fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 6 }),
      fc.uint8Array({ maxLength: 50 }),
      async (stale, cuts, rest) => {
        const [hostEnd, guestEnd] = choppedPair(cuts);
        const opened = exchangePreamble(hostEnd, { token, discardBytesMax, signal });
        const nonce = await nonceFrom(guestEnd);
        const ack = preambleAck(token);
        guestEnd.end(Buffer.concat([stale, ack, randomBytes(16), ack.subarray(0, 20), ack, nonce, rest]));
        const chunks = [await opened];
        for await (const chunk of hostEnd) chunks.push(chunk);
        expect(Buffer.concat(chunks).equals(rest)).toBe(true);
      },
    ),
    { numRuns: 100 },
  );
});

test('gives up on endless noise', async () => {
  const [hostEnd, guestEnd] = duplexPair();
  const opened = exchangePreamble(hostEnd, { token, discardBytesMax, signal });
  guestEnd.resume();
  guestEnd.write(Buffer.alloc(discardBytesMax));
  await expect(opened).rejects.toMatchObject({ code: 'guest', message: expect.stringContaining('noise') });
});

test('rejects when the carrier ends, and when aborted', async () => {
  const [hostEnd, guestEnd] = duplexPair();
  const lost = exchangePreamble(hostEnd, { token, discardBytesMax, signal });
  guestEnd.end();
  await expect(lost).rejects.toMatchObject({ code: 'guest' });

  const stop = new AbortController();
  const [other] = duplexPair();
  const stopped = exchangePreamble(other, { token, discardBytesMax, signal: stop.signal });
  stop.abort(new Error('stop'));
  await expect(stopped).rejects.toThrow('stop');
});
