import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { emptyQuarantine, listQuarantine, quarantineDisk } from '../storage/disks/quarantine.ts';
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
afterEach(() => rm(layout.root, { recursive: true }));

test('a disk is moved whole, with its record, and listed with its time; moving nothing succeeds', async () => {
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

test('only what is old enough is removed', async () => {
  await quarantineDisk(layout, 'a', new Date(1000));
  await quarantineDisk(layout, 'b', new Date(2000));
  expect(await emptyQuarantine(layout, new Date(1999))).toEqual(['a.1000']);
  expect(await readdir(layout.quarantine)).toEqual(['b.2000']);
});

test('gc says what it removes, and removes nothing when it is only asked', async () => {
  await quarantineDisk(layout, 'a', new Date(1000));
  const config = readConfig({ FLOTILLA_STATE_DIR: layout.root });
  const run = async (isDryRun: boolean) => {
    const lines: string[] = [];
    await gc(config, { isDryRun }, (line) => lines.push(line));
    return lines;
  };
  expect(await run(true)).toEqual([
    expect.stringMatching(/^would remove disk of unknown machine a, in .*a\.1000/),
  ]);
  expect(await readdir(layout.quarantine)).toEqual(['a.1000']);
  expect(await run(false)).toEqual([expect.stringMatching(/^removed disk of unknown machine a/)]);
  expect(await run(false)).toEqual(['nothing to remove']);
  expect(await readdir(layout.disks)).toEqual(['b']);
});
