import { expect, test } from 'vitest';
import { age, mebibytes, printable } from './output.ts';
import { table } from './table.ts';

test('a table aligns its columns and lets nothing through that moves a cursor', () => {
  const rows = [
    { name: 'a', size: '1' },
    { name: 'long\u001b[2Jer\nname', size: '20' },
  ];
  const columns = [
    { title: 'NAME', text: (row: { name: string }) => row.name },
    { title: 'SIZE', text: (row: { size: string }) => row.size },
  ];
  expect(table(columns, rows)).toBe(
    'NAME             SIZE\na                1\nlong\u{fffd}[2Jer name  20\n',
  );
});

test('text from elsewhere keeps its lines and loses control and bidi characters', () => {
  expect(printable('a\nb\rc\u202ed\u0007é')).toBe('a\nb\u{fffd}c\u{fffd}d\u{fffd}é');
});

test.each([
  ['2026-01-01T00:00:00Z', '0s'],
  ['2025-12-31T23:59:01Z', '59s'],
  ['2025-12-31T23:00:01Z', '59m'],
  ['2025-12-31T00:00:01Z', '23h'],
  ['2025-11-01T00:00:00Z', '61d'],
  ['2026-02-01T00:00:00Z', '0s'],
  ['whenever', '-'],
])('the age of %s is %s', (since, expected) => {
  expect(age(since, Date.parse('2026-01-01T00:00:00Z'))).toBe(expected);
});

test.each([
  [512, '512 MiB'],
  [1024, '1 GiB'],
  [1536, '1.5 GiB'],
])('%i MiB is %s', (count, expected) => {
  expect(mebibytes(count)).toBe(expected);
});
