/** Which processes the driver accepts as a VMM because of a record. Runs no QEMU. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { EngineHandle, ExitFacts } from '../../core/ports/engine.ts';
import { isAlive, type ProcessIdentity, readBootId, readProcessStat } from '../../lib/procfs.ts';
import { StateLayout } from '../../storage/layout.ts';
import { makeDeepTree } from '../testing/deep-tree.ts';
import { type FakeQmp, serveFakeQmp, speakQmp } from '../testing/fake-qmp.ts';
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
const monitors: FakeQmp[] = [];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flotilla-adopt-'));
  layout = new StateLayout(root);
  directory = new RunDirectory(layout, incarnation);
  await directory.create('host', isRoot ? vmmUid : null);
  driver = new QemuDriver({ layout, uidBase: isRoot ? vmmUid : null });
});
afterEach(async () => {
  await driver.close();
  for (const monitor of monitors.splice(0)) await monitor.close();
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
  await rm(root, { recursive: true });
});

/** A process that waits for input, named by a record. */
async function recorded(
  args: readonly string[],
  uid?: number,
  bootId: string = readBootId(),
): Promise<ProcessIdentity> {
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
    bootId,
    incarnation,
    hostId: 'host',
    machineId: null,
    argumentsDigest: null,
    kernelArgs: null,
    hasAcpi: true,
    qemuVersion: null,
    ...{ hardware: null, processor: null, memoryMib: null, restoredFrom: null },
  });
  return identity;
}

it('neither adopts nor ends a recorded process that is not a VMM', async () => {
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

it.runIf(isRoot)('ends a VMM that has overwritten its command line', async () => {
  const identity = await recorded([], vmmUid);
  await driver.destroy(incarnation, never);
  expect(isAlive(identity)).toBe(false);
});

it('ignores a record of another host boot, whose pid may have been reused', async () => {
  const identity = await recorded([], isRoot ? vmmUid : undefined, 'another boot');
  expect(await driver.find(incarnation, never)).toBeNull();
  await driver.destroy(incarnation, never);
  expect(isAlive(identity)).toBe(true);
});

const ownCommandLine = () => ['-name', 'flotilla-abc', `path=${directory.path}/qmp.sock,`];

/** The handle of a process that looks like the VMM. */
async function adopted(): Promise<EngineHandle> {
  await recorded(ownCommandLine());
  const handle = await driver.find(incarnation, never);
  if (handle === null) throw new Error('the VMM was not found');
  return handle;
}

function exitOf(handle: EngineHandle): Promise<ExitFacts> {
  const { promise, resolve } = Promise.withResolvers<ExitFacts>();
  driver.onExit(handle, resolve);
  return promise;
}

it("sends nothing to another VMM's monitor through a link in its socket's place", async () => {
  let heard = 0;
  const monitor = await serveFakeQmp(() => {
    heard += 1;
  });
  monitors.push(monitor);
  await symlink(monitor.path, directory.qmpSocket);
  const handle = await adopted();
  await expect(driver.pause.pause(handle, never)).rejects.toMatchObject({
    code: 'engine',
    cause: { name: 'ForeignSocketError' },
  });
  await driver.stop(handle, never);
  expect(heard).toBe(0);
});

it.each([
  ['internal-error', /internal error/],
  ['guest-panicked', /panicked/],
  ['io-error', /I\/O error/],
])('ends a VMM whose guest cannot continue, and says why: %s', async (status, reason) => {
  const answers: Readonly<Record<string, unknown>> = {
    'query-status': { status },
    'query-block': [{ device: 'disk0', 'io-status': 'failed' }],
  };
  const answer = ({ execute, id }: { execute: string; id: number }) =>
    `${JSON.stringify({ return: answers[execute] ?? {}, id })}\n`;
  monitors.push(await serveFakeQmp((socket) => speakQmp(socket, answer), directory.qmpSocket));
  const handle = await adopted();
  expect(await exitOf(handle)).toMatchObject({ kind: 'died', reason: expect.stringMatching(reason) });
  expect(await driver.inspect(handle, never)).toMatchObject({ state: 'exited', facts: { kind: 'died' } });
  expect(await driver.listLiving(never)).toEqual([]);
});

it('keeps a guest that waits for disk space, and says so', async () => {
  const answer = ({ execute, id }: { execute: string; id: number }) => {
    const value = execute === 'query-status' ? { status: 'io-error' } : [{ 'io-status': 'nospace' }];
    return `${JSON.stringify({ return: value, id })}\n`;
  };
  monitors.push(await serveFakeQmp((socket) => speakQmp(socket, answer), directory.qmpSocket));
  expect(await driver.inspect(await adopted(), never)).toEqual({ state: 'paused', reason: 'disk_full' });
});

it.runIf(isRoot)(
  'reports the end of a VMM that left a tree deeper than any path, and removes it',
  async () => {
    makeDeepTree(directory.agentSocket);
    const handle = await adopted();
    const exit = exitOf(handle);
    children[0]?.kill('SIGKILL');
    expect(await exit).toMatchObject({ kind: 'died' });
    await driver.destroy(incarnation, never);
    expect(await driver.list(never)).toEqual([]);
  },
);
