import { expect, test } from 'vitest';
import { Lru } from './lru.ts';

test('evicts the least recently used entry; reading counts as use', () => {
  const lru = new Lru<string, number>(2);
  lru.set('a', 1);
  lru.set('b', 2);
  expect(lru.get('a')).toBe(1);
  lru.set('c', 3);
  expect([lru.get('a'), lru.get('b'), lru.get('c')]).toEqual([1, undefined, 3]);
  expect(lru.size).toBe(2);
});

test('setting a value again takes no second slot', () => {
  const lru = new Lru<string, number>(2);
  lru.set('a', 1);
  lru.set('b', 2);
  lru.set('a', 3);
  expect([lru.size, lru.get('a'), lru.get('b')]).toEqual([2, 3, 2]);
  lru.delete('a');
  expect([lru.size, lru.get('a')]).toEqual([1, undefined]);
});
