/** What a hostile VMM may put into its run directory, which also holds the daemon's records. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import {
  chown,
  link,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ExitFacts } from '../../core/ports/engine.ts';
import { StateLayout } from '../../storage/layout.ts';
import { makeDeepTree } from '../testing/deep-tree.ts';
import { readTail } from './owned-file.ts';
import { RunDirectory, type VmmRecord } from './run-directory.ts';

const isRoot = process.geteuid?.() === 0;
const vmmUid = 700_007;
const facts: ExitFacts = {
  kind: 'powered_off',
  exitCode: null,
  signal: null,
  reason: 'the guest powered off',
};
const record: VmmRecord = {
  pid: 4242,
  startTime: '17',
  bootId: 'b',
  incarnation: 'abc',
  hostId: 'host',
  machineId: null,
  argumentsDigest: null,
  kernelArgs: null,
  hasAcpi: true,
  qemuVersion: null,
  ...{ hardware: null, processor: null, memoryMib: null, restoredFrom: null },
};

let root: string;
let directory: RunDirectory;
let warnings: string[];
const fifos: string[] = [];

const fileOf = (name: string) => join(directory.path, name);

async function makeFifo(path: string): Promise<void> {
  await rm(path, { force: true });
  await promisify(execFile)('mkfifo', [path]);
  fifos.push(path);
}

/** What may be in a record's place, each with a function that makes it as an absent VMM would have. */
const obstacles: readonly (readonly [string, (path: string, text: string) => Promise<void>])[] = [
  ['a FIFO', async (path) => await makeFifo(path)],
  ['a link to an endless file', async (path) => await symlink('/dev/zero', path)],
  [
    'a link to a whole record',
    async (path, text) => {
      await writeFile(`${path}.target`, text);
      await symlink(`${path}.target`, path);
    },
  ],
  [
    'a second name of a file',
    async (path, text) => {
      await writeFile(`${path}.target`, text);
      await link(`${path}.target`, path);
    },
  ],
  ['a directory', async (path) => void (await mkdir(join(path, 'inner'), { recursive: true }))],
  [
    'more than a record can be',
    async (path, text) => {
      await writeFile(path, `${text}${' '.repeat(64 * 1024)}`);
    },
  ],
];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flotilla-run-'));
  warnings = [];
  const log = { warn: (_: unknown, message?: string) => void warnings.push(String(message)) };
  directory = new RunDirectory(new StateLayout(root), 'abc', log);
  await directory.create('host', isRoot ? vmmUid : null);
});
afterEach(async () => {
  for (const path of fifos.splice(0)) {
    // Releases a reader that waits for the other end, in case the code under test blocks.
    const handle = await open(path, constants.O_RDWR | constants.O_NONBLOCK).catch(() => null);
    await handle?.close();
  }
  await rm(root, { recursive: true });
});

describe('records', () => {
  it('are read back as written, and are absent before', async () => {
    expect([await directory.readExit(), await directory.readRecord()]).toEqual([null, null]);
    await directory.writeExit(facts);
    await directory.writeRecord(record);
    expect(await directory.readExit()).toEqual(facts);
    expect(await directory.readRecord()).toEqual(record);
    expect(warnings).toEqual([]);
  });

  it('exist from the start, so that the sticky bit protects them from the VMM', async () => {
    for (const name of ['vmm.json', 'exit.json']) {
      const { uid, mode } = await stat(fileOf(name));
      expect([uid, mode & 0o777]).toEqual([process.geteuid?.(), 0o600]);
    }
  });

  describe.each(obstacles)('with %s in their place', (_, put) => {
    it('count as absent, and a warning is logged', async () => {
      for (const [name, value] of [['exit.json', facts] as const, ['vmm.json', record] as const]) {
        await rm(fileOf(name), { force: true });
        await put(fileOf(name), JSON.stringify(value));
      }
      expect([await directory.readExit(), await directory.readRecord()]).toEqual([null, null]);
      expect(warnings).toHaveLength(2);
    });

    it('replace it', async () => {
      await rm(fileOf('exit.json'), { force: true });
      await put(fileOf('exit.json'), JSON.stringify(record));
      await directory.writeExit(facts);
      expect(await directory.readExit()).toEqual(facts);
      expect((await lstat(fileOf('exit.json'))).mode & 0o777).toBe(0o600);
    });
  });

  it.runIf(isRoot)('are rejected when another user wrote them', async () => {
    await directory.writeExit(facts);
    await directory.writeRecord(record);
    for (const name of ['vmm.json', 'exit.json']) await chown(fileOf(name), vmmUid, vmmUid);
    expect([await directory.readExit(), await directory.readRecord()]).toEqual([null, null]);
  });
});

describe('the console and the log', () => {
  it('are empty when something else is in their place', async () => {
    const { consoleFile, logFile } = directory;
    await rm(consoleFile);
    await symlink('/dev/zero', consoleFile);
    await makeFifo(logFile);
    expect(await directory.consoleTail(10)).toHaveLength(0);
    expect(await directory.logTail()).toBe('');
    await rm(consoleFile);
    await mkdir(consoleFile);
    expect(await directory.consoleTail(10)).toHaveLength(0);
  });

  it('are read only as far as requested', async () => {
    await truncate(directory.logFile, 8 * 1024 * 1024 * 1024);
    expect(await readTail(directory.logFile, 100)).toHaveLength(100);
    expect(await directory.logTail()).toHaveLength(4096);
  });
});

it('removes a file with the name of a socket, and leaves a tree for destroy', async () => {
  await mkdir(join(directory.qmpSocket, 'inner'), { recursive: true });
  const target = join(root, 'target');
  await writeFile(target, 'kept');
  await symlink(target, directory.agentSocket);
  await directory.removeSockets();
  await expect(lstat(directory.agentSocket)).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await readFile(target, 'utf8')).toBe('kept');
  await directory.remove();
  expect(await directory.exists()).toBe(false);
});

it('is removed with a tree in it that is deeper than the longest path', async () => {
  makeDeepTree(directory.qmpSocket);
  await directory.remove();
  expect(await directory.exists()).toBe(false);
});

it.runIf(isRoot)('knows the user of its VMM', async () => {
  expect(await directory.vmmUid()).toBe(vmmUid);
  const own = new RunDirectory(new StateLayout(root), 'abd');
  await own.create('host', null);
  expect(await own.vmmUid()).toBeNull();
});

it('names its host before and after its VMM is known, unless the VMM owns the file', async () => {
  expect(await directory.readHostId()).toBe('host');
  expect(await directory.readRecord()).toBeNull();
  await directory.writeRecord({ ...record, hostId: 'another' });
  expect(await directory.readHostId()).toBe('another');
  // Records of an earlier version.
  await writeFile(fileOf('vmm.json'), JSON.stringify({ ...record, hostId: undefined }));
  expect(await directory.readHostId()).toBeNull();
  await writeFile(fileOf('vmm.json'), '');
  expect(await directory.readHostId()).toBeNull();
});

it.runIf(isRoot)('does not trust a VMM’s file about its host', async () => {
  await chown(fileOf('vmm.json'), vmmUid, vmmUid);
  expect(await directory.readHostId()).toBeNull();
});
