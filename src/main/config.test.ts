import { describe, expect, test } from 'vitest';
import { otherSettings, readConfig } from './config.ts';

const base = { FLOTILLA_STATE_DIR: '/tmp/state', FLOTILLA_CACHE_DIR: '/tmp/cache' };

describe('readConfig', () => {
  test('listens on loopback, port 3000, with authentication, by default', () => {
    expect(readConfig({}, true)).toEqual({
      listen: [{ host: '127.0.0.1', port: 3000 }],
      stateDir: '/var/lib/flotilla',
      cacheDir: '/var/cache/flotilla',
      corsOrigins: new Set(),
      databaseUrl: null,
      isAuthDisabled: false,
      uidBase: 600_000,
      memoryOvercommit: 1,
      quarantineDays: 7,
      keepAliveMs: 75_000,
      logLevel: 'info',
    });
  });

  test('an empty variable counts as not set', () => {
    const empty = { PORT: '', DATABASE_URL: '', DISABLE_AUTH: '', FLOTILLA_STATE_DIR: '' };
    expect(readConfig(empty, true)).toEqual(readConfig({}, true));
  });

  test('without root it uses the home directory and runs VMMs as its own user', () => {
    const config = readConfig({}, false);
    expect(config.stateDir).toMatch(/\/\.local\/share\/flotilla$/);
    expect(config.cacheDir).toMatch(/\/\.cache\/flotilla$/);
    expect(config.uidBase).toBeNull();
  });

  test('accepts several addresses, each optionally with a port', () => {
    const { listen } = readConfig(
      { ...base, PORT: '8080', FLOTILLA_LISTEN: '127.0.0.1, [::1]:9200,0.0.0.0:1' },
      true,
    );
    expect(listen).toEqual([
      { host: '127.0.0.1', port: 8080 },
      { host: '::1', port: 9200 },
      { host: '0.0.0.0', port: 1 },
    ]);
  });

  test.each([
    [{ PORT: 'http' }, /PORT/],
    [{ PORT: '70000' }, /PORT/],
    [{ DISABLE_AUTH: 'yes' }, /DISABLE_AUTH/],
    [{ DATABASE_URL: 'mysql://x' }, /DATABASE_URL/],
    [{ FLOTILLA_UID_BASE: '0' }, /FLOTILLA_UID_BASE/],
    [{ FLOTILLA_LISTEN: '127.0.0.1:99999' }, /FLOTILLA_LISTEN/],
    [{ FLOTILLA_LISTEN: '127.0.0.1,' }, /FLOTILLA_LISTEN/],
    [{ HATCH_HTTP_ADDR: '127.0.0.1:99999' }, /HATCH_HTTP_ADDR/],
    [{ FLOTILLA_CORS_ORIGINS: 'https://a.example, *' }, /FLOTILLA_CORS_ORIGINS/],
    [{ FLOTILLA_CORS_ORIGINS: 'https://a.example/app' }, /FLOTILLA_CORS_ORIGINS/],
    [{ FLOTILLA_STATE_DIR: `/${'x'.repeat(100)}` }, /FLOTILLA_STATE_DIR/],
  ])('refuses %j, naming the variable', (env, message) => {
    expect(() => readConfig({ ...base, ...env }, true)).toThrow(message);
  });

  test('uses Hatch’s address when ours is not set', () => {
    const listenOf = (env: NodeJS.ProcessEnv) => readConfig({ ...base, ...env }, true).listen;
    expect(listenOf({ HATCH_HTTP_ADDR: ':8080' })).toEqual([{ host: '0.0.0.0', port: 8080 }]);
    expect(listenOf({ HATCH_HTTP_ADDR: '127.0.0.1:8080' })).toEqual([{ host: '127.0.0.1', port: 8080 }]);
    const both = { HATCH_HTTP_ADDR: ':8080', FLOTILLA_LISTEN: '127.0.0.1:9200' };
    expect(listenOf(both)).toEqual([{ host: '127.0.0.1', port: 9200 }]);
    const open = { ...base, HATCH_HTTP_ADDR: ':8080', DISABLE_AUTH: 'true' };
    expect(() => readConfig(open, true)).toThrow(/loopback/);
  });

  test.each(['0x927C0', '6e5', ' 600000', '600000.0', '-1', '999', ''])(
    'accepts only decimal digits as numbers: %j is refused',
    (text) => {
      const uidBaseOf = () => readConfig({ ...base, FLOTILLA_UID_BASE: text }, true).uidBase;
      if (text === '') expect(uidBaseOf()).toBe(600_000);
      else expect(uidBaseOf).toThrow(/FLOTILLA_UID_BASE: must be a whole number from 1000 to 2000000000/);
      if (text !== '' && text !== '999')
        expect(() => readConfig({ ...base, PORT: text }, true)).toThrow(/PORT/);
    },
  );

  test('accepts the origins of pages that may call', () => {
    const env = { ...base, FLOTILLA_CORS_ORIGINS: 'https://a.example, http://localhost:5173' };
    expect([...readConfig(env, true).corsOrigins]).toEqual(['https://a.example', 'http://localhost:5173']);
    expect(readConfig(base, true).corsOrigins.size).toBe(0);
  });

  test('refuses to serve the network without authentication unless FLOTILLA_INSECURE is set', () => {
    const env = { ...base, DISABLE_AUTH: 'true', FLOTILLA_LISTEN: '127.0.0.1,0.0.0.0' };
    expect(() => readConfig(env, true)).toThrow(/loopback/);
    const named = { ...env, FLOTILLA_LISTEN: '127.evil.example' };
    expect(() => readConfig(named, true)).toThrow(/loopback/);
    expect(readConfig({ ...env, FLOTILLA_INSECURE: '1' }, true).isAuthDisabled).toBe(true);
    expect(readConfig({ ...base, DISABLE_AUTH: 'true' }, true).isAuthDisabled).toBe(true);
  });
});

test('settings that are asked for and that a daemon does not have are named, never their values', () => {
  const daemon = { PORT: '4000', DATABASE_URL: 'postgres://a:secret@h/d', HOME: '/root' };
  expect(otherSettings({}, daemon)).toEqual([]);
  expect(otherSettings({ PORT: '4000', HOME: '/home/me', FLOTILLA_STATE_DIR: './here' }, daemon)).toEqual([]);
  expect(
    otherSettings({ PORT: '3000', FLOTILLA_CORS_ORIGINS: 'https://a.example', DISABLE_AUTH: '' }, daemon),
  ).toEqual(['PORT', 'FLOTILLA_CORS_ORIGINS']);
  expect(otherSettings({ DATABASE_URL: 'postgres://b:other@h/d' }, daemon)).toEqual(['DATABASE_URL']);
  expect(otherSettings({ PORT: '3000' }, null)).toEqual([]);
});
