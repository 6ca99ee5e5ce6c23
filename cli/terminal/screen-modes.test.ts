import { expect, test } from 'vitest';
import { ScreenModes } from './screen-modes.ts';

function after(...pieces: string[]): ScreenModes {
  const modes = new ScreenModes();
  for (const piece of pieces) modes.saw(Buffer.from(piece));
  return modes;
}

test('what an editor switched on is switched off, the other screen last', () => {
  const modes = after('\u001b[?1049h\u001b[?1h\u001b[?2004;1006h\u001b[?25l\u001b[31mtext');
  expect(modes.isAlternate).toBe(true);
  expect(modes.undo()).toBe('\u001b[m\u001b[?25h\u001b[?1l\u001b[?2004l\u001b[?1006l\u001b[?1049l');
  expect(modes.redo()).toBe('\u001b[?1049h\u001b[?1006h\u001b[?2004h\u001b[?1h\u001b[?25l');
});

test('what it has switched off itself is left alone', () => {
  const modes = after('\u001b[?1049h\u001b[?25l', 'text', '\u001b[?25h\u001b[?1049l');
  expect([modes.undo(), modes.redo(), modes.isAlternate]).toEqual(['', '', false]);
});

test.each([
  ['a\u001b', '[?1049h'],
  ['a\u001b[', '?1049h'],
  ['a\u001b[?10', '49h'],
])('a sequence that is cut as %j %j is seen', (...pieces) => {
  expect(after(...pieces).isAlternate).toBe(true);
});

test('of modes that are unknown, and of text that is none, nothing is undone', () => {
  expect(after('\u001b[?9999h [?1049h \u001b]0;title\u0007', '\u001b'.repeat(200), '[?1049x').undo()).toBe(
    '',
  );
});
