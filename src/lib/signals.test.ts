import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exitCodeOfSignal, signalNumber } from './signals.ts';

/** As the guest agent names them: its own table, and RTMIN+n from 34 on. */
function agentNames(): readonly string[] {
  const path = join(import.meta.dirname, '../../guest-agent/internal/process/signals.go');
  const source = readFileSync(path, 'utf8');
  const table = [
    ...(/const signalNames = ((?:"[^"]*"[\s+]*)+)/.exec(source)?.[1]?.matchAll(/"([^"]*)"/g) ?? []),
  ];
  const names = table
    .map(([, words]) => words)
    .join('')
    .split(' ');
  for (let number = names.length; number <= 64; number++)
    names.push(number < 34 ? String(number) : `RTMIN+${number - 34}`);
  return names;
}

test('every signal that the guest agent names has its number', () => {
  const names = agentNames();
  expect(names).toHaveLength(65);
  for (let number = 1; number <= 64; number++)
    expect(signalNumber(names[number] ?? ''), names[number]).toBe(number);
});

test.each([
  '',
  '0',
  '65',
  '99',
  'RTMIN',
  'RTMIN+31',
  'RTMIN+99',
  'SIGKILL',
  'kill',
  '__proto__',
  '-1',
  '1.5',
  'toString',
])('%j is no signal', (name) => {
  expect(signalNumber(name)).toBeNull();
  expect(exitCodeOfSignal(name)).toBe(128);
});

test('an exit code is 128 and the number', () => {
  expect([exitCodeOfSignal('KILL'), exitCodeOfSignal('RTMIN+1'), exitCodeOfSignal('32')]).toEqual([
    137, 163, 160,
  ]);
});
