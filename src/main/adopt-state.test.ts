/**
 * A database that does not belong to the state directory is refused without losing anything, and the machines
 * are adopted on request.
 */
import { copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Machine } from '../core/machines/machine.ts';
import { transition } from '../core/machines/transition.ts';
import { limitsOfSize } from '../core/ports/engine.ts';
import { FakeDriver } from '../engines/fake/driver.ts';
import { silentLog } from '../lib/log.ts';
import { readBootId } from '../lib/procfs.ts';
import { StateLayout } from '../storage/layout.ts';
import { migrate } from '../store/migrate.ts';
import { migrations } from '../store/migrations/index.ts';
import { openSqlite } from '../store/sqlite.ts';
import { sampleMachine, sampleOperation } from '../store/testing/samples.ts';
import { type Config, readConfig } from './config.ts';
import { type Daemon, startDaemon } from './serve.ts';

let directory: string;
let layout: StateLayout;
let config: Config;
let driver: FakeDriver;
let daemon: Daemon | null;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'f-'));
  const stateDir = join(directory, 'state');
  const cacheDir = join(directory, 'cache');
  layout = new StateLayout(stateDir);
  config = readConfig({ FLOTILLA_STATE_DIR: stateDir, FLOTILLA_CACHE_DIR: cacheDir, PORT: '0' });
  driver = new FakeDriver({ kind: 'fake' });
  daemon = null;
});
afterEach(async () => {
  await daemon?.close();
  await rm(directory, { recursive: true });
});

async function start(isAdopting = false): Promise<Daemon> {
  const engines = new Map([['fake', driver]]);
  daemon = await startDaemon(config, silentLog, { engines, isAdopting });
  return daemon;
}

async function stop(): Promise<void> {
  await daemon?.close();
  daemon = null;
}

/** Makes one machine of each kind, like a daemon would have. */
async function makeMachines({ flotilla }: Daemon): Promise<readonly Machine[]> {
  const { hostId } = flotilla.owner;
  const signal = new AbortController().signal;
  const made: Machine[] = [];
  for (const [slot, incarnation] of [
    [3, 'boot1'],
    [5, 'boot2'],
    [8, null],
  ] as const) {
    const sample = sampleMachine({ hostId, slot, incarnation, bootId: readBootId() });
    const network = { ...sample.spec.network, address: `10.77.0.${slot}`, ports: [] };
    const spec = { ...sample.spec, engine: 'fake', network };
    await mkdir(layout.diskDir(sample.id), { recursive: true });
    await writeFile(layout.disk(sample.id), `disk of ${sample.id}`);
    let machine: Machine = { ...sample, spec, state: incarnation === null ? 'created' : 'stopped' };
    if (incarnation === 'boot1') {
      const handle = await driver.launch(
        {
          ...{ machineId: machine.id, hostId, incarnation, slot, vcpuCount: 1, memoryMib: 64, diskMib: 64 },
          source: { kind: 'kernel', kernelPath: '/k', initrdPath: '/i', kernelArgs: '' },
          ...{ disks: [], nics: [], limits: limitsOfSize },
        },
        signal,
      );
      machine = { ...machine, state: 'running', desired: 'running', handle };
    }
    made.push(await flotilla.store.machines.insert(machine));
    const owner = { kind: 'machine', id: machine.id } as const;
    const range = { min: slot, max: slot };
    await flotilla.store.allocations.take({
      hostId,
      kind: 'vmm_uid',
      owner,
      ...range,
      at: machine.createdAt,
    });
  }
  return made;
}

const idsOf = (machines: readonly { readonly id: string }[]) => machines.map(({ id }) => id).sort();

async function expectNothingLost(machines: readonly Machine[]): Promise<void> {
  expect((await readdir(layout.disks)).sort()).toEqual(idsOf(machines));
  expect(driver.host.machines.get('boot1')?.status).toEqual({ state: 'running' });
}

test('a lost database is refused with a clear error, nothing is lost, and --adopt-state restores all machines', async () => {
  const first = await start();
  const machines = await makeMachines(first);
  const { epoch } = first.flotilla.owner;
  await stop();
  await rename(layout.database, join(directory, 'away.db'));

  await expect(start()).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('does not belong to this state directory'),
    hint: expect.stringContaining('--adopt-state'),
  });
  await expectNothingLost(machines);
  // Not even an empty database is made, which would be in the way of the right one.
  expect(await readdir(layout.root)).not.toContain('flotilla.db');

  const { flotilla } = await start(true);
  const { hostId } = flotilla.owner;
  const adopted = await flotilla.store.machines.all(hostId);
  expect(idsOf(adopted)).toEqual(idsOf(machines));
  for (const before of machines) {
    const after = adopted.find(({ id }) => id === before.id);
    const { state, spec, tenant, slot, imageDigest, incarnation, handle } = before;
    const desired = state === 'running' ? 'running' : 'stopped';
    expect(after).toMatchObject({ state, spec, tenant, slot, imageDigest, incarnation, handle, desired });
  }
  await expectNothingLost(machines);
  expect(flotilla.owner.epoch).toBeGreaterThan(epoch);
  // They have their allocated numbers again.
  const owner = { kind: 'machine', id: 'other' } as const;
  const taken = { hostId, kind: 'vmm_uid', owner, min: 3, max: 3, at: new Date().toISOString() } as const;
  await expect(flotilla.store.allocations.take(taken)).rejects.toMatchObject({ code: 'exhausted' });

  // From here on, the state directory and the new database belong together.
  await stop();
  await start();
  await expectNothingLost(machines);
});

test('an older copy of the database is refused, also for adoption, and nothing is lost', async () => {
  await start();
  await stop();
  await copyFile(layout.database, join(directory, 'copy.db'));
  const machines = await makeMachines(await start());
  await stop();
  await rename(layout.database, join(directory, 'newest.db'));
  await copyFile(join(directory, 'copy.db'), layout.database);
  await expect(start()).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('it is an older copy'),
  });
  await expectNothingLost(machines);
  await rename(join(directory, 'newest.db'), layout.database);
  const { store, owner } = (await start()).flotilla;
  expect(idsOf(await store.machines.all(owner.hostId))).toEqual(idsOf(machines));
});

test('the database of another state directory is refused, and nothing of either is lost', async () => {
  const machines = await makeMachines(await start());
  await stop();
  const other = { ...config, stateDir: join(directory, 'other') };
  await (await startDaemon(other, silentLog, { engines: new Map() })).close();
  await copyFile(join(other.stateDir, 'flotilla.db'), layout.database);
  await expect(start()).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('does not know this host'),
  });
  await expectNothingLost(machines);
});

test.each<[string, (record: string) => string]>([
  ['cannot be read', (record) => record.slice(0, 40)],
  ['is no record', () => 'null'],
  [
    'has a field that nobody knows',
    (record) => record.replace('"machine": {', '"machine": { "colour": "red",'),
  ],
  ['lacks its spec', (record) => record.replace('"spec"', '"specs"')],
  ['is of a later version', (record) => record.replace('"version": 1', '"version": 2')],
])(
  'a record that %s does not prevent other adoptions, and its own machine keeps disk and VMM',
  async (_, spoil) => {
    const machines = await makeMachines(await start());
    await stop();
    const [running, second, third] = machines;
    const path = layout.machineRecord(running?.id ?? '');
    await writeFile(path, spoil(await readFile(path, 'utf8')));
    // Of two records with the same name, the first is adopted.
    const twin = layout.machineRecord(third?.id ?? '');
    const text = (await readFile(twin, 'utf8')).replace(third?.spec.name ?? '', second?.spec.name ?? '');
    await writeFile(twin, text);
    await rm(layout.database);
    const { flotilla } = await start(true);
    const adopted = await flotilla.store.machines.all(flotilla.owner.hostId);
    expect(idsOf(adopted)).toEqual([[second?.id, third?.id].sort()[0]]);
    await flotilla.reconciler.run();
    await expectNothingLost(machines);
  },
);

test('an older copy of the same daemon’s database ends no machine that it does not know', async () => {
  await start();
  await stop();
  // The content of the file while its daemon runs, as in a backup taken then.
  const first = await start();
  await stop();
  await copyFile(layout.database, join(directory, 'copy.db'));
  const count = await readFile(layout.hostEpochFile, 'utf8');
  expect(count.trim()).toBe(String(first.flotilla.owner.epoch));
  const machines = await makeMachines(await start());
  await stop();
  await copyFile(join(directory, 'copy.db'), layout.database);
  await writeFile(layout.hostEpochFile, count);
  const { flotilla } = await start();
  expect(await flotilla.store.machines.all(flotilla.owner.hostId)).toEqual([]);
  await flotilla.reconciler.run();
  await expectNothingLost(machines);
});

test('an older copy of the same daemon’s database is refused because of a machine with an outdated record', async () => {
  const { flotilla } = await start();
  const machines = await makeMachines({ flotilla } as Daemon);
  const { epoch } = flotilla.owner;
  await stop();
  await copyFile(layout.database, join(directory, 'copy.db'));
  const [, stopped] = machines;
  const { store } = (await start()).flotilla;
  // The machine was started again since: the copy knows neither the incarnation nor the VMM.
  await store.transaction(async (tx) => {
    const machine = await tx.machines.get(stopped?.id ?? '');
    if (!machine) throw new Error('not there');
    const operation = sampleOperation({ subjects: [{ kind: 'machine', id: machine.id }] });
    const at = new Date();
    const patch = { incarnation: 'boot3', operationId: operation.id, desired: 'running' as const };
    const starting = await transition(tx, machine, 'starting', patch, at);
    await transition(tx, starting, 'failed', { operationId: null }, at);
  });
  await stop();
  const record = await readFile(layout.machineRecord(stopped?.id ?? ''), 'utf8');
  expect(record).toContain('boot3');
  await copyFile(join(directory, 'copy.db'), layout.database);
  await writeFile(layout.hostEpochFile, `${epoch}\n`);
  for (const isAdopting of [false, true])
    await expect(start(isAdopting)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/an older copy.* of machine /),
    });
  await expectNothingLost(machines);
  expect(await readFile(layout.machineRecord(stopped?.id ?? ''), 'utf8')).toBe(record);
});

test('a refused database is left unchanged, whatever its schema', async () => {
  const machines = await makeMachines(await start());
  await stop();
  for (const version of [1, 3, 4, migrations.length]) {
    await rm(layout.database);
    const other = await openSqlite(layout.database);
    await migrate(other, migrations.slice(0, version));
    await other.close();
    const before = await readFile(layout.database);
    await expect(start()).rejects.toMatchObject({ code: 'conflict' });
    expect((await readFile(layout.database)).equals(before)).toBe(true);
  }
  await expectNothingLost(machines);
});
