import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBase64, encodeBase64 } from './base64.ts';

test('encodes like Node and decodes its own output', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const text = encodeBase64(bytes);
      expect(text).toBe(Buffer.from(bytes).toString('base64'));
      expect(decodeBase64(text)).toEqual(new Uint8Array(bytes));
    }),
  );
});

test('encodes several pieces without padding between them', () => {
  const bytes = new Uint8Array(100_001).map((_, index) => index % 251);
  expect(encodeBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
});

test.each(['A', 'AAA', 'A===', '====', 'AA=A', 'A A=', 'AAA*', 'AA-_', 'AAAé', 'AAAA=AAA'])(
  'refuses %j',
  (text) => {
    expect(decodeBase64(text)).toBeNull();
  },
);
