import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeHeader,
  encodeHeader,
  type FrameHeader,
  FrameParser,
  frameType,
  ProtocolError,
} from './frames.ts';

interface Frame {
  readonly header: FrameHeader;
  readonly body: Buffer;
}

const dataFrame = fc
  .record({
    flags: fc.integer({ min: 0, max: 15 }),
    streamId: fc.integer({ min: 1, max: 0xffff_ffff }),
    body: fc.uint8Array({ maxLength: 300 }),
  })
  .map(
    ({ flags, streamId, body }): Frame => ({
      header: { type: frameType.data, flags, streamId, length: body.length },
      body: Buffer.from(body),
    }),
  );

const otherFrame = fc
  .record({
    type: fc.constantFrom(frameType.windowUpdate, frameType.ping, frameType.goAway),
    flags: fc.integer({ min: 0, max: 15 }),
    id: fc.integer({ min: 1, max: 0xffff_ffff }),
    length: fc.integer({ min: 0, max: 0xffff_ffff }),
  })
  .map(({ type, flags, id, length }): Frame => {
    const streamId = type === frameType.windowUpdate ? id : 0;
    return { header: { type, flags, streamId, length }, body: Buffer.alloc(0) };
  });

function encode({ header, body }: Frame): Buffer {
  return Buffer.concat([encodeHeader(header.type, header.flags, header.streamId, header.length), body]);
}

function parse(chunks: readonly Buffer[]): Frame[] {
  const frames: Frame[] = [];
  let header: FrameHeader | null = null;
  let pieces: Buffer[] = [];
  const parser = new FrameParser({
    onHeader: (found) => {
      header = found;
      pieces = [];
      if (found.type !== frameType.data) frames.push({ header: found, body: Buffer.alloc(0) });
    },
    onBody: (piece) => {
      expect(piece.length).toBeGreaterThan(0);
      pieces.push(piece);
    },
    onBodyEnd: () => {
      if (header !== null) frames.push({ header, body: Buffer.concat(pieces) });
    },
  });
  for (const chunk of chunks) parser.push(chunk);
  return frames;
}

function chop(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let offset = 0;
  for (let index = 0; offset < bytes.length; index += 1) {
    const size = sizes[index % sizes.length] ?? bytes.length;
    chunks.push(bytes.subarray(offset, offset + size));
    offset += size;
  }
  return chunks;
}

describe('FrameParser', () => {
  test('finds the same frames wherever the bytes are split', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(fc.array(fc.oneof(dataFrame, otherFrame), { maxLength: 20 }), sizes, (frames, cuts) => {
        const bytes = Buffer.concat(frames.map(encode));
        expect(parse(chop(bytes, cuts))).toEqual(frames);
      }),
    );
  });

  test('passes a body on before it is complete', () => {
    const frame = encode({
      header: { type: frameType.data, flags: 0, streamId: 1, length: 10 },
      body: Buffer.alloc(10),
    });
    const seen: number[] = [];
    const parser = new FrameParser({
      onHeader: () => undefined,
      onBody: (piece) => seen.push(piece.length),
      onBodyEnd: () => seen.push(-1),
    });
    parser.push(frame.subarray(0, 15));
    expect(seen).toEqual([3]);
    parser.push(frame.subarray(15));
    expect(seen).toEqual([3, 7, -1]);
  });

  test('any bytes either parse or throw a protocol error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          parse([Buffer.from(bytes)]);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
    );
  });
});

describe('decodeHeader', () => {
  test.each([
    ['a version of tomorrow', '010000000000000100000000'],
    ['an unknown type', '000400000000000100000000'],
    ['an unknown flag', '000000100000000100000000'],
    ['data on stream 0', '000000000000000000000000'],
    ['a ping on a stream', '000200010000000100000000'],
  ])('refuses %s', (_what, hex) => {
    expect(() => decodeHeader(Buffer.from(hex, 'hex'), 0)).toThrow(ProtocolError);
  });

  test('decodes the specification’s examples', () => {
    expect(decodeHeader(Buffer.from('0001000500000003000c0000', 'hex'), 0)).toEqual({
      type: frameType.windowUpdate,
      flags: 5,
      streamId: 3,
      length: 0xc0000,
    });
  });
});
