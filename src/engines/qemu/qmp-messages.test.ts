import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineReader, parseQmpMessage, QmpProtocolError } from './qmp-messages.ts';

/** Splits a buffer at the given positions. */
function chopped(bytes: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

describe('LineReader', () => {
  it('finds the same lines wherever the bytes are split', () => {
    const line = fc.string({ unit: 'grapheme', minLength: 1 }).map((text) => JSON.stringify(text));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat()), fc.constantFrom('\n', '\r\n'), (lines, cuts, end) => {
        const bytes = Buffer.from(lines.map((text) => text + end).join(''));
        const reader = new LineReader(1 << 20);
        expect(chopped(bytes, cuts).flatMap((chunk) => reader.push(chunk))).toEqual(lines);
      }),
    );
  });

  it('refuses a line over the limit, in one chunk or in many', () => {
    fc.assert(
      fc.property(fc.array(fc.nat()), (cuts) => {
        const reader = new LineReader(99);
        const push = () => chopped(Buffer.alloc(100, 'x'), cuts).flatMap((chunk) => reader.push(chunk));
        expect(push).toThrow(QmpProtocolError);
      }),
    );
  });

  it('accepts a line at the limit', () => {
    expect(new LineReader(3).push(Buffer.from('abc\nde'))).toEqual(['abc']);
  });
});

describe('parseQmpMessage', () => {
  it('recognises the four kinds', () => {
    const qemu = { major: 7, minor: 2, micro: 22 };
    expect(parseQmpMessage(JSON.stringify({ QMP: { version: { qemu } } }))).toEqual({
      kind: 'greeting',
      version: '7.2.22',
    });
    expect(parseQmpMessage('{"return":{},"id":3}')).toEqual({ kind: 'return', id: 3, value: {} });
    expect(parseQmpMessage('{"error":{"class":"X","desc":"no"}}')).toEqual({
      kind: 'error',
      id: null,
      description: 'no',
    });
    expect(parseQmpMessage('{"event":"STOP","timestamp":{}}')).toEqual({
      kind: 'event',
      name: 'STOP',
      data: {},
    });
  });

  it('accepts any line as a message or refuses it, and does nothing else', () => {
    const lines = fc.oneof(fc.string(), fc.json());
    fc.assert(
      fc.property(lines, (line) => {
        try {
          expect(parseQmpMessage(line).kind).toBeTypeOf('string');
        } catch (error) {
          expect(error).toBeInstanceOf(QmpProtocolError);
        }
      }),
    );
  });
});
