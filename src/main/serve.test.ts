import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { subjectId } from '../core/operations/operation.ts';
import { FakeDriver } from '../engines/fake/driver.ts';
import { silentLog } from '../lib/log.ts';
import { readBootId } from '../lib/procfs.ts';
import { sampleMachine, sampleOperation } from '../store/testing/samples.ts';
import { type Config, readConfig } from './config.ts';
import { type Daemon, startDaemon } from './serve.ts';

let stateDir: string;
let daemons: Daemon[];
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'f-'));
  daemons = [];
});
afterEach(async () => {
  for (const daemon of daemons) await daemon.close();
  await rm(stateDir, { recursive: true });
});

function config(name: string, port: string): Config {
  const root = join(stateDir, name);
  return readConfig({ FLOTILLA_STATE_DIR: root, FLOTILLA_CACHE_DIR: join(stateDir, 'cache'), PORT: port });
}

async function start(given: Config): Promise<Daemon> {
  const daemon = await startDaemon(given, silentLog);
  daemons.push(daemon);
  return daemon;
}

test('starts with an empty state directory and cache, and says what is missing', async () => {
  const daemon = await start(config('a', '0'));
  expect(await (await fetch(`${daemon.urls[0]}/health`)).json()).toMatchObject({ status: 'healthy' });
});

test('a second daemon on the same state directory is refused; the first continues', async () => {
  const daemon = await start(config('a', '0'));
  await expect(startDaemon(config('a', '0'), silentLog)).rejects.toMatchObject({ code: 'conflict' });
  expect((await fetch(`${daemon.urls[0]}/health`)).status).toBe(200);
});

test('a daemon whose port is taken leaves neither lock nor pid file', async () => {
  const first = await start(config('a', '0'));
  const port = new URL(first.urls[0] ?? '').port;
  await expect(startDaemon(config('b', port), silentLog)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('is in use'),
  });
  expect(await readdir(join(stateDir, 'b'))).not.toContain('daemon.pid');
  await start(config('b', '0'));
});

test('shutdown does not wait for the probe of an engine', async () => {
  const driver = new FakeDriver({ kind: 'fake' });
  driver.probe = (signal?: AbortSignal) =>
    new Promise((resolve) => {
      const missing = ['it was not waited for'];
      const given = { isAvailable: false, accelerator: null, version: null, missing, notes: [] };
      signal?.addEventListener('abort', () => resolve(given));
    });
  const errors: unknown[] = [];
  const log = { ...silentLog, error: (...given: unknown[]) => void errors.push(given) };
  const daemon = await startDaemon(config('a', '0'), log, { engines: new Map([['fake', driver]]) });
  await daemon.close();
  expect(errors).toEqual([]);
});

describe('a start with open operations of a crashed daemon', () => {
  const never = () => new Promise<never>(() => undefined);

  /** A state directory with an open stop. */
  async function withOpenStop(given: Config): Promise<string> {
    const daemon = await startDaemon(given, silentLog);
    const { hostId } = daemon.flotilla.owner;
    const operation = sampleOperation({
      kind: 'machine.stop',
      owner: { hostId, epoch: 1, bootId: readBootId() },
    });
    const id = subjectId(operation, 'machine');
    const state = { state: 'stopping', incarnation: 'i1', operationId: operation.id } as const;
    await daemon.flotilla.store.machines.insert(
      sampleMachine({ id, hostId, ...state, bootId: readBootId() }),
    );
    await daemon.flotilla.store.operations.insert(operation);
    await daemon.close();
    return id;
  }

  test('answers while they run, and shows their machines in transit', async () => {
    const given = { ...config('a', '0'), isAuthDisabled: true };
    const id = await withOpenStop(given);
    const driver = new FakeDriver({ kind: 'fake' });
    vi.spyOn(driver, 'find').mockImplementation(never);
    const daemon = await startDaemon(given, silentLog, { engines: new Map([['fake', driver]]) });
    daemons.push(daemon);
    const answer = await fetch(new URL(`/machines/${id}`, daemon.urls[0]));
    expect(await answer.json()).toMatchObject({ id, status: 'stopping' });
  });

  test('can be cancelled while the host is inspected, and leaves nothing', async () => {
    const given = config('a', '0');
    const driver = new FakeDriver({ kind: 'fake' });
    const looked = Promise.withResolvers<void>();
    vi.spyOn(driver, 'list').mockImplementation(async () => {
      looked.resolve();
      return never();
    });
    const stopping = new AbortController();
    const engines = new Map([['fake', driver]]);
    const starting = startDaemon(given, silentLog, { engines, signal: stopping.signal });
    await looked.promise;
    stopping.abort(new Error('SIGTERM'));
    await expect(starting).rejects.toThrow('SIGTERM');
    await start(given);
  });
});

test('without authentication only local names are served', async () => {
  const given = { ...config('a', '0'), isAuthDisabled: true };
  const daemon = await start(given);
  const url = new URL('/machines', daemon.urls[0]);
  expect((await fetch(url)).status).toBe(200);
  const page = { method: 'POST', headers: { Origin: 'https://evil.example' } };
  expect((await fetch(new URL('/machines/first/stop', url), page)).status).toBe(403);
  const { request } = await import('node:http');
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  const rebound = {
    host: url.hostname,
    port: url.port,
    path: '/machines',
    headers: { Host: 'evil.example' },
  };
  request(rebound, (response) => {
    response.resume();
    resolve(response.statusCode);
  }).end();
  expect(await promise).toBe(403);
});

test('an empty private directory gets the needed mode; one with other content is refused', async () => {
  const uidBase = 600_000;
  const mode = async (name: string) => (await stat(join(stateDir, name))).mode & 0o777;
  for (const name of ['empty', 'home']) await mkdir(join(stateDir, name), { mode: 0o700 });
  await writeFile(join(stateDir, 'home', 'letters'), '');
  await start({ ...config('empty', '0'), uidBase });
  expect(await mode('empty')).toBe(0o711);
  await expect(startDaemon({ ...config('home', '0'), uidBase }, silentLog)).rejects.toMatchObject({
    code: 'invalid',
    message: expect.stringContaining('letters'),
  });
  expect(await mode('home')).toBe(0o700);
});

test('a directory made by the daemon is passable, whatever the umask', async () => {
  const umask = process.umask(0o077);
  try {
    await start({ ...config('new', '0'), uidBase: 600_000 });
  } finally {
    process.umask(umask);
  }
  for (const path of ['.', 'run', 'disks']) {
    expect((await stat(join(stateDir, 'new', path))).mode & 0o777).toBe(0o711);
  }
});
