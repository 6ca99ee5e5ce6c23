/** Which processes the driver takes for a VMM on the word of a record. Runs no QEMU. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isAlive, type ProcessIdentity, readBootId, readProcessStat } from '../../lib/procfs.ts';
import { StateLayout } from '../../storage/layout.ts';
import { QemuDriver } from './driver.ts';
import { RunDirectory } from './run-directory.ts';

const never = new AbortController().signal;

const isRoot = process.geteuid?.() === 0;
const vmmUid = 700_007;
const incarnation = 'abc';

let root: string;
let layout: StateLayout;
let directory: RunDirectory;
let driver: QemuDriver;
const children: ChildProcess[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flotilla-adopt-'));
  layout = new StateLayout(root);
  directory = new RunDirectory(layout, incarnation);
  await directory.create(isRoot ? vmmUid : null);
  driver = new QemuDriver({ layout, uidBase: isRoot ? vmmUid : null });
});
afterEach(async () => {
  await driver.close();
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
  await rm(root, { recursive: true });
});

/** A process that waits for input; the record names it. */
async function recorded(args: readonly string[], uid?: number): Promise<ProcessIdentity> {
  const child = spawn('/bin/sh', ['-c', 'read line', 'sh', ...args], {
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  children.push(child);
  await once(child, 'spawn');
  const stat = readProcessStat(Number(child.pid));
  if (stat === null) throw new Error('not spawned');
  const identity = { pid: stat.pid, startTime: stat.startTime };
  await directory.writeRecord({
    ...identity,
    bootId: readBootId(),
    incarnation,
    machineId: null,
    argumentsDigest: null,
    qemuVersion: null,
  });
  return identity;
}

it('neither adopts nor ends a process that a record names and that is no VMM', async () => {
  const identity = await recorded([]);
  expect(await driver.find(incarnation, never)).toBeNull();
  await driver.destroy(incarnation, never);
  expect(isAlive(identity)).toBe(true);
});

it("neither adopts nor ends another incarnation's VMM", async () => {
  const identity = await recorded(['-name', 'flotilla-abd', `path=${layout.runDir('abd')}/qmp.sock,`]);
  expect(await driver.find(incarnation, never)).toBeNull();
  await driver.destroy(incarnation, never);
  expect(isAlive(identity)).toBe(true);
});

it("adopts and ends the process that has the incarnation's command line", async () => {
  const identity = await recorded(['-name', 'flotilla-abc', `path=${directory.path}/qmp.sock,`]);
  expect(await driver.find(incarnation, never)).toMatchObject({ pid: identity.pid });
  await driver.destroy(incarnation, never);
  expect(isAlive(identity)).toBe(false);
});

it.runIf(isRoot)('ends a VMM that has written over its own command line', async () => {
  const identity = await recorded([], vmmUid);
  await driver.destroy(incarnation, never);
  expect(isAlive(identity)).toBe(false);
});
