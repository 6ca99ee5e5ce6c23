/** A failed start closes what it opened; an epoch that cannot be recorded does not fail a start. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Recorder } from '../core/hosts/recorder.ts';
import type { Store } from '../core/ports/store.ts';
import { FakeClock } from '../core/testing/fake-clock.ts';
import { FakeDriver } from '../engines/fake/driver.ts';
import { type Logger, silentLog } from '../lib/log.ts';
import { StateLayout } from '../storage/layout.ts';
import { systemClock } from './clock.ts';
import { type Config, readConfig } from './config.ts';
import { readHostEpoch } from './host-id.ts';
import { startDaemon } from './serve.ts';

const spied = vi.hoisted(() => ({ stores: [] as unknown[], isDiskFull: false }));
vi.mock(import('../store/store.ts'), async (original) => {
  const actual = await original();
  const openStore: typeof actual.openStore = async (...given) => {
    const store = await actual.openStore(...given);
    spied.stores.push(store);
    return store;
  };
  return { ...actual, openStore };
});
vi.mock(import('../lib/files.ts'), async (original) => {
  const actual = await original();
  const writeFileAtomic: typeof actual.writeFileAtomic = async (path, ...given) => {
    if (spied.isDiskFull && path.endsWith('host-epoch'))
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    await actual.writeFileAtomic(path, ...given);
  };
  return { ...actual, writeFileAtomic };
});

let config: Config;
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'f-'));
  config = readConfig({
    FLOTILLA_STATE_DIR: join(directory, 'state'),
    FLOTILLA_CACHE_DIR: join(directory, 'cache'),
    PORT: '0',
  });
  spied.isDiskFull = false;
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(directory, { recursive: true });
});

test('a start that fails late leaves no timer, engine or store open', async () => {
  const driver = new FakeDriver({ kind: 'fake' });
  const closed = vi.spyOn(driver, 'close');
  const system = systemClock(silentLog);
  const timers = new Set<object>();
  const every: typeof system.every = (...given) => {
    const stop = system.every(...given);
    timers.add(stop);
    return () => {
      timers.delete(stop);
      stop();
    };
  };
  const clock = { ...system, every };
  vi.spyOn(Recorder.prototype, 'recordAll').mockImplementationOnce(async () => {
    expect(timers.size).toBeGreaterThan(0);
    throw new Error('the disk is gone');
  });
  const engines = new Map([['fake', driver]]);
  await expect(startDaemon(config, silentLog, { engines, clock })).rejects.toThrow('the disk is gone');
  expect(timers.size).toBe(0);
  expect(closed).toHaveBeenCalledOnce();
  const store = spied.stores.at(-1) as Store;
  await expect(store.machines.all('')).rejects.toMatchObject({ code: 'unavailable' });
  await (await startDaemon(config, silentLog, { engines: new Map() })).close();
});

test('an epoch that a full disk prevents from being recorded is a warning; it is recorded as soon as there is space', async () => {
  const layout = new StateLayout(config.stateDir);
  const warnings: string[] = [];
  const log: Logger = { ...silentLog, warn: (_, message) => void warnings.push(String(message)) };
  const clock = new FakeClock();
  spied.isDiskFull = true;
  const daemon = await startDaemon(config, log, { engines: new Map(), clock });
  const retry = async () => {
    clock.advance(10_000);
    for (let turns = 0; turns < 100; turns++) await new Promise((resolve) => setImmediate(resolve));
  };
  await retry();
  expect(warnings).toEqual([expect.stringContaining('epoch not recorded')]);
  expect(await readHostEpoch(layout)).toBeNull();
  spied.isDiskFull = false;
  clock.advance(10_000);
  await vi.waitFor(async () => expect(await readHostEpoch(layout)).toBe(1));
  await daemon.close();
});
