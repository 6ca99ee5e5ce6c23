import { expect, test } from 'vitest';
import { LimitedLogs } from './limited-log.ts';
import { type Logger, silentLog } from './log.ts';

function recording() {
  const lines: { readonly fields: object; readonly message: string }[] = [];
  const info = (fields: object, message: string) => void lines.push({ fields, message });
  const log: Logger = { ...silentLog, info, warn: info, debug: info };
  let now = 0;
  const logs = new LimitedLogs(log, { burst: 3, everyMs: 100 }, () => now);
  return { lines, logs, pass: (ms: number) => (now += ms) };
}

test('lets a burst through, then a line per interval, and counts the dropped lines', () => {
  const { lines, logs, pass } = recording();
  for (let i = 0; i < 1000; i++) logs.of('a').info({ i }, 'said');
  expect(lines).toHaveLength(3);
  pass(99);
  logs.of('a').warn({}, 'too early');
  expect(lines).toHaveLength(3);
  pass(1);
  logs.of('a').info({}, 'again');
  expect(lines.slice(3)).toEqual([{ fields: { linesLeftOut: 998 }, message: 'again' }]);
  pass(10_000);
  for (let i = 0; i < 10; i++) logs.of('a').info({}, 'a burst');
  expect(lines.slice(4)).toEqual(Array(3).fill({ fields: {}, message: 'a burst' }));
});

test('limits each subject separately, and does not limit debug lines', () => {
  const { lines, logs } = recording();
  for (let i = 0; i < 10; i++) for (const subject of ['a', 'b']) logs.of(subject).info({ subject }, 'said');
  expect(lines).toHaveLength(6);
  for (let i = 0; i < 10; i++) logs.of('a').debug({}, 'detail');
  expect(lines).toHaveLength(16);
});
