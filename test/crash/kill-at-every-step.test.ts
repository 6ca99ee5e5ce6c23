/**
 * Kills the daemon with SIGKILL after every record of every operation, on real guests: the next daemon
 * finishes the operation, and the host matches the records: processes, disks, sockets, taps, rules and ports.
 */
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { FlotillaClient, Machine } from '../../sdk/src/index.ts';
import type { MachineOperationKind } from '../../src/core/machines/steps/definitions.ts';
import { type BridgeHost, makeBridgeHost } from '../support/bridge.ts';
import {
  type DaemonProcess,
  type KillMoment,
  makeStateDirectory,
  startDaemonProcess,
} from '../support/daemon.ts';
import { processesNaming } from '../support/host.ts';
import { machineCases, momentsOf } from './operation-cases.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let directory: Awaited<ReturnType<typeof makeStateDirectory>>;
let bridge: BridgeHost;
const start = (killAt?: KillMoment) => startDaemonProcess(directory.path, killAt, bridge.env);
beforeAll(async () => {
  directory = await makeStateDirectory();
  bridge = await makeBridgeHost();
});
afterAll(async () => {
  const daemon = await start();
  await daemon.client.machines.delete('web', { force: true }).catch(() => undefined);
  await daemon.terminate();
  await directory.remove();
  await bridge.close();
});

/** Requests an action; rejects like the client. */
async function post(action: 'pause' | 'resume' | 'suspend'): Promise<void> {
  const read = async (file: string) => (await readFile(join(directory.path, file), 'utf8')).trim();
  const headers = { Authorization: `Bearer ${await read('admin.key')}` };
  const url = `${await read('daemon.url')}/machines/web/${action}`;
  const { status } = await fetch(url, { method: 'POST', headers }).catch(() => ({ status: 0 }));
  if (status !== 200) throw Object.assign(new Error(`${action} was answered ${status}`), { status });
}

const spec = { name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' };
const hostPort = 18_080;

/** Those on snapshots are in snapshots-at-every-step.test.ts. */
type Kind = Exclude<MachineOperationKind, 'machine.clone' | 'machine.revert'>;

const acts: Readonly<Record<Kind, (client: FlotillaClient) => Promise<unknown>>> = {
  'machine.create': ({ machines }) =>
    machines.create({ ...spec, network: { ports: [{ host_port: hostPort, guest_port: 80 }] } }),
  'machine.start': ({ machines }) => machines.start('web'),
  'machine.restart': ({ machines }) => machines.restart('web'),
  'machine.stop': ({ machines }) => machines.stop('web'),
  'machine.pause': () => post('pause'),
  'machine.resume': () => post('resume'),
  'machine.suspend': () => post('suspend'),
  'machine.restore': ({ machines }) => machines.start('web'),
  'machine.delete': ({ machines }) => machines.delete('web', { force: true }),
};

/** The status in which each operation starts and ends; null: there is no machine. */
const ends: Readonly<Record<Kind, readonly [from: string | null, to: string | null]>> = {
  'machine.create': [null, 'pending'],
  'machine.start': ['stopped', 'running'],
  'machine.restart': ['running', 'running'],
  'machine.stop': ['running', 'stopped'],
  'machine.pause': ['running', 'paused'],
  'machine.resume': ['paused', 'running'],
  'machine.suspend': ['running', 'suspended'],
  'machine.restore': ['suspended', 'running'],
  'machine.delete': ['running', null],
};

async function statusOf({ machines }: FlotillaClient): Promise<string | null> {
  const { machines: all } = await machines.list();
  return all[0]?.status ?? null;
}

/** How many operations have not ended. */
async function openCount({ operations }: FlotillaClient): Promise<number> {
  return (await operations.list({ state: 'running' })).total;
}

/** Brings the machine to the operation's starting point by the shortest way. */
async function bringTo(client: FlotillaClient, wanted: string | null): Promise<void> {
  const status = await statusOf(client);
  if (status === wanted) return;
  if (wanted === null) return void (await acts['machine.delete'](client));
  if (status === null) await acts['machine.create'](client);
  if (wanted === 'stopped' && (await statusOf(client)) === 'pending') return;
  if (wanted === 'running' && status === 'paused') await acts['machine.resume'](client);
  else if (wanted === 'running' || (['paused', 'suspended'].includes(wanted) && status !== 'running'))
    await acts['machine.start'](client);
  if (wanted === 'suspended') await acts['machine.suspend'](client);
  if (wanted === 'paused') await acts['machine.pause'](client);
  if (wanted === 'stopped') await acts['machine.stop'](client);
}

/** Compares processes, run directories, disks and sockets with the API's answers. */
async function expectTruth(client: FlotillaClient): Promise<void> {
  const { machines } = await client.machines.list();
  const disks = await readdir(join(directory.path, 'disks'));
  expect(disks).toEqual(machines.map(({ id }) => id));
  const runs = await readdir(join(directory.path, 'run'));
  expect(runs.length).toBeLessThanOrEqual(machines.length);
  const vmms = (await processesNaming(`${directory.path}/run/`)).map(({ pid }) => pid);
  const [machine] = machines;
  await expectNetwork(machine);
  if (machine?.status !== 'running' && machine?.status !== 'paused') return expect(vmms).toEqual([]);
  const { pid } = await client.machines.get(machine.id);
  expect(vmms).toEqual([pid]);
  await access(join(directory.path, 'run', runs[0] ?? '', 'qmp.sock'));
  if (machine.status === 'paused') return;
  expect(await client.machines.exec(machine.id, { command: ['hostname'] })).toMatchObject({
    stdout: 'web\n',
  });
}

/** A machine with a VMM has its tap, its rules and its port; without one nothing of it is there. */
async function expectNetwork(machine: Pick<Machine, 'id' | 'status'> | undefined): Promise<void> {
  const isAttached = machine?.status === 'running' || machine?.status === 'paused';
  const taps = isAttached ? [`ft${machine.id}`] : [];
  const found = (text: string, pattern: RegExp) => [...new Set(text.match(pattern))];
  const tapNames = /\bf[ts][a-z0-9]{12}\b/g;
  expect(found(await bridge.host.run('ip', ['link', 'show']), tapNames)).toEqual(taps);
  const rules = await bridge.host.run('nft', ['list', 'ruleset']);
  expect(found(rules, tapNames)).toEqual(taps);
  expect(found(rules, new RegExp(`\\b${hostPort}\\b`, 'g'))).toEqual(isAttached ? [String(hostPort)] : []);
  const neighbours = await bridge.host.run('ip', [
    'neighbour',
    'show',
    'dev',
    'flotilla0',
    'nud',
    'permanent',
  ]);
  expect(neighbours.split('\n').filter(Boolean)).toHaveLength(taps.length);
}

const isHere = (kind: MachineOperationKind): kind is Kind => kind in ends;
type Moment = KillMoment & { readonly kind: Kind };
const moments: readonly Moment[] = machineCases.flatMap(({ kind, steps }) =>
  isHere(kind) ? momentsOf(kind, { steps }) : [],
);

/** Orders them so that most begin where the one before ended: bringing a machine there takes longer than the test. */
function chained(all: readonly Moment[]): readonly Moment[] {
  const left = [...all];
  const chain: Moment[] = [];
  let status: string | null = null;
  while (left.length > 0) {
    const beginsHere = ({ kind }: Moment) => {
      const [from] = ends[kind];
      return from === status || (from === 'stopped' && status === 'pending');
    };
    const next = left.splice(Math.max(0, left.findIndex(beginsHere)), 1);
    chain.push(...next);
    for (const { kind } of next) [, status] = ends[kind];
  }
  return chain;
}

describe('killed', () => {
  test.each(chained(moments))('$kind: $step $phase', async (moment) => {
    const [from, to] = ends[moment.kind];
    // What brings the machine to the starting point is never of the same kind, so it is not killed.
    let daemon: DaemonProcess = await start(moment);
    await bringTo(daemon.client, from);
    await expect(acts[moment.kind](daemon.client)).rejects.toMatchObject({ status: 0 });
    await daemon.exited;

    daemon = await start();
    try {
      // The daemon listens as soon as the operation has a runner; it ends soon after.
      await vi.waitUntil(async () => (await openCount(daemon.client)) === 0, {
        timeout: 60_000,
        interval: 200,
      });
      expect(await statusOf(daemon.client)).toBe(to);
      await expectTruth(daemon.client);
    } finally {
      await daemon.terminate();
    }
  });
});
