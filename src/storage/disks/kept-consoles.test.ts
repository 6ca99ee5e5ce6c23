import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { StateLayout } from '../layout.ts';
import { KeptConsoleFiles } from './kept-consoles.ts';

let root: string;
let layout: StateLayout;
let consoles: KeptConsoleFiles;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flotilla-kept-'));
  layout = new StateLayout(root);
  consoles = new KeptConsoleFiles(layout);
  await mkdir(layout.diskDir('web'), { recursive: true });
  await writeFile(layout.disk('web'), '');
});
afterEach(async () => await rm(root, { recursive: true }));

const piece = {
  bytes: Buffer.from('\n{one}\n\xff'),
  seen: [
    { end: 1, sinceMs: null, atMs: 5 },
    { end: 9, sinceMs: 5, atMs: 7 },
  ],
};

it('keeps the last console and its times, for the daemon alone', async () => {
  expect(await consoles.read('web')).toBeNull();
  await consoles.keep('web', { bytes: Buffer.from('older'), seen: [{ end: 5, sinceMs: 1, atMs: 2 }] });
  expect(await consoles.keep('web', piece)).toBe(true);
  expect(await new KeptConsoleFiles(layout).read('web')).toEqual(piece);
  expect((await stat(layout.previousConsole('web'))).mode & 0o777).toBe(0o600);
  expect(await readdir(layout.diskDir('web'))).toHaveLength(2);
});

it('keeps nothing for a machine without a disk', async () => {
  expect(await consoles.keep('api', piece)).toBe(false);
  expect(await consoles.read('api')).toBeNull();
});

it.each(['', '\n', '{"version":2,"seen":[]}\n', '{"version":1,"seen":[[9,0,0]]}\nshort', 'no line'])(
  'says that a damaged file is damaged: %j',
  async (text) => {
    await writeFile(layout.previousConsole('web'), text);
    await expect(consoles.read('web')).rejects.toMatchObject({ code: 'internal' });
  },
);
