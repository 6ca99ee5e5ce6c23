import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { limitsOfSize } from '../../core/ports/engine.ts';
import { hardwareDigest, manifestFile, readManifest } from './saved-state.ts';

const machine = {
  ...{ machineId: 'm', hostId: 'h', incarnation: 'i', slot: 0, vcpuCount: 1, memoryMib: 128, diskMib: 64 },
  ...{ disks: [], nics: [], limits: limitsOfSize },
};
const facts = { accelerator: 'tcg', tscKhz: 1, hasAcpi: true, hasNesting: false } as const;

test('a machine with ACPI tables is other hardware than one without', () => {
  const digest = hardwareDigest(machine, facts);
  expect(hardwareDigest({ ...machine, incarnation: 'j' }, { ...facts, tscKhz: 2 })).toBe(digest);
  expect(hardwareDigest(machine, { ...facts, hasAcpi: false })).not.toBe(digest);
});

test('a manifest of an earlier version is about a machine with ACPI tables', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'flotilla-saved-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const manifest = {
    ...{ version: 1, incarnation: 'i', qemuVersion: '7.2', processor: null, hardware: 'x' },
    ...{ kernelArgs: null, stateBytes: 0, stateSha256: '' },
  };
  await writeFile(manifestFile(directory), JSON.stringify(manifest));
  expect(await readManifest(directory)).toMatchObject({ hasAcpi: true });
  await writeFile(manifestFile(directory), JSON.stringify({ ...manifest, hasAcpi: false }));
  expect(await readManifest(directory)).toMatchObject({ hasAcpi: false });
});
