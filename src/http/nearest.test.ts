import { expect, test } from 'vitest';
import { editsBetween, nearest } from './nearest.ts';

const known = [
  'name',
  'vcpu_count',
  'mem_size_mib',
  'disk_size_mib',
  'exposed_ports',
  'labels',
  'env',
  'kernel_args',
];

test.each([
  ['lables', 'labels'],
  ['label', 'labels'],
  ['Name', 'name'],
  ['cpus', 'vcpu_count'],
  ['memory', 'mem_size_mib'],
  ['memory_mib', 'mem_size_mib'],
  ['disk', 'disk_size_mib'],
  ['ports', 'exposed_ports'],
  ['environment', 'env'],
  ['args', 'kernel_args'],
])('%s: %s may be meant', (name, meant) => {
  expect(nearest(name, known)).toBe(meant);
});

test.each(['x', 'foo', 'colour', '', '__proto__'])('%j is near to nothing', (name) => {
  expect(nearest(name, known)).toBeNull();
});

test.each([
  ['', 'abc', 3],
  ['abc', 'abc', 0],
  ['abc', 'acb', 1],
  ['kitten', 'sitting', 3],
])('from %j to %j: %i', (one, other, edits) => {
  expect(editsBetween(one, other)).toBe(edits);
  expect(editsBetween(other, one)).toBe(edits);
});
