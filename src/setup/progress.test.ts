import { describe, expect, it } from 'vitest';
import { createProgress, formatDuration } from './progress.ts';

function recorder(isTTY: boolean) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const output = { write: (text: string) => written.push(text), isTTY, columns: 50 };
  return { written, clock, progress: createProgress(output, { now: () => clock.ms }) };
}

describe('formatDuration', () => {
  it('shows significant digits only', () => {
    expect([40, 999, 3210, 75_400].map(formatDuration)).toEqual(['0.04 s', '1.00 s', '3.2 s', '75 s']);
  });
});

describe('plain progress', () => {
  it('prints one line per step, with its duration', () => {
    const { written, clock, progress } = recorder(false);
    const step = progress.step('kernel');
    step.update('downloading');
    clock.ms = 3200;
    step.done('6.1.0');
    expect(written.join('')).toMatch(/^ok {5}kernel +3\.2 s {2}6\.1\.0\n$/);
  });

  it('reports the state of a long step periodically', () => {
    const { written, clock, progress } = recorder(false);
    const step = progress.step('image');
    for (clock.ms = 0; clock.ms <= 25_000; clock.ms += 1000) step.update(`at ${clock.ms}`);
    expect(written.map((line) => line.trim().split(' ').at(-1))).toEqual(['10000', '20000']);
  });

  it('reports a failure', () => {
    const { written, progress } = recorder(false);
    progress.step('packages').fail('no network');
    expect(written.join('')).toMatch(/^failed packages .*no network\n$/);
  });

  it('puts names below one another, however a step ends', () => {
    const { written, clock, progress } = recorder(false);
    progress.step('kernel').done();
    progress.step('kernel').fail('why');
    clock.ms = 20_000;
    const slow = progress.step('kernel');
    clock.ms = 40_000;
    slow.update('downloading');
    expect(new Set(written.map((line) => line.indexOf('kernel')))).toEqual(new Set([7]));
    expect(written).toHaveLength(3);
  });

  it('removes control characters', () => {
    const { written, progress } = recorder(false);
    progress.step('x').done('red\x1b[31m\r\nnext\x9b');
    expect(written.join('').slice(0, -1)).not.toMatch(/\p{Cc}/u);
  });
});

describe('terminal progress', () => {
  it('rewrites one line no wider than the terminal and leaves one line per step', () => {
    const { written, progress } = recorder(true);
    const step = progress.step('kernel');
    step.update('a very long story that does not fit on a line of fifty columns');
    for (const text of written) expect(text.replace('\r\x1b[K', '').length).toBeLessThan(50);
    step.done();
    expect(written.filter((text) => text.endsWith('\n'))).toHaveLength(1);
  });

  it('shows a running step again after another has ended', () => {
    const { written, progress } = recorder(true);
    progress.step('slow').update('working');
    progress.step('quick').done();
    expect(written.at(-1)).toContain('slow');
    expect(written.at(-1)).toContain('working');
  });
});
