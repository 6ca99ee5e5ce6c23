import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readConfig } from './config.ts';

let stateDir: string;

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'flotilla-cli-'));
});

afterEach(() => rmSync(stateDir, { recursive: true }));

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

test('the key comes from the environment, else from the state directory', () => {
  writeFileSync(join(stateDir, 'admin.key'), 'hf_file\n');
  expect(configOf({})).toMatchObject({ key: 'hf_file', keyFrom: `${stateDir}/admin.key` });
  expect(configOf({ FLOTILLA_KEY: 'hf_env' })).toMatchObject({ key: 'hf_env', keyFrom: 'FLOTILLA_KEY' });
});

test('the state directory’s key is not sent to another machine', () => {
  writeFileSync(join(stateDir, 'admin.key'), 'hf_file');
  expect(configOf({ FLOTILLA_URL: 'http://localhost:3000' }).key).toBe('hf_file');
  expect(configOf({ FLOTILLA_URL: 'http://[::1]:3000' }).key).toBe('hf_file');
  expect(configOf({ FLOTILLA_URL: 'http://127.0.0.1.example.org' }).key).toBeUndefined();
  expect(configOf({ FLOTILLA_URL: 'https://fleet.example.org' }).key).toBeUndefined();
});

test('what cannot be a key is refused without being shown', () => {
  expect(() => configOf({ FLOTILLA_KEY: 'hf secret' })).toThrow('the key from FLOTILLA_KEY is not a key');
});
