import { expect, test } from 'vitest';
import type { ExitFacts } from '../ports/engine.ts';
import { planExit } from './exits.ts';
import { printableLines, quoteConsole } from './last-words.ts';

const facts = (kind: ExitFacts['kind'], reason = 'ended'): ExitFacts => ({
  kind,
  exitCode: null,
  signal: null,
  reason,
});

test('a power-off stops the machine, announced or not', () => {
  expect(planExit(facts('powered_off'), null, [])).toEqual({ to: 'stopped' });
  expect(planExit(facts('powered_off'), 'poweroff', [])).toEqual({ to: 'stopped' });
});

test('an announced reboot starts it again', () => {
  expect(planExit(facts('reset'), 'reboot', [])).toEqual({ to: 'restart' });
});

test('a reset after an announced power-off counts as a power-off', () => {
  expect(planExit(facts('reset'), 'poweroff', [])).toEqual({ to: 'stopped' });
  expect(planExit(facts('reset'), 'halt', [])).toEqual({ to: 'stopped' });
});

test('an unannounced reset with a panic on the console is reported as that panic', () => {
  const console = ['booting', '[    3.1] Kernel panic - not syncing: sysrq triggered crash', 'Rebooting'];
  expect(planExit(facts('reset'), null, console)).toEqual({
    to: 'failed',
    code: 'guest_panic',
    message: "the guest's kernel panicked: not syncing: sysrq triggered crash",
  });
});

test('an unannounced reset without console output is reported as a reset, not as a panic', () => {
  expect(planExit(facts('reset'), null, [])).toMatchObject({ to: 'failed', code: 'guest_reset' });
});

test('a VMM that died fails the machine with its last words', () => {
  expect(planExit(facts('died', 'qemu was ended by SIGKILL'), null, [])).toEqual({
    to: 'failed',
    code: 'vmm_died',
    message: 'qemu was ended by SIGKILL',
  });
});

test('an announcement on the console counts when the link was down, unless a panic follows', () => {
  const asked = '[    9.1] flotilla: guest asked for reboot';
  expect(planExit(facts('reset'), null, [asked])).toEqual({ to: 'restart' });
  expect(planExit(facts('reset'), null, [asked.replace('reboot', 'poweroff')])).toEqual({ to: 'stopped' });
  expect(planExit(facts('reset'), null, [asked, 'Kernel panic - not syncing: oops'])).toMatchObject({
    to: 'failed',
  });
});

test('a failure quotes the last lines, and an earlier panic', () => {
  const lines = [
    '[1.0] Kernel panic - not syncing: oops',
    ...Array.from({ length: 20 }, (_, i) => `line ${i}`),
  ];
  const quoted = quoteConsole(lines);
  expect(quoted).toHaveLength(12);
  expect(quoted[0]).toBe(lines[0]);
  expect(quoted.at(-1)).toBe('line 19');
  expect(quoteConsole(['one', 'two'])).toEqual(['one', 'two']);
});

test('guest output reaches a terminal only as plain text', () => {
  expect(printableLines('a\u001b[31mred\u001b[0m\u0007\r\n\n\u009b2Jb\tc')).toEqual(['ared', 'b\tc']);
});
