/** The entries match the checkout; otherwise `make mutate` would only report that when somebody runs it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mutations } from './mutations.ts';

const root = join(import.meta.dirname, '../..');

test.each(mutations.map((mutation) => [mutation.fault, mutation] as const))('%s', (_, mutation) => {
  const text = readFileSync(join(root, mutation.file), 'utf8');
  expect(text.split(mutation.from)).toHaveLength(2);
  expect(mutation.to).not.toBe(mutation.from);
  if ('file' in mutation.caughtBy) readFileSync(join(root, mutation.caughtBy.file), 'utf8');
});

test('no fault is listed twice', () => {
  expect(new Set(mutations.map(({ fault }) => fault)).size).toBe(mutations.length);
});
