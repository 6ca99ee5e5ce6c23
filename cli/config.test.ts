import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readConfig } from './config.ts';

let stateDir: string;
let socketPath: string;
let server: Server | null = null;

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'flotilla-cli-'));
  socketPath = join(stateDir, 'operator/api.sock');
});

afterEach(() => {
  server?.close();
  server = null;
  rmSync(stateDir, { recursive: true });
});

/** A daemon's socket, in a directory of this mode. */
async function listen(mode = 0o700): Promise<void> {
  mkdirSync(join(stateDir, 'operator'));
  chmodSync(join(stateDir, 'operator'), mode);
  server = createServer().listen(socketPath);
  await once(server, 'listening');
}

function configOf(env: Readonly<Record<string, string>>) {
  return readConfig({ FLOTILLA_STATE_DIR: stateDir, ...env });
}

test('without anything it is the default address and no key', () => {
  expect(configOf({})).toMatchObject({ url: 'http://127.0.0.1:3000', key: undefined, isLocal: true });
  expect(configOf({}).keyFrom).toBe(`FLOTILLA_KEY is not set and ${stateDir}/admin.key does not exist`);
  expect(configOf({ PORT: '4001' }).url).toBe('http://127.0.0.1:4001');
});

test('the running daemon’s address comes before the default, the environment’s before both', () => {
  writeFileSync(join(stateDir, 'daemon.url'), 'http://127.0.0.1:5005\n');
  expect(configOf({ PORT: '4001' })).toMatchObject({
    url: 'http://127.0.0.1:5005',
    urlFrom: `${stateDir}/daemon.url`,
  });
  expect(configOf({ FLOTILLA_URL: 'http://127.0.0.1:1' })).toMatchObject({ urlFrom: 'FLOTILLA_URL' });
});

test('the key comes from the environment, else from the state directory', async () => {
  writeFileSync(join(stateDir, 'admin.key'), 'hf_file\n');
  await listen();
  expect(configOf({})).toMatchObject({ key: 'hf_file', keyFrom: `${stateDir}/admin.key`, socketPath });
  expect(configOf({ FLOTILLA_KEY: 'hf_env' })).toMatchObject({ key: 'hf_env', keyFrom: 'FLOTILLA_KEY' });
});

describe('without the daemon’s socket the state directory’s key stays where it is', () => {
  beforeEach(() => {
    writeFileSync(join(stateDir, 'admin.key'), 'hf_file');
    writeFileSync(join(stateDir, 'daemon.url'), 'http://127.0.0.1:5005');
  });

  test('when there is none', () => {
    expect(configOf({})).toMatchObject({ url: 'http://127.0.0.1:5005', key: undefined, socketPath: null });
    expect(configOf({}).keyFrom).toMatch(/goes only over .*\/operator\/api.sock, which does not exist$/);
  });

  test('when others could have put one there', async () => {
    await listen(0o770);
    expect(configOf({})).toMatchObject({ key: undefined, socketPath: null });
    expect(configOf({}).keyFrom).toMatch(/is in .*\/operator, which others can change$/);
  });
});

test('the state directory’s key is for its daemon and sent to no other address', async () => {
  writeFileSync(join(stateDir, 'admin.key'), 'hf_file');
  writeFileSync(join(stateDir, 'daemon.url'), 'http://127.0.0.1:3000');
  await listen();
  for (const own of ['http://localhost:3000', 'http://[::1]:3000', 'http://127.0.0.1:3000/']) {
    expect(configOf({ FLOTILLA_URL: own })).toMatchObject({ key: 'hf_file', socketPath });
  }
  expect(configOf({ FLOTILLA_URL: 'http://127.0.0.1:3001' })).toMatchObject({
    key: undefined,
    socketPath: null,
  });
  expect(configOf({ FLOTILLA_URL: 'http://127.0.0.1.example.org' }).key).toBeUndefined();
  expect(configOf({ FLOTILLA_URL: 'https://fleet.example.org' }).key).toBeUndefined();
});

test('what cannot be a key is refused without being shown', () => {
  expect(() => configOf({ FLOTILLA_KEY: 'hf secret' })).toThrow('the key from FLOTILLA_KEY is not a key');
});
