import { expect, test } from 'vitest';
import { DetachKeys, detachKeys } from './detach-keys.ts';

const text = (data: Uint8Array) => Buffer.from(data).toString('latin1');
const bytes = (typed: string) => Buffer.from(typed, 'latin1');

test.each([
  ['ctrl-p,ctrl-q', '\u0010\u0011'],
  ['ctrl-],d', '\u001dd'],
  ['CTRL-A', '\u0001'],
  ['ctrl-@,ctrl-[,ctrl-\\,ctrl-^,ctrl-_', '\u0000\u001b\u001c\u001e\u001f'],
])('%s is a sequence', (words, sequence) => {
  expect(text(detachKeys(words))).toBe(sequence);
});

test.each(['', 'ctrl-', 'ctrl-1', 'pq', 'ctrl-p,', 'ä', Array(17).fill('a').join(',')])(
  '%j is none',
  (words) => {
    expect(() => detachKeys(words)).toThrow('It must look like ctrl-p,ctrl-q');
  },
);

test.each([
  [['ab\u0010\u0011'], ['ab'], true],
  [['a\u0010', '\u0011rest'], ['a', ''], true],
  [['\u0010', 'x'], ['', '\u0010x'], false],
  [['\u0010\u0010\u0011'], ['\u0010'], true],
  [['\u0010', '\u0010', '\u0010x'], ['', '\u0010', '\u0010\u0010x'], false],
  [['\u0011\u0010'], ['\u0011'], false],
])('of %j, the command gets %j; left: %s', (pieces, passed, isLeft) => {
  const keys = new DetachKeys(detachKeys('ctrl-p,ctrl-q'));
  const typed = pieces.map((piece) => keys.typed(bytes(piece)));
  expect(typed.map(({ data }) => text(data))).toEqual(passed);
  expect(typed.some(({ isDetach }) => isDetach)).toBe(isLeft);
});

test('a sequence that begins within itself is found, and no byte is lost', () => {
  const keys = new DetachKeys(detachKeys('a,a,b'));
  const { data, isDetach } = keys.typed(bytes('aaab'));
  expect([text(data), isDetach]).toEqual(['a', true]);
  const other = new DetachKeys(detachKeys('a,b,a,c'));
  expect(text(other.typed(bytes('ababx')).data)).toBe('ababx');
  expect(other.typed(bytes('ababac')).isDetach).toBe(true);
});
