/** Two daemons on one PostgreSQL: each acts only on its own host's machines, and a host has one daemon. */
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../test/support/postgres.ts';
import { limitsOfSize } from '../core/ports/engine.ts';
import { FakeDriver } from '../engines/fake/driver.ts';
import { silentLog } from '../lib/log.ts';
import { readBootId } from '../lib/procfs.ts';
import { StateLayout } from '../storage/layout.ts';
import { migrate } from '../store/migrate.ts';
import { openPostgres } from '../store/postgres.ts';
import { createStore } from '../store/store.ts';
import { sampleMachine } from '../store/testing/samples.ts';
import { type Config, readConfig } from './config.ts';
import { type Daemon, startDaemon } from './serve.ts';

let server: PostgresServer;
let directory: string;
let databaseUrl: string;
const daemons = new Set<Daemon>();
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server?.stop());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'two-'));
  databaseUrl = await server.createDatabase();
});
afterEach(async () => {
  for (const daemon of daemons) await daemon.close();
  daemons.clear();
  await rm(directory, { recursive: true });
});

function configOf(name: string): Config {
  const stateDir = join(directory, name);
  const cacheDir = join(directory, 'cache');
  return readConfig({
    FLOTILLA_STATE_DIR: stateDir,
    FLOTILLA_CACHE_DIR: cacheDir,
    DATABASE_URL: databaseUrl,
    PORT: '0',
  });
}

async function start(name: string, driver: FakeDriver): Promise<Daemon> {
  const daemon = await startDaemon(configOf(name), silentLog, { engines: new Map([['fake', driver]]) });
  daemons.add(daemon);
  return daemon;
}

/** A machine that runs on the daemon's host, with a disk. */
async function makeRunning({ flotilla }: Daemon, driver: FakeDriver, name: string): Promise<string> {
  const { hostId } = flotilla.owner;
  const incarnation = `boot${name}`;
  const sample = sampleMachine({ hostId, name, incarnation, bootId: readBootId() });
  const { id, slot } = sample;
  await mkdir(flotilla.layout.diskDir(id), { recursive: true });
  await writeFile(flotilla.layout.disk(id), name);
  const handle = await driver.launch(
    {
      ...{ machineId: id, hostId, incarnation, slot, vcpuCount: 1, memoryMib: 64, diskMib: 64 },
      source: { kind: 'kernel', kernelPath: '/k', initrdPath: '/i', kernelArgs: '' },
      ...{ disks: [], nics: [], limits: limitsOfSize },
    },
    new AbortController().signal,
  );
  const spec = { ...sample.spec, engine: 'fake' };
  await flotilla.store.machines.insert({ ...sample, spec, state: 'running', desired: 'running', handle });
  return id;
}

test('neither touches the other’s machines, at start and during reconciliation', async () => {
  const drivers = [new FakeDriver({ kind: 'fake' }), new FakeDriver({ kind: 'fake' })] as const;
  const first = await start('first', drivers[0]);
  const mine = await makeRunning(first, drivers[0], 'a');
  const second = await start('second', drivers[1]);
  const theirs = await makeRunning(second, drivers[1], 'b');
  for (const { flotilla } of [first, second]) {
    const repairs = await flotilla.reconciler.run();
    expect(repairs.map(({ kind }) => kind)).toEqual(['adopt', 'attach']);
  }
  const states = async ({ flotilla: { store, owner } }: Daemon) =>
    (await store.machines.all(owner.hostId)).map(({ id, state }) => ({ id, state }));
  expect(await states(first)).toEqual([{ id: mine, state: 'running' }]);
  expect(await states(second)).toEqual([{ id: theirs, state: 'running' }]);
  expect(drivers.map(({ host }) => [...host.machines.keys()])).toEqual([['boota'], ['bootb']]);
  expect(await readdir(new StateLayout(join(directory, 'first')).disks)).toEqual([mine]);
  expect(await readdir(new StateLayout(join(directory, 'second')).disks)).toEqual([theirs]);
});

test('a second daemon of one host is refused with a clear error while the first runs', async () => {
  const driver = new FakeDriver({ kind: 'fake' });
  const first = await start('first', driver);
  await cp(join(directory, 'first'), join(directory, 'copy'), {
    recursive: true,
    filter: (source) => !/daemon\.|operator/.test(source),
  });
  await expect(start('copy', driver)).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining('another daemon of this host'),
    hint: expect.stringContaining('copy'),
  });
  // The first is not affected: the other did not claim its host.
  const { owner, store } = first.flotilla;
  expect(await store.hosts.epoch(owner.hostId)).toBe(owner.epoch);
  await first.close();
  daemons.delete(first);
  await start('copy', driver);
});

test('of the machines of an earlier version, each host takes those whose disk it has', async () => {
  const ids = { first: 'machinea', second: 'machineb', neither: 'machinec' };
  const database = await openPostgres(databaseUrl);
  await migrate(database);
  const store = createStore(database);
  for (const [slot, id] of Object.values(ids).entries())
    await store.machines.insert(sampleMachine({ id, hostId: '', slot: slot + 1 }));
  await store.close();
  for (const name of ['first', 'second'] as const) {
    const layout = new StateLayout(join(directory, name));
    await mkdir(layout.diskDir(ids[name]), { recursive: true });
    await writeFile(layout.disk(ids[name]), name);
  }
  for (const name of ['first', 'second', 'new'] as const) {
    const { flotilla } = await start(name, new FakeDriver({ kind: 'fake' }));
    const machines = await flotilla.store.machines.all(flotilla.owner.hostId);
    expect(machines.map(({ id }) => id)).toEqual(name === 'new' ? [] : [ids[name]]);
    expect((await flotilla.store.machines.all('')).map(({ id }) => id)).toContain(ids.neither);
  }
});
