import { expect, test } from 'vitest';
import { type Column, table } from './table.ts';

interface Row {
  readonly name: string;
  readonly id: string;
  readonly note: string;
}

const columns: readonly Column<Row>[] = [
  { title: 'NAME', text: ({ name }) => name, cutTo: 8 },
  { title: 'ID', text: ({ id }) => id, leftOut: 1 },
  { title: 'STATE', text: () => 'running' },
  { title: 'NOTE', text: ({ note }) => note, cutTo: 8, leftOut: 2 },
];
const rows = [
  { name: 'web', id: 'abcdefghijkl', note: 'team=blue,tier=frontend' },
  { name: 'a-machine-with-a-long-name', id: 'mnopqrstuvwx', note: '' },
];

test.each([200, 80, 60, 50, 40, 30])('a table fits %i columns', (room) => {
  const lines = table(columns, rows, room).trimEnd().split('\n');
  for (const line of lines) expect(line.trimEnd().length, line).toBeLessThanOrEqual(room);
  for (const line of lines.slice(1)) expect(line).toContain('running');
});

test('where there is room nothing is cut', () => {
  expect(table(columns, rows)).toContain('a-machine-with-a-long-name  mnopqrstuvwx  running');
  expect(table(columns, rows)).toContain('team=blue,tier=frontend');
});

test('texts are cut before a column is left out, and the most dispensable column goes first', () => {
  expect(table(columns, rows, 60)).toContain('…');
  expect(table(columns, rows, 60)).toContain('NOTE');
  expect(table(columns, rows, 40)).not.toContain('NOTE');
  expect(table(columns, rows, 40)).toContain('mnopqrstuvwx');
  expect(table(columns, rows, 20)).not.toContain('ID');
});

test('what cannot be made narrower is wider than the terminal', () => {
  expect(table([{ title: 'A', text: () => 'abcdef' }], [0], 3)).toBe('A\nabcdef\n');
});
