import { join } from 'node:path';
import { expect, it } from 'vitest';
import { check, formatViolations } from './arch/check.ts';
import { rules, sourceFolders } from './arch/rules.ts';
import { readTree } from './arch/tree.ts';

it('the repository keeps to its architecture', () => {
  const tree = readTree(join(import.meta.dirname, '..'), sourceFolders);
  expect(tree.size).toBeGreaterThan(50);
  expect(formatViolations(check(tree, rules))).toBe('');
});
