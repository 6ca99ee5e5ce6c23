import { expect, test } from 'vitest';
import { wrapped } from './wrap.ts';

test('breaks between words, and inside a word that is longer than a line', () => {
  expect(wrapped('one two three', 7)).toEqual(['one two', 'three']);
  expect(wrapped('abcdefghij klm', 4)).toEqual(['abcd', 'efgh', 'ij', 'klm']);
  expect(wrapped('short', 10)).toEqual(['short']);
  expect(wrapped('', 10)).toEqual(['']);
  expect(wrapped('any length', Infinity)).toEqual(['any length']);
});
