import { mkdtemp, open, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { copyWhole } from './copy.ts';

const never = new AbortController().signal;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flotilla-copy-'));
});
afterAll(() => rm(directory, { recursive: true }));

test('the content is the same, zeros take no space, and what was there before is gone', async () => {
  const [source, target] = [join(directory, 'source'), join(directory, 'target')];
  const file = await open(source, 'w');
  await file.write('begin', 0);
  await file.write('end', 20_000_003);
  await file.close();
  await writeFile(target, Buffer.alloc(30_000_000, 'x'));
  await copyWhole(source, target, never);
  expect((await readFile(target)).equals(await readFile(source))).toBe(true);
  expect((await stat(target)).blocks * 512).toBeLessThan(4_000_000);
});

test('an aborted copy ends with the reason, and links are not followed', async () => {
  const [source, link] = [join(directory, 'more'), join(directory, 'link')];
  await writeFile(source, 'content');
  await symlink(source, link);
  const reason = new Error('enough');
  await expect(copyWhole(source, join(directory, 'never'), AbortSignal.abort(reason))).rejects.toBe(reason);
  await expect(copyWhole(source, link, never)).rejects.toMatchObject({ code: 'ELOOP' });
  await expect(copyWhole(link, join(directory, 'never'), never)).rejects.toMatchObject({ code: 'ELOOP' });
  expect(await readFile(source, 'utf8')).toBe('content');
});
