import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { logSink } from './log-sink.ts';

test('accepts lines on a full disk without an error', () => {
  const fd = openSync('/dev/full', 'w');
  const log = pino({}, logSink(fd));
  for (let n = 0; n < 100; n++) log.info({ n }, 'x'.repeat(10_000));
  closeSync(fd);
});

test('accepts lines when the reader is gone', () => {
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

test('rotates our log when it is full, and keeps the previous one', () => {
  const directory = mkdtempSync(join(tmpdir(), 'log-'));
  const path = join(directory, 'log');
  const fd = openSync(path, 'a', 0o600);
  const sink = logSink(fd, { path, bytesMax: 20 });
  for (const line of ['one\n', 'a line too many for it\n', 'two\n']) sink.write(line);
  closeSync(fd);
  expect(readFileSync(path, 'utf8')).toBe('two\n');
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('one\na line too many for it\n');
  expect(statSync(`${path}.1`).mode & 0o777).toBe(0o600);
  rmSync(directory, { recursive: true });
});

test('does not rotate a file that is not ours', () => {
  const directory = mkdtempSync(join(tmpdir(), 'log-'));
  const fd = openSync(join(directory, 'theirs'), 'a');
  const sink = logSink(fd, { path: join(directory, 'log'), bytesMax: 5 });
  for (const line of ['one\n', 'two\n', 'three\n']) sink.write(line);
  closeSync(fd);
  expect(readdirSync(directory)).toEqual(['theirs']);
  expect(readFileSync(join(directory, 'theirs'), 'utf8')).toBe('one\ntwo\nthree\n');
  rmSync(directory, { recursive: true });
});
