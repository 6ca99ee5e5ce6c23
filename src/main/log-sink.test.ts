import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { logSink } from './log-sink.ts';

test('takes lines that the disk has no space for, without an error', () => {
  const fd = openSync('/dev/full', 'w');
  const log = pino({}, logSink(fd));
  for (let n = 0; n < 100; n++) log.info({ n }, 'x'.repeat(10_000));
  closeSync(fd);
});

test('takes lines when nobody reads any more', () => {
  const fd = openSync('/dev/null', 'w');
  closeSync(fd);
  expect(() => logSink(fd).write('line\n')).not.toThrow();
});

test('writes lines in their order', () => {
  const directory = mkdtempSync(join(tmpdir(), 'log-'));
  const path = join(directory, 'log');
  const fd = openSync(path, 'w');
  const sink = logSink(fd);
  for (const line of ['one\n', 'two\n', 'é\n']) sink.write(line);
  closeSync(fd);
  expect(readFileSync(path, 'utf8')).toBe('one\ntwo\né\n');
  rmSync(directory, { recursive: true });
});
