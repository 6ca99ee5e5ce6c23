import { expect, test } from 'vitest';
import { Meter } from './meter.ts';

async function* pieces(count: number): AsyncGenerator<Uint8Array> {
  for (let index = 0; index < count; index++) yield new Uint8Array(1_000_000);
}

async function drain(content: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of content);
}

test('says what part has passed, and the rate of the last seconds', async () => {
  let now = 0;
  const meter = new Meter('copying', 20_000_000, () => now);
  expect(meter.words()).toBe('copying 0.0 MB of 20.0 MB [....................] 0 %, 0.0 MB/s');
  await drain(meter.count(pieces(5)));
  now = 1_000;
  expect(meter.words()).toBe('copying 5.0 MB of 20.0 MB [#####...............] 25 %, 5.0 MB/s');
  now = 9_000;
  expect(meter.words()).toContain(' 0.0 MB/s');
  await drain(meter.count(pieces(20)));
  now = 10_000;
  expect(meter.words()).toBe('copying 25.0 MB of 20.0 MB [####################] 100 %, 20.0 MB/s');
});

test('without a total there is no bar', async () => {
  let now = 0;
  const meter = new Meter('copying', null, () => now);
  await drain(meter.count(pieces(2)));
  now = 500;
  expect(meter.words()).toBe('copying 2.0 MB, 4.0 MB/s');
});

test('keeps few samples, however often it is asked', async () => {
  let now = 0;
  const meter = new Meter('copying', null, () => now);
  for (let index = 0; index < 1_000; index++) {
    now += 1;
    await drain(meter.count(pieces(1)));
    meter.words();
  }
  expect(meter.words()).toBe('copying 1000.0 MB, 1000.0 MB/s');
});
