import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isUnchanged, recordFile } from './fingerprint.ts';

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'flotilla-fingerprint-'));
  path = join(dir, 'made');
  await writeFile(path, 'content');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('what set-up has made', () => {
  it('is recognised by its time, or by its content if the time was lost', async () => {
    const record = await recordFile(path);
    expect(await isUnchanged(path, record)).toBe(true);
    await utimes(path, 1, 1);
    expect(await isUnchanged(path, record)).toBe(true);
  });

  it('is rejected when other bytes of the same length are there, as after a host crash', async () => {
    const record = await recordFile(path);
    await writeFile(path, Buffer.alloc(7));
    await utimes(path, 1, 1);
    expect(await isUnchanged(path, record)).toBe(false);
  });

  it('is rejected when it is shorter, or absent', async () => {
    const record = await recordFile(path);
    await writeFile(path, 'half');
    expect(await isUnchanged(path, record)).toBe(false);
    await rm(path);
    expect(await isUnchanged(path, record)).toBe(false);
  });
});
