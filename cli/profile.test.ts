import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readConfig } from './config.ts';
import { currentProfile } from './profile.ts';
import { FakeApi } from './testing/fake-api.ts';
import { type CliResult, runCli } from './testing/run-cli.ts';

const key = `hf_12345678${'x'.repeat(24)}`;
let home: string;
let path: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'flotilla-cli-'));
  path = join(home, 'flotilla', 'profile.json');
});

afterEach(() => rmSync(home, { recursive: true }));

const cli = (args: readonly string[], env: Readonly<Record<string, string>> = {}, stdin?: string) =>
  runCli(args, {
    env: { XDG_CONFIG_HOME: home, ...env },
    ...(stdin === undefined ? {} : { stdin: Buffer.from(stdin) }),
  });
const set = (url: string): Promise<CliResult> =>
  cli(['profile', 'set', '--url', url, '--key-stdin'], {}, `${key}\n`);
const write = (text: string, mode = 0o600) => {
  mkdirSync(join(home, 'flotilla'));
  writeFileSync(path, text);
  chmodSync(path, mode);
};
const configOf = (env: Readonly<Record<string, string>>) =>
  readConfig({ FLOTILLA_STATE_DIR: home, FLOTILLA_PROFILE: path, ...env });
const writeRemote = () => write(JSON.stringify({ url: 'https://fleet.example.org', key }));

test('the profile is written for its owner alone, shown without its key, used and removed', async () => {
  await using api = await FakeApi.start(key);
  expect(await set(api.url)).toMatchObject({ code: 0, stderr: `Wrote ${path}\n` });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(join(home, 'flotilla')).mode & 0o777).toBe(0o700);
  expect(readdirSync(join(home, 'flotilla'))).toEqual(['profile.json']);
  expect((await cli(['profile', 'show'])).stdout.toString()).toBe(
    `file  ${path}\nurl   ${api.url}\nkey   hf_12345678…\n`,
  );
  const shown = JSON.parse((await cli(['profile', 'show', '--json'])).stdout.toString());
  expect(shown).toEqual({ path, url: api.url, key_prefix: 'hf_12345678…' });
  expect(await cli(['ls'])).toMatchObject({ code: 0, stderr: 'No machines\n' });
  expect(await cli(['profile', 'rm'])).toMatchObject({ code: 0, stderr: `Removed ${path}\n` });
  expect(existsSync(path)).toBe(false);
  expect(await cli(['profile', 'rm'])).toMatchObject({ code: 0, stderr: `There is no ${path}\n` });
  expect(await cli(['profile', 'show'])).toMatchObject({ code: 1 });
});

test.each([
  [0o640, 'can be read or written by others'],
  [0o604, 'can be read or written by others'],
  [0o620, 'can be read or written by others'],
])('a profile of mode %o is refused', async (mode, why) => {
  write(JSON.stringify({ url: 'http://127.0.0.1:9', key }), mode);
  const result = await cli(['ls']);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain(`error: The profile ${path} ${why}`);
  expect(result.stderr).toContain(`hint: Run chmod 600 ${path}`);
});

test.skipIf(process.getuid?.() !== 0)(
  `somebody else’s profile is refused${process.getuid?.() === 0 ? '' : ' (skipped: only root can give files away)'}`,
  async () => {
    writeRemote();
    chownSync(path, 65_534, 65_534);
    expect(() => configOf({})).toThrow(`the profile ${path} belongs to somebody else`);
    expect(await cli(['profile', 'rm'])).toMatchObject({ code: 0 });
  },
);

test.each(['', '{', '[]', '{"url":"http://a"}', '{"url":"http://a","key":"a b"}'])(
  'what is no profile is refused: %j',
  (text) => {
    write(text);
    expect(() => configOf({})).toThrow(`the profile ${path} is not a profile`);
  },
);

test('a directory in its place is refused', () => {
  mkdirSync(path, { recursive: true });
  expect(() => configOf({})).toThrow(`the profile ${path} is not a file`);
});

test('the environment goes before the profile, the profile before the state directory', () => {
  writeRemote();
  writeFileSync(join(home, 'daemon.url'), 'http://127.0.0.1:5005');
  writeFileSync(join(home, 'admin.key'), 'hf_file');
  expect(configOf({})).toMatchObject({
    url: 'https://fleet.example.org',
    urlFrom: path,
    key,
    keyFrom: path,
    isLocal: false,
  });
  const both = { FLOTILLA_URL: 'https://other.example.org', FLOTILLA_KEY: 'hf_env' };
  expect(configOf(both)).toMatchObject({ url: 'https://other.example.org', key: 'hf_env', isMixed: false });
  expect(configOf({ FLOTILLA_KEY: 'hf_env' })).toMatchObject({
    url: 'https://fleet.example.org',
    key: 'hf_env',
    isMixed: true,
  });
});

test('the profile’s key goes to the profile’s address and to no other', () => {
  writeRemote();
  writeFileSync(join(home, 'admin.key'), 'hf_file');
  expect(configOf({ FLOTILLA_URL: 'https://FLEET.example.org/' })).toMatchObject({ key });
  const other = configOf({ FLOTILLA_URL: 'https://fleet.example.org:444' });
  expect(other.key).toBeUndefined();
  expect(other.keyFrom).toBe(`FLOTILLA_KEY is not set, the key in ${path} is for https://fleet.example.org`);
  expect(configOf({ FLOTILLA_URL: 'http://fleet.example.org' }).key).toBeUndefined();
  expect(configOf({ FLOTILLA_URL: 'http://127.0.0.1:3000' }).key).toBeUndefined();
});

test('a profile of this machine does not get the state directory’s key', () => {
  write(JSON.stringify({ url: 'http://127.0.0.1:3000', key }));
  writeFileSync(join(home, 'admin.key'), 'hf_file');
  expect(configOf({})).toMatchObject({ key, keyFrom: path });
});

test('who names both address and key is not asked for a profile', () => {
  write('{', 0o666);
  expect(configOf({ FLOTILLA_URL: 'http://127.0.0.1:1', FLOTILLA_KEY: 'hf_env' })).toMatchObject({
    key: 'hf_env',
  });
});

test('a key that is refused at an address of another source says where both came from', async () => {
  await using api = await FakeApi.start(key);
  await set(api.url);
  expect((await cli(['ls'], { FLOTILLA_KEY: 'hf_env' })).stderr).toBe(
    `error: Invalid API key\nhint: The key came from FLOTILLA_KEY; is it one of this daemon's (${api.url})?` +
      `; the address came from ${path}\n`,
  );
});

test.each([
  [['--url', 'http://127.0.0.1:1'], key, /There is no terminal to ask for the key\nhint: .*--key-stdin/],
  [['--url', 'http://127.0.0.1:1', '--key-stdin'], '', /There was no key/],
  [['--url', 'http://127.0.0.1:1', '--key-stdin'], 'two words', /What was given is not a key/],
  [['--url', 'http://127.0.0.1:1', '--key-stdin'], 'k'.repeat(5000), /too long/],
  [['--url', 'nowhere', '--key-stdin'], key, /Not an http address/],
  [['--key-stdin'], key, /Required option '--url <url>'/],
  [['--url', 'http://127.0.0.1:1', '--key', key], '', /Unknown option '--key'/],
])('profile set %j is a usage error', async (words, stdin, stderr) => {
  const result = await cli(['profile', 'set', ...words], {}, stdin);
  expect(result.code).toBe(2);
  expect(result.stderr).toMatch(stderr);
  expect(existsSync(path)).toBe(false);
});

test('a key that everybody on the way could read is said to be one', async () => {
  expect((await set('http://fleet.example.org')).stderr).toContain('note: Over http:// everybody on the way');
});

test('the profile is where XDG says, unless it is named', () => {
  const pathOf = (env: Readonly<Record<string, string>>) => currentProfile(env).path;
  expect(pathOf({ XDG_CONFIG_HOME: '/c' })).toBe('/c/flotilla/profile.json');
  expect(pathOf({ XDG_CONFIG_HOME: 'relative' })).toMatch(/^\/.*\/\.config\/flotilla\/profile\.json$/);
  expect(pathOf({ XDG_CONFIG_HOME: '/c', FLOTILLA_PROFILE: '/p' })).toBe('/p');
});
