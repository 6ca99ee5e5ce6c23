import { describe, expect, it } from 'vitest';
import { diedFacts, guestExitFacts, lastWords, parseExitFacts, stoppedFacts } from './exit-facts.ts';

describe('guestExitFacts', () => {
  const announced = (what: string) => `booting\r\nflotilla: guest asked for ${what}\r\n`;
  const panic = '[ 1.7] Kernel panic - not syncing: Attempted to kill init!\n[ 1.8] Call Trace:\n';
  const down = '[ 2.7] reboot: Power down\n';
  const restarting = '[ 2.7] reboot: Restarting system\n';

  it.each([
    ['guest-shutdown', '', 'powered_off'],
    ['guest-reset', '', 'reset'],
    ['guest-reset', restarting, 'reset'],
    ['guest-reset', announced('reboot') + restarting, 'reset'],
    ['guest-reset', announced('poweroff') + restarting, 'powered_off'],
    ['guest-reset', announced('poweroff') + panic, 'reset'],
    [null, announced('poweroff'), 'powered_off'],
    [null, announced('halt'), 'powered_off'],
    [null, announced('reboot'), 'reset'],
    [null, down, 'powered_off'],
    [null, restarting, 'reset'],
    [null, panic, 'reset'],
    [null, '', 'reset'],
  ] as const)('maps event %j and console %j to %s', (event, console, kind) => {
    expect(guestExitFacts(event, console).kind).toBe(kind);
  });

  it('quotes the panic', () => {
    expect(guestExitFacts('guest-reset', panic).reason).toBe(
      "the guest's kernel panicked: Attempted to kill init!",
    );
  });

  it('recognises an announcement only as a separate line', () => {
    expect(guestExitFacts(null, `$ echo ${announced('poweroff').slice(9)}`).kind).toBe('reset');
  });
});

describe('diedFacts', () => {
  it('says how and quotes the last lines without warnings', () => {
    const log = 'qemu: warning: no such CPU bit\nqemu: could not open disk\n';
    expect(diedFacts(1, null, log)).toEqual({
      kind: 'died',
      exitCode: 1,
      signal: null,
      reason: 'the VMM exited with 1: qemu: could not open disk',
    });
    expect(diedFacts(null, 'SIGSEGV', '').reason).toBe('the VMM was ended by SIGSEGV');
    expect(diedFacts(null, null, '').reason).toBe('the VMM ended');
  });

  it('limits a reason to one line of bounded length', () => {
    const words = lastWords(`${'x'.repeat(10_000)}\nend\n`);
    expect(words?.length).toBeLessThanOrEqual(500);
    expect(words).not.toContain('\n');
  });
});

it('reads back only the facts that it wrote', () => {
  for (const facts of [stoppedFacts(), diedFacts(null, 'SIGKILL', 'oops')])
    expect(parseExitFacts(JSON.parse(JSON.stringify(facts)))).toEqual(facts);
  for (const value of [null, 1, {}, { kind: 'eaten', reason: '' }, { kind: 'died' }])
    expect(parseExitFacts(value)).toBeNull();
});
