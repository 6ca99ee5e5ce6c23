import { expect, test } from 'vitest';
import { keyLine } from './up.ts';

test('the key itself is printed only on a terminal', () => {
  expect(keyLine('hf_secret', '/state/admin.key', true)).toContain('hf_secret');
  expect(keyLine('hf_secret', '/state/admin.key', false)).toBe('key       in /state/admin.key');
});
