import { appendFile, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { consoleBytesKept, consoleBytesMax, trimConsole } from './console-ring.ts';
import { readTail } from './run-directory.ts';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flotilla-console-'));
  path = join(directory, 'console.log');
});
afterEach(async () => await rm(directory, { recursive: true }));

it('leaves a console that is small enough, or absent, alone', async () => {
  expect(await trimConsole(path)).toBe(false);
  await writeFile(path, Buffer.alloc(consoleBytesMax, 'x'));
  expect(await trimConsole(path)).toBe(false);
  expect((await stat(path)).size).toBe(consoleBytesMax);
});

it('keeps the end of one that is too large, and what is appended afterwards follows it', async () => {
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, line) => `${line}\n`).join(''));
  await writeFile(path, bytes);
  expect(await trimConsole(path)).toBe(true);
  await appendFile(path, 'more');
  const kept = bytes.subarray(bytes.length - consoleBytesKept);
  expect((await readFile(path)).equals(Buffer.concat([kept, Buffer.from('more')]))).toBe(true);
});

it('follows no link', async () => {
  const target = join(directory, 'target');
  await writeFile(target, Buffer.alloc(consoleBytesMax + 1));
  await symlink(target, path);
  await expect(trimConsole(path)).rejects.toMatchObject({ code: 'ELOOP' });
  await expect(readTail(path, 10)).rejects.toMatchObject({ code: 'ELOOP' });
  expect((await stat(target)).size).toBe(consoleBytesMax + 1);
});

it('reads the last bytes and no more', async () => {
  await writeFile(path, 'abcdef');
  expect((await readTail(path, 3)).toString()).toBe('def');
  expect((await readTail(path, 100)).toString()).toBe('abcdef');
  expect(await readTail(join(directory, 'none'), 5)).toHaveLength(0);
});
