import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter, readNdjson } from './ndjson.ts';
import { collect } from './testing/server.ts';

function reader(chunks: readonly Uint8Array[]): () => Promise<Uint8Array | null> {
  const left = [...chunks];
  return async () => left.shift() ?? null;
}

async function valuesOf(chunks: readonly Uint8Array[], bytesMax?: number): Promise<unknown[]> {
  return collect(readNdjson(reader(chunks), bytesMax));
}

test('yields the same values wherever chunks are split', async () => {
  const values = fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(values, fc.array(fc.nat(400)), fc.boolean(), async (sent, cuts, terminated) => {
      const text = sent.map((value) => JSON.stringify(value)).join('\n') + (terminated ? '\n' : '');
      const bytes = new TextEncoder().encode(text);
      const ends = [...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
      const chunks = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
      expect(await valuesOf(chunks)).toEqual(sent.map((value) => JSON.parse(JSON.stringify(value))));
    }),
  );
});

test('drops empty lines', async () => {
  expect(await valuesOf([new TextEncoder().encode('\n\n1\n\n2\n\n')])).toEqual([1, 2]);
});

test('refuses a line as soon as it is longer than allowed', () => {
  const splitter = new LineSplitter(10);
  expect(splitter.push(new TextEncoder().encode('0123456789'))).toEqual([]);
  expect(() => splitter.push(new Uint8Array(1))).toThrow(RangeError);
});

test('the limit applies to one line, not to the sum of lines', async () => {
  const bytes = new TextEncoder().encode('"123456"\n'.repeat(100));
  expect(await valuesOf([bytes], 10)).toHaveLength(100);
});

test.each([
  ['cut off JSON', '{"a":1}\n{"b":'],
  ['no JSON', 'hello\n'],
])('throws on %s', async (_, text) => {
  await expect(valuesOf([new TextEncoder().encode(text)])).rejects.toThrow(SyntaxError);
});

test('throws on bytes that are not UTF-8', async () => {
  await expect(valuesOf([new Uint8Array([0x22, 0xff, 0x22, 0x0a])])).rejects.toThrow(TypeError);
});
