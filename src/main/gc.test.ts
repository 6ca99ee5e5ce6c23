import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ageQuarantine, listQuarantine, quarantineDisk } from '../storage/disks/quarantine.ts';
import { StateLayout } from '../storage/layout.ts';
import { readConfig } from './config.ts';
import { gc } from './gc.ts';

let layout: StateLayout;
beforeEach(async () => {
  layout = new StateLayout(await mkdtemp(join(tmpdir(), 'quarantine-')));
  for (const id of ['a', 'b']) {
    await mkdir(layout.diskDir(id), { recursive: true });
    await writeFile(layout.disk(id), `disk of ${id}`);
    await writeFile(layout.machineRecord(id), `record of ${id}`);
  }
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(layout.root, { recursive: true });
});

test('a disk is moved together with its record, and listed with its time; a missing disk is no error', async () => {
  await quarantineDisk(layout, 'a', new Date(2000));
  await quarantineDisk(layout, 'a', new Date(3000));
  await quarantineDisk(layout, 'b', new Date(1000));
  expect(await readdir(layout.disks)).toEqual([]);
  const found = await listQuarantine(layout);
  expect(found).toMatchObject([
    { machineId: 'b', since: new Date(1000) },
    { machineId: 'a', since: new Date(2000) },
  ]);
  expect(await readFile(join(found[1]?.path ?? '', 'root.qcow2'), 'utf8')).toBe('disk of a');
  expect(await readFile(join(found[1]?.path ?? '', 'machine.json'), 'utf8')).toBe('record of a');
});

test('a disk is removed when it was kept long enough, independently of its timestamp and the clock', async () => {
  const [now, future] = [Date.now(), new Date(Date.now() + 1e10)];
  await quarantineDisk(layout, 'a', new Date(0));
  await quarantineDisk(layout, 'b', future);
  vi.useFakeTimers({ now: now + 1e11, toFake: ['Date'] });
  // Its age starts when it is first seen.
  expect(await ageQuarantine(layout, 5_000, 1_000)).toEqual([]);
  expect(await ageQuarantine(layout, 600, 1_000)).toEqual([]);
  await rename(join(layout.quarantine, `b.${future.getTime()}`), layout.diskDir('b'));
  await quarantineDisk(layout, 'b', new Date(7));
  expect(await ageQuarantine(layout, 300, 1_000)).toEqual([]);
  expect(await ageQuarantine(layout, 100, 1_000)).toEqual(['a.0']);
  expect((await readdir(layout.quarantine)).sort()).toEqual(['ages.json', 'b.7']);
  expect(await ageQuarantine(layout, 900, 1_000)).toEqual(['b.7']);
});

test.each(['', '{', 'null', '[1]', '{"a.1000": -1}', '{"a.1000": "old"}'])(
  'unreadable ages are reset: %j',
  async (text) => {
    await quarantineDisk(layout, 'a', new Date(1000));
    await writeFile(layout.quarantineAges, text);
    expect(await ageQuarantine(layout, 5_000, 1_000)).toEqual([]);
    expect(await ageQuarantine(layout, 5_000, 1_000)).toEqual(['a.1000']);
  },
);

test('gc prints what it removes, and removes nothing in a dry run', async () => {
  // Also a disk whose timestamp is in the future.
  await quarantineDisk(layout, 'a', new Date(1e14));
  const config = readConfig({ FLOTILLA_STATE_DIR: layout.root });
  const run = async (isDryRun: boolean) => {
    const lines: string[] = [];
    await gc(config, { isDryRun }, (line) => lines.push(line));
    return lines;
  };
  expect(await run(true)).toEqual([
    expect.stringMatching(/^Would remove disk of unknown machine a, in .*a\.1/),
  ]);
  expect(await readdir(layout.quarantine)).toEqual([`a.${1e14}`]);
  expect(await run(false)).toEqual([expect.stringMatching(/^Removed disk of unknown machine a/)]);
  expect(await run(false)).toEqual(['Nothing to remove']);
  expect(await readdir(layout.disks)).toEqual(['b']);
});
