/**
 * Kills the daemon with SIGKILL after every record of every operation on snapshots, and while a guest's memory is copied, on
 * real guests: the next daemon finishes the operation, the guest goes on, and no files are left that nothing owns.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { FlotillaClient } from '../../sdk/src/index.ts';
import type { OperationKind } from '../../src/core/operations/operation.ts';
import {
  type DaemonProcess,
  type KillMoment,
  makeStateDirectory,
  startDaemonProcess,
} from '../support/daemon.ts';
import { processesNaming } from '../support/host.ts';
import { momentsOf, operationCases } from './operation-cases.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let directory: Awaited<ReturnType<typeof makeStateDirectory>>;
const start = (killAt?: KillMoment) => startDaemonProcess(directory.path, killAt);
beforeAll(async () => {
  directory = await makeStateDirectory();
});
afterAll(async () => {
  const daemon = await start();
  const { machines, snapshots } = daemon.client;
  for (const { id } of (await machines.list()).machines) await machines.delete(id, { force: true });
  for (const { id } of (await snapshots.list()).snapshots) await snapshots.delete(id);
  await daemon.terminate();
  await directory.remove();
});

const spec = { name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' };
const source = { kind: 'snapshot', snapshot: 'moment' } as const;

const marked = async ({ machines }: FlotillaClient, machine: string) =>
  (await machines.exec(machine, { command: ['cat', '/run/mark'] })).stdout.trim();
const mark = ({ machines }: FlotillaClient, text: string) =>
  machines.exec('web', { command: ['sh', '-c', `echo ${text} > /run/mark`] });

/** A machine that runs, and has a snapshot of when its mark was `one`, if asked. */
async function prepare(client: FlotillaClient, hasSnapshot: boolean): Promise<void> {
  const { machines, snapshots } = client;
  const names = (await machines.list()).machines.map(({ name }) => name);
  if (!names.includes('web')) await machines.create(spec);
  if (names.includes('copy')) await machines.delete('copy', { force: true });
  if ((await machines.get('web')).status !== 'running') await machines.start('web');
  await mark(client, 'one');
  const { snapshots: taken } = await snapshots.list();
  if (hasSnapshot && taken.length === 0) await snapshots.create('web', { name: 'moment' });
  if (!hasSnapshot && taken.length > 0) await snapshots.delete('moment');
  if (hasSnapshot) await mark(client, 'two');
}

type Kind = Extract<OperationKind, `snapshot.${string}` | 'machine.clone' | 'machine.revert'>;

const acts: Readonly<Record<Kind, (client: FlotillaClient) => Promise<unknown>>> = {
  'snapshot.create': ({ snapshots }) => snapshots.create('web', { name: 'moment' }),
  'snapshot.delete': ({ snapshots }) => snapshots.delete('moment'),
  'machine.clone': ({ machines }) => machines.create({ name: 'copy', source }),
  'machine.revert': ({ snapshots }) => snapshots.restore('moment'),
};

/** Waits until the operations have ended that the daemon before has left. */
const settled = ({ operations }: FlotillaClient) =>
  vi.waitUntil(async () => (await operations.list({ state: 'running' })).total === 0, {
    timeout: 60_000,
    interval: 200,
  });

const checks: Readonly<Record<Kind, (client: FlotillaClient) => Promise<void>>> = {
  'snapshot.create': expectTaken,
  async 'snapshot.delete'(client) {
    expect((await client.snapshots.list()).snapshots).toEqual([]);
    expect(await marked(client, 'web')).toBe('two');
  },
  async 'machine.clone'(client) {
    expect(await client.machines.start('copy')).toMatchObject({ boot_kind: 'restored' });
    expect(await marked(client, 'copy')).toBe('one');
    expect(await marked(client, 'web')).toBe('two');
  },
  async 'machine.revert'(client) {
    expect(await client.machines.get('web')).toMatchObject({ status: 'suspended' });
    expect(await client.machines.start('web')).toMatchObject({ boot_kind: 'restored' });
    expect(await marked(client, 'web')).toBe('one');
  },
};

/** The guest runs on, and the snapshot is whole. */
async function expectTaken(client: FlotillaClient): Promise<void> {
  expect((await client.snapshots.list()).snapshots).toMatchObject([{ name: 'moment', status: 'ready' }]);
  await mark(client, 'two');
  await client.snapshots.restore('moment');
  expect(await marked(client, 'web')).toBe('one');
}

/** Each file has an owner, and each machine that is up its VMM. */
async function expectTruth({ machines, snapshots }: FlotillaClient): Promise<void> {
  const { machines: all } = await machines.list();
  const { snapshots: taken } = await snapshots.list();
  const filesIn = async (name: string) =>
    (await readdir(join(directory.path, name)).catch(() => [])).toSorted();
  expect(await filesIn('snapshots')).toEqual(taken.map(({ id }) => id).toSorted());
  expect(await filesIn('disks')).toEqual(all.map(({ id }) => id).toSorted());
  const up = await Promise.all(all.map(async ({ id }) => (await machines.get(id)).pid));
  const vmms = await processesNaming(`${directory.path}/run/`);
  expect(vmms.map(({ pid }) => pid).toSorted()).toEqual(up.filter((pid) => pid !== null).toSorted());
}

const isHere = (kind: OperationKind): kind is Kind => kind in acts;
const moments = operationCases.flatMap(({ kind, steps }) => (isHere(kind) ? momentsOf(kind, { steps }) : []));

/** Kills the daemon in the middle of the action, and looks at what the next one makes of it. */
async function killedDuring(kind: Kind, daemon: DaemonProcess, kill?: () => Promise<void>): Promise<void> {
  await prepare(daemon.client, kind !== 'snapshot.create');
  const refused = expect(acts[kind](daemon.client)).rejects.toMatchObject({ status: 0 });
  await kill?.();
  await refused;
  await daemon.exited;
  const next = await start();
  try {
    await settled(next.client);
    await expectTruth(next.client);
    await checks[kind](next.client);
    await expectTruth(next.client);
  } finally {
    await next.terminate();
  }
}

describe('killed', () => {
  test.each(moments)('$kind: $step $phase', async (moment) => {
    await killedDuring(moment.kind, await start(moment));
  });

  test('while memory is copied: the guest does not stay paused', async () => {
    const daemon = await start();
    await killedDuring('snapshot.create', daemon, async () => {
      const isCopied = async () => {
        const names = await readdir(join(directory.path, 'snapshots'), { recursive: true });
        return names.some((name) => name.endsWith('memory/state'));
      };
      await vi.waitUntil(isCopied, { timeout: 60_000, interval: 1 });
      await daemon.kill();
    });
  });
});
