import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../lib/log.ts';
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

test('answers on an empty state directory with an empty cache, and says what is missing', async () => {
  const daemon = await start(config('a', '0'));
  expect(await (await fetch(`${daemon.urls[0]}/health`)).json()).toMatchObject({ status: 'ok' });
});

test('a second daemon on the same state directory is refused; the first goes on', async () => {
  const daemon = await start(config('a', '0'));
  await expect(startDaemon(config('a', '0'), silentLog)).rejects.toMatchObject({ code: 'conflict' });
  expect((await fetch(`${daemon.urls[0]}/health`)).status).toBe(200);
});

test('a daemon whose port is taken leaves nothing: no lock, no pid file', async () => {
  const first = await start(config('a', '0'));
  const port = new URL(first.urls[0] ?? '').port;
  await expect(startDaemon(config('b', port), silentLog)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('is in use'),
  });
  expect(await readdir(join(stateDir, 'b'))).not.toContain('daemon.pid');
  await start(config('b', '0'));
});

test('without authentication only local names are served', async () => {
  const given = { ...config('a', '0'), isAuthDisabled: true };
  const daemon = await start(given);
  const url = new URL('/machines', daemon.urls[0]);
  expect((await fetch(url)).status).toBe(200);
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
