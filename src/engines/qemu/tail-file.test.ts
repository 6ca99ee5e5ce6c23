import { appendFile, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readTail } from './owned-file.ts';
import { consoleLimits, logLimits, trimFile } from './tail-file.ts';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flotilla-console-'));
  path = join(directory, 'console.log');
});
afterEach(async () => await rm(directory, { recursive: true }));

it('leaves a small or absent console alone', async () => {
  expect(await trimFile(path, consoleLimits)).toBe(0);
  await writeFile(path, Buffer.alloc(consoleLimits.bytesMax, 'x'));
  expect(await trimFile(path, consoleLimits)).toBe(0);
  expect((await stat(path)).size).toBe(consoleLimits.bytesMax);
});

it('keeps the end of a large console, and later output follows it', async () => {
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, line) => `${line}\n`).join(''));
  await writeFile(path, bytes);
  expect(await trimFile(path, consoleLimits)).toBe(bytes.length - consoleLimits.bytesKept);
  await appendFile(path, 'more');
  const kept = bytes.subarray(bytes.length - consoleLimits.bytesKept);
  expect((await readFile(path)).equals(Buffer.concat([kept, Buffer.from('more')]))).toBe(true);
});

it('keeps less of the VMM’s own output', async () => {
  await writeFile(path, Buffer.alloc(logLimits.bytesMax, 'x'));
  expect(await trimFile(path, logLimits)).toBe(0);
  await appendFile(path, 'end');
  expect(await trimFile(path, logLimits)).toBe(logLimits.bytesMax + 3 - logLimits.bytesKept);
  expect((await stat(path)).size).toBe(logLimits.bytesKept);
  expect((await readTail(path, 4)).toString()).toBe('xend');
});

it('follows no link', async () => {
  const target = join(directory, 'target');
  await writeFile(target, Buffer.alloc(consoleLimits.bytesMax + 1));
  await symlink(target, path);
  expect(await trimFile(path, consoleLimits)).toBe(0);
  expect(await readTail(path, 10)).toHaveLength(0);
  expect((await stat(target)).size).toBe(consoleLimits.bytesMax + 1);
});

it('reads only the last bytes', async () => {
  await writeFile(path, 'abcdef');
  expect((await readTail(path, 3)).toString()).toBe('def');
  expect((await readTail(path, 100)).toString()).toBe('abcdef');
  expect(await readTail(join(directory, 'none'), 5)).toHaveLength(0);
});
