import { expect, test } from 'vitest';
import { withoutDashes } from './commands/ssh.ts';

test('dashes before the command of ssh are not sent to the guest', () => {
  expect(withoutDashes(['--', 'uname', '-a'])).toEqual(['uname', '-a']);
  expect(withoutDashes(['echo', '--'])).toEqual(['echo', '--']);
  expect(withoutDashes([])).toEqual([]);
});
