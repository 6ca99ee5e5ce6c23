import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockStateDirectory as lock } from './daemon-lock.ts';

const lockStateDirectory = (path: string) => lock(join(path, 'daemon.lock'));

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flotilla-lock-'));
});
afterEach(() => rm(directory, { recursive: true }));

test('a second daemon on the same directory is refused, also under another path', async () => {
  const unlock = await lockStateDirectory(directory);
  const alias = `${directory}-alias`;
  await symlink(directory, alias);
  try {
    await expect(lockStateDirectory(directory)).rejects.toMatchObject({ code: 'conflict' });
    await expect(lockStateDirectory(alias)).rejects.toMatchObject({ code: 'conflict' });
  } finally {
    await rm(alias);
    await unlock();
  }
});

test('the lock is free again after its release', async () => {
  await (await lockStateDirectory(directory))();
  await (await lockStateDirectory(directory))();
});
