import { expect, test } from 'vitest';
import { passedOn } from './passing-buffers.ts';

const mib = 1024 * 1024;

test('buffers that have passed do not pile up', () => {
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  for (let count = 0; count < 4096; count += 1) {
    passedOn(new Uint8Array(64 * 1024).length);
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  // 256 MiB have passed; V8 alone lets 32 MiB gather.
  expect(most).toBeLessThan(20 * mib);
});
