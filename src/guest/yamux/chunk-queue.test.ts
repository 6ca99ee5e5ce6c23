import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChunkQueue } from './chunk-queue.ts';

const pieces = fc.array(fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 4000, max: 40_000 })), {
  maxLength: 60,
});

test('returns the bytes in order, whenever they are read', () => {
  fc.assert(
    fc.property(pieces, fc.array(fc.boolean()), (sizes, reads) => {
      const queue = new ChunkQueue();
      const sent = Buffer.alloc(sizes.reduce((sum, size) => sum + size, 0));
      for (let index = 0; index < sent.length; index += 1) sent[index] = index % 251;
      const received: Buffer[] = [];
      let offset = 0;
      sizes.forEach((size, index) => {
        queue.push(Buffer.from(sent.subarray(offset, offset + size)));
        offset += size;
        const chunk = reads[index] ? queue.shift() : null;
        if (chunk !== null) received.push(chunk);
      });
      for (let chunk = queue.shift(); chunk !== null; chunk = queue.shift()) received.push(chunk);
      expect(Buffer.concat(received).equals(sent)).toBe(true);
      expect(queue.length).toBe(0);
    }),
  );
});

test('merges a flood of single bytes into few chunks', () => {
  const queue = new ChunkQueue();
  const chunk = Buffer.alloc(65_536);
  for (let index = 0; index < 100_000; index += 1)
    queue.push(chunk.subarray(index % 65_536, (index % 65_536) + 1));
  expect(queue.length).toBe(100_000);
  let chunks = 0;
  let heldBytes = 0;
  for (let piece = queue.shift(); piece !== null; piece = queue.shift()) {
    chunks += 1;
    heldBytes += piece.buffer.byteLength;
  }
  expect(chunks).toBeLessThan(10);
  expect(heldBytes).toBeLessThan(200_000);
});

test('single bytes between large pieces do not hold a block each', () => {
  const queue = new ChunkQueue();
  for (let index = 0; index < 50; index += 1) {
    queue.push(Buffer.alloc(1));
    queue.push(Buffer.from(new ArrayBuffer(4096)));
  }
  let heldBytes = 0;
  for (let piece = queue.shift(); piece !== null; piece = queue.shift()) heldBytes += piece.buffer.byteLength;
  expect(heldBytes).toBe(50 * 4097);
});
