/** Buffered output never exceeds the caller's memory budget, and its text is never changed. */
import { expect, test } from 'vitest';
import { AppError } from '../core/errors.ts';
import { Gathered, gatheredBytesMax } from './gathered.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

/** A budget of `bytesMax`. */
function budget(bytesMax: number) {
  let held = 0;
  const reserve = (more: number) => {
    if (held + more > bytesMax) throw new AppError('exhausted', 'full');
    held += more;
  };
  return { reserve, held: () => held };
}

test('a caller without memory for any output is refused before the command runs', () => {
  expect(() => new Gathered(budget(100).reserve)).toThrow('full');
});

test('all held bytes are charged', () => {
  const { reserve, held } = budget(Number.POSITIVE_INFINITY);
  const gathered = new Gathered(reserve);
  for (let n = 0; n < 2000; n++) gathered.push(new Uint8Array(1024));
  expect(gathered.bytes).toBe(2000 * 1024);
  expect(held()).toBeGreaterThanOrEqual(gathered.bytes);
  for (let n = 0; n < 20; n++) gathered.push(new Uint8Array(1024 * 1024));
  expect([gathered.bytes, held(), gathered.isTruncated]).toEqual([gatheredBytesMax, gatheredBytesMax, true]);
  expect(gathered.written).toBe(2000 * 1024 + 20 * 1024 * 1024);
});

test('output beyond the caller’s memory is cut, and later output is not appended', () => {
  const gathered = new Gathered(budget(64 * 1024).reserve);
  gathered.push(new Uint8Array(60 * 1024).fill(97));
  expect(gathered.isTruncated).toBe(false);
  gathered.push(new Uint8Array(60 * 1024).fill(98));
  const { isTruncated } = gathered;
  const text = gathered.text();
  gathered.push(bytes('c'));
  expect(isTruncated).toBe(true);
  expect(gathered.text()).toBe(text);
  expect(text).toMatch(/^a{61440}b*$/);
});

test.each([
  ['characters of several bytes', `${'x'.repeat(64 * 1024 - 1)}€${'é'.repeat(70_000)}🚢`],
  ['a byte order mark', `\uFEFF${'x'.repeat(70_000)}\uFEFFy`],
  ['nothing', ''],
])('%s are the same in chunks and as a whole', (_, text) => {
  const gathered = new Gathered(() => undefined);
  gathered.push(bytes(text));
  expect([...gathered.texts()].join('')).toBe(text);
  expect(gathered.text()).toBe(text);
  const base64 = Buffer.from(text).toString('base64');
  expect([[...gathered.texts('base64')].join(''), gathered.text('base64')]).toEqual([base64, base64]);
});
