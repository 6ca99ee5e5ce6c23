import { expect, test } from 'vitest';
import type { Image } from '../ports/images.ts';
import { ImageHolds } from './holds.ts';

const image = (digest: string): Image => ({
  ...{ name: 'tiny', digest, rootMib: 64, memoryMibMin: 96, createdAt: '2026-01-01T00:00:00.000Z' },
  ...{ tenant: 'one', isBuiltIn: false, kernel: 'host', kernelRelease: null },
});
const settled = async () => {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
};

test('an image that a creation resolved to is not removed before its record is there', async () => {
  const holds = new ImageHolds();
  const recorded = Promise.withResolvers<string>();
  const first = holds.hold(
    async () => image('a'),
    () => recorded.promise,
  );
  const second = holds.hold(
    async () => image('a'),
    async () => 'done',
  );
  expect(await second).toBe('done');
  await expect(holds.remove('a', async () => undefined)).rejects.toMatchObject({ code: 'conflict' });
  await holds.remove('b', async () => undefined);
  recorded.resolve('recorded');
  expect(await first).toBe('recorded');
  await holds.remove('a', async () => undefined);
});

test('a hold ends with work that fails', async () => {
  const holds = new ImageHolds();
  await expect(
    holds.hold(
      async () => image('a'),
      () => Promise.reject(new Error('full')),
    ),
  ).rejects.toThrow('full');
  await holds.remove('a', async () => undefined);
});

test('what resolves while it is removed waits, and is resolved again', async () => {
  const holds = new ImageHolds();
  const removed = Promise.withResolvers<void>();
  let isThere = true;
  const removal = holds.remove('a', async () => {
    await removed.promise;
    isThere = false;
  });
  const resolve = async () => {
    if (isThere) return image('a');
    throw new Error('not found');
  };
  let wasUsed = false;
  const creation = holds.hold(resolve, async () => {
    wasUsed = true;
  });
  creation.catch(() => undefined);
  await settled();
  expect(wasUsed).toBe(false);
  removed.resolve();
  await removal;
  await expect(creation).rejects.toThrow('not found');
});

test('what was resolved before a removal and comes back after it is resolved again', async () => {
  const holds = new ImageHolds();
  const slow = Promise.withResolvers<Image>();
  const answers = [slow.promise, Promise.reject(new Error('not found'))];
  answers[1]?.catch(() => undefined);
  const creation = holds.hold(
    async () => (await answers.shift()) ?? image('never'),
    async () => 'used',
  );
  creation.catch(() => undefined);
  await holds.remove('a', async () => undefined);
  slow.resolve(image('a'));
  await expect(creation).rejects.toThrow('not found');
});

test('a removal that fails lets go, and a second waits for the first', async () => {
  const holds = new ImageHolds();
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = holds.remove('a', async () => {
    await gate.promise;
    order.push('first');
    throw new Error('no');
  });
  first.catch(() => undefined);
  const second = holds.remove('a', async () => {
    order.push('second');
  });
  gate.resolve();
  await expect(first).rejects.toThrow('no');
  await second;
  expect(order).toEqual(['first', 'second']);
  expect(
    await holds.hold(
      async () => image('a'),
      async () => 'used',
    ),
  ).toBe('used');
});
