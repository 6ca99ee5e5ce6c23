/** Both ends' implementations must produce and accept the same frames: `test/fixtures/frames`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { adoptArguments, adoptWarnings, parseAnswer } from './calls.ts';
import { CommandFrameReader, encodeNumberFrame } from './exec-frames.ts';
import { encodeFrame } from './frames.ts';
import { encodeLine } from './lines.ts';
import { preambleAck } from './preamble.ts';
import { decodeHeader, encodeHeader, FrameParser, headerBytes } from './yamux/frames.ts';

function fixtures<Schema extends z.ZodType>(name: string, schema: Schema): z.infer<Schema>[] {
  const path = join(import.meta.dirname, '../../test/fixtures/frames', `${name}.json`);
  return z
    .array(schema)
    .min(1)
    .parse(JSON.parse(readFileSync(path, 'utf8')));
}

const bytes = z.string().transform((hex) => Buffer.from(hex, 'hex'));

const yamuxFrame = z.object({
  name: z.string(),
  hex: bytes,
  type: z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3)]),
  flags: z.int(),
  stream_id: z.int(),
  length: z.int(),
  payload_hex: bytes.optional(),
});

describe('yamux', () => {
  test.each(fixtures('yamux', yamuxFrame))(
    '$name',
    ({ hex, type, flags, stream_id, length, payload_hex }) => {
      const header = { type, flags, streamId: stream_id, length };
      expect(decodeHeader(hex, 0)).toEqual(header);
      expect(encodeHeader(type, flags, stream_id, length).equals(hex.subarray(0, headerBytes))).toBe(true);
      const body: Buffer[] = [];
      const parser = new FrameParser({
        onHeader: (found) => expect(found).toEqual(header),
        onBody: (piece) => body.push(piece),
        onBodyEnd: () => undefined,
      });
      parser.push(hex);
      expect(Buffer.concat(body).equals(payload_hex ?? Buffer.alloc(0))).toBe(true);
    },
  );
});

const execFrame = z.object({
  name: z.string(),
  from: z.enum(['guest', 'host']),
  hex: bytes,
  type: z.int(),
  payload_hex: bytes,
  outcome: z
    .object({ outcome: z.string(), exit_code: z.int().optional(), signal: z.string().optional() })
    .optional(),
});
const execFrames = fixtures('exec', execFrame);
const nothing = { read: () => Promise.resolve(null) };

describe('exec', () => {
  test.each(execFrames)('encodes $name', ({ hex, type, payload_hex }) => {
    expect(encodeFrame(type, payload_hex).equals(hex)).toBe(true);
  });

  test.each(execFrames.filter(({ from }) => from === 'guest'))('decodes $name', async (frame) => {
    const event = await new CommandFrameReader(nothing, frame.hex).next();
    if (event.type === 'outcome') {
      const { outcome, exit_code, signal } = frame.outcome ?? {};
      expect(event.outcome).toEqual({
        outcome,
        ...(exit_code === undefined ? {} : { exitCode: exit_code }),
        ...(signal === undefined ? {} : { signal }),
      });
    } else if (event.type === 'lost') {
      expect([frame.type, BigInt(event.bytes)]).toEqual([4, frame.payload_hex.readBigUInt64BE()]);
    } else {
      expect(event.type).toBe(frame.type === 1 ? 'stdout' : 'stderr');
      expect(frame.payload_hex.equals(event.data)).toBe(true);
    }
  });
});

test('encodes numbers', () => {
  const numbers = execFrames.filter(({ type }) => type === 4 || type === 18);
  expect(numbers).toHaveLength(2);
  for (const { type, payload_hex, hex } of numbers)
    expect(encodeNumberFrame(type, Number(payload_hex.readBigUInt64BE())).equals(hex)).toBe(true);
});

const adoptCall = z.object({
  name: z.string(),
  request: z.string(),
  answer: z.string(),
  warnings: z.array(z.string()),
});

test.each(fixtures('adopt', adoptCall))('adopt $name', ({ request, answer, warnings }) => {
  const args = adoptArguments(
    { incarnation: 'fork00000001', machineId: 'm2' },
    {
      hostname: 'web-2',
      machineId: '0f'.repeat(16),
      mac: request.includes('"mac":null') ? null : '02:66:0a:4d:00:09',
    },
    1_700_000_000_123.457,
    Buffer.from(Array.from({ length: 64 }, (_, index) => index)),
  );
  expect(encodeLine({ call: 'adopt', ...args }).toString()).toBe(`${request}\n`);
  expect(adoptWarnings(parseAnswer('adopt', Buffer.from(answer)))).toEqual(warnings);
});

test.each(fixtures('preamble', z.object({ name: z.string(), token: bytes, ack: bytes })))(
  'preamble $name',
  ({ token, ack }) => {
    expect(preambleAck(token).equals(ack)).toBe(true);
  },
);
