import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sampleMachine } from '../../store/testing/samples.ts';
import { StateLayout } from '../layout.ts';
import { RecordFiles } from './records.ts';

let layout: StateLayout;
let records: RecordFiles;
beforeEach(async () => {
  layout = new StateLayout(await mkdtemp(join(tmpdir(), 'flotilla-records-')));
  records = new RecordFiles(layout);
});
afterEach(() => rm(layout.root, { recursive: true }));

const recorded = async (id: string) =>
  JSON.parse(await readFile(layout.machineRecord(id), 'utf8')).machine as unknown;

test('a record is written before the disk, and not without one', async () => {
  const machine = sampleMachine();
  expect(await records.write(machine)).toBe(false);
  await expect(stat(layout.diskDir(machine.id))).rejects.toMatchObject({ code: 'ENOENT' });
  await records.begin(machine);
  await records.begin(machine);
  expect(await recorded(machine.id)).toEqual(machine);
  // Without a disk there is nothing to adopt.
  expect(await records.list()).toEqual([]);
  await writeFile(layout.disk(machine.id), '');
  expect(await records.list()).toEqual([{ machineId: machine.id, hasRecord: true, machine }]);
});

test('a newer record is not replaced by an older one, whoever writes last', async () => {
  const machine = sampleMachine({ revision: 4 });
  await records.begin(machine);
  await writeFile(layout.disk(machine.id), '');
  const of = (revision: number) => ({ ...machine, revision, incarnation: `boot${revision}` });
  const writes = [6, 5, 9, 7, 8].map((revision) => records.write(of(revision)));
  expect(await Promise.all(writes)).toEqual([true, true, true, true, true]);
  expect(await recorded(machine.id)).toEqual(of(9));
  expect(await new RecordFiles(layout).write(of(3))).toBe(true);
  expect(await recorded(machine.id)).toEqual(of(9));
});

test('an unreadable record, or one without a revision, is replaced', async () => {
  const machine = sampleMachine();
  await records.begin(machine);
  await writeFile(layout.disk(machine.id), '');
  const { revision: _, ...before } = machine;
  for (const text of ['{', 'null', JSON.stringify({ version: 1, machine: before })]) {
    await writeFile(layout.machineRecord(machine.id), text);
    await records.write(machine);
    expect(await recorded(machine.id)).toEqual(machine);
  }
});
