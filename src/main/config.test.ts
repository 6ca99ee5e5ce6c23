import { describe, expect, test } from 'vitest';
import { parseCidr } from '../network/addresses.ts';
import { settingNames } from '../setup/systemd.ts';
import { honouredHatchVariables, otherSettings, readConfig } from './config.ts';
import { routeUrlOf } from './proxy-config.ts';

const base = { FLOTILLA_STATE_DIR: '/tmp/state', FLOTILLA_CACHE_DIR: '/tmp/cache' };

describe('readConfig', () => {
  test('listens on loopback, port 3000, with authentication, by default', () => {
    expect(readConfig({}, true)).toEqual({
      listen: [{ host: '127.0.0.1', port: 3000 }],
      sshListen: [{ host: '127.0.0.1', port: 2222 }],
      isSshListenSet: false,
      agentListen: [{ host: '127.0.0.1', port: 9100 }],
      proxy: {
        listen: [{ host: '127.0.0.1', port: 4000 }],
        isListenSet: false,
        prefix: '/proxy',
        tls: null,
        publicUrl: new URL('http://flotilla.invalid:4000'),
        suffixes: [],
        wakeTimeoutMs: 60_000,
      },
      environmentLifetimeSecondsMax: 21_600,
      snapshotsPerMachine: null,
      hatchIdleSeconds: null,
      stateDir: '/var/lib/flotilla',
      cacheDir: '/var/cache/flotilla',
      corsOrigins: new Set(),
      databaseUrl: null,
      isAuthDisabled: false,
      uidBase: 600_000,
      memoryOvercommit: 1,
      sizes: { vcpuCount: 1, memoryMib: 512, diskMib: 10_240 },
      fileLimits: { bytesMax: 104_857_600, transferMs: 60_000 },
      keyServerUrl: null,
      quotas: { machines: null, vcpus: null, memoryMib: null, diskMib: null },
      quarantineDays: 7,
      keepAliveMs: 75_000,
      imageAliases: [],
      portRange: { first: 20_000, last: 29_999 },
      sshPortRange: { first: 16_000, last: 26_000 },
      sshPortHosts: ['127.0.0.1'],
      network: {
        kind: 'auto',
        bridge: 'flotilla0',
        netns: null,
        ipv4: parseCidr('10.77.0.0/16'),
        ipv6: null,
        lanBridges: [],
        dns: null,
      },
      logLevel: 'info',
    });
  });

  test('SSH ports of machines are open where the gateway listens, and nowhere without it', () => {
    const listening = {
      FLOTILLA_SSH_LISTEN: '127.0.0.1,127.0.0.1:23,0.0.0.0',
      FLOTILLA_SSH_PORTS: '7000-7009',
    };
    expect(readConfig(listening)).toMatchObject({
      sshPortHosts: ['127.0.0.1', '0.0.0.0'],
      sshPortRange: { first: 7000, last: 7009 },
    });
    expect(readConfig({ FLOTILLA_SSH_PORT: '0' })).toMatchObject({ sshPortHosts: [], sshPortRange: null });
    expect(() => readConfig({ FLOTILLA_SSH_PORTS: '9-8' })).toThrow('FLOTILLA_SSH_PORTS');
    const range = (env: NodeJS.ProcessEnv) => readConfig(env).sshPortRange;
    expect(range({})).toEqual({ first: 16_000, last: 26_000 });
    const hatch = { HATCH_SSH_PORT_MIN: '17000', HATCH_SSH_PORT_MAX: '17999' };
    expect(range(hatch)).toEqual({ first: 17_000, last: 17_999 });
    expect(range({ HATCH_SSH_PORT_MAX: '16000' })).toEqual({ first: 16_000, last: 16_000 });
    expect(range({ ...hatch, FLOTILLA_SSH_PORTS: '7000-7009' })).toEqual({ first: 7000, last: 7009 });
    for (const nonsense of ['0', '65536', '16000-17000', '1e4', '-1'])
      expect(() => range({ HATCH_SSH_PORT_MAX: nonsense })).toThrow(
        'HATCH_SSH_PORT_MAX: must be a whole number',
      );
    expect(() => range({ HATCH_SSH_PORT_MIN: '26001' })).toThrow(
      'HATCH_SSH_PORT_MIN: 26001 is above HATCH_SSH_PORT_MAX, 26000',
    );
  });

  test('an empty variable counts as not set', () => {
    const empty = { PORT: '', DATABASE_URL: '', DISABLE_AUTH: '', FLOTILLA_STATE_DIR: '' };
    expect(readConfig(empty, true)).toEqual(readConfig({}, true));
  });

  test('reads the network of machines', () => {
    const env = {
      FLOTILLA_NETNS: 'lab',
      FLOTILLA_NETWORK_CIDR: '172.16.9.9/24',
      FLOTILLA_NETWORK_IPV6: 'fd77::/64',
      FLOTILLA_NETWORK_LAN_BRIDGES: 'br0=192.168.1.200/25, vlan.12',
      FLOTILLA_DNS: '192.0.2.53, 2001:db8::53#5353',
    };
    expect(readConfig({ ...base, ...env }, true).network).toMatchObject({
      netns: '/run/netns/lab',
      ipv4: parseCidr('172.16.9.0/24'),
      ipv6: parseCidr('fd77::/64'),
      lanBridges: [
        { name: 'br0', fixedRange: '192.168.1.128/25' },
        { name: 'vlan.12', fixedRange: null },
      ],
      dns: ['192.0.2.53', '2001:db8::53#5353'],
    });
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
    [
      { FLOTILLA_IMAGE_ALIASES: 'alpine=debian-12,ubuntu' },
      /^FLOTILLA_IMAGE_ALIASES: not an alias: 'ubuntu'/,
    ],
    [{ FLOTILLA_IMAGE_ALIASES: 'alpine=../x' }, /^FLOTILLA_IMAGE_ALIASES: not an alias: 'alpine=\.\.\/x'/],
    [{ FLOTILLA_NETWORK: 'none' }, /FLOTILLA_NETWORK/],
    [{ FLOTILLA_NETWORK_BRIDGE: 'br0' }, /^FLOTILLA_NETWORK_BRIDGE: not a name for the bridge: 'br0'/],
    [{ FLOTILLA_NETNS: '../x' }, /^FLOTILLA_NETNS: not a network namespace/],
    [{ FLOTILLA_NETWORK_CIDR: '10.0.0.0/30' }, /^FLOTILLA_NETWORK_CIDR: not a network for machines/],
    [{ FLOTILLA_NETWORK_CIDR: 'fd77::/64' }, /^FLOTILLA_NETWORK_CIDR: not a network for machines/],
    [{ FLOTILLA_NETWORK_IPV6: 'fd77::/48' }, /^FLOTILLA_NETWORK_IPV6: not a network for machines/],
    [{ FLOTILLA_NETWORK_LAN_BRIDGES: 'br0,' }, /^FLOTILLA_NETWORK_LAN_BRIDGES: not /],
    [{ FLOTILLA_NETWORK_LAN_BRIDGES: 'br0,br0' }, /^FLOTILLA_NETWORK_LAN_BRIDGES: not /],
    [{ FLOTILLA_NETWORK_LAN_BRIDGES: 'flotilla0' }, /^FLOTILLA_NETWORK_LAN_BRIDGES: not /],
    [{ FLOTILLA_NETWORK_LAN_BRIDGES: 'br 0' }, /^FLOTILLA_NETWORK_LAN_BRIDGES: not /],
    [{ FLOTILLA_NETWORK_LAN_BRIDGES: 'br0=fd77::/64' }, /^FLOTILLA_NETWORK_LAN_BRIDGES: not /],
    [{ FLOTILLA_NETWORK_LAN_BRIDGES: 'a=1.2.3.4/8=b' }, /^FLOTILLA_NETWORK_LAN_BRIDGES: not /],
    [{ FLOTILLA_DNS: '192.0.2.53,dns.example' }, /^FLOTILLA_DNS: not addresses of name servers/],
    [{ FLOTILLA_DNS: '192.0.2.53#0' }, /^FLOTILLA_DNS: not addresses of name servers/],
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

test('Hatch’s variables set what machines get, and the server that knows keys', () => {
  const url = 'https://dash.example.com/api/auth/api-key/verify';
  const sizes = { HATCH_DEFAULT_VCPU: '2', HATCH_DEFAULT_MEM_MIB: '256', HATCH_MAX_ROOTFS_SIZE_MIB: '1024' };
  expect(readConfig({ ...sizes, HATCH_BETTER_AUTH_VERIFY_URL: url }, false)).toMatchObject({
    sizes: { vcpuCount: 2, memoryMib: 256, diskMib: 1024 },
    keyServerUrl: url,
  });
  expect(readConfig({ ...sizes, HATCH_MAX_OVERLAY_SIZE_MIB: '2048' }, false).sizes.diskMib).toBe(2048);
  for (const [name, value] of Object.entries({
    HATCH_BETTER_AUTH_VERIFY_URL: 'file:///etc/passwd',
    HATCH_DEFAULT_VCPU: '0',
    HATCH_DEFAULT_MEM_MIB: '1e3',
  })) {
    expect(() => readConfig({ [name]: value }, false)).toThrow(name);
  }
});

test('the reverse proxy takes Hyperfleet’s and Hatch’s variables', () => {
  const proxyOf = (env: Record<string, string>) => readConfig(env, true).proxy;
  expect(proxyOf({ PROXY_PORT: '4001', PROXY_PREFIX: '/vm', PROXY_HOST_SUFFIX: '.A.example' })).toMatchObject(
    {
      listen: [{ host: '127.0.0.1', port: 4001 }],
      prefix: '/vm',
      suffixes: ['.a.example'],
    },
  );
  const hatch = {
    HATCH_PROXY_ADDR: ':9090',
    HATCH_PROXY_BASE_DOMAIN: 'hatch.local',
    HATCH_PROXY_WAKE_TIMEOUT: '2m',
  };
  expect(proxyOf(hatch)).toMatchObject({
    listen: [{ host: '0.0.0.0', port: 9090 }],
    suffixes: ['.hatch.local'],
    wakeTimeoutMs: 120_000,
  });
  expect(proxyOf({ PORT: '0' }).listen).toEqual([{ host: '127.0.0.1', port: 0 }]);
  expect(() => proxyOf({ PROXY_PREFIX: 'proxy/' })).toThrow('PROXY_PREFIX: must be a path such as /proxy');
});

test('the service keeps each of Hatch’s variables that is honoured, and no other', () => {
  for (const name of honouredHatchVariables) expect(name).toMatch(settingNames);
  expect('HATCH_S3_SECRET_KEY').not.toMatch(settingNames);
});

test('the quota of machines has two names, of which ours takes precedence', () => {
  const machinesOf = (env: NodeJS.ProcessEnv) => readConfig(env, false).quotas.machines;
  expect(machinesOf({ HATCH_MAX_VMS_PER_USER: '5' })).toBe(5);
  expect(machinesOf({ HATCH_MAX_VMS_PER_USER: '5', FLOTILLA_QUOTA_MACHINES: '0' })).toBe(0);
  expect(() => machinesOf({ FLOTILLA_QUOTA_MACHINES: 'many' })).toThrow('FLOTILLA_QUOTA_MACHINES');
});

test('TLS of the reverse proxy: files or an authority, and the addresses of routes', () => {
  const proxyOf = (env: Record<string, string>) => readConfig(env, true).proxy;
  const domain = { PROXY_HOST_SUFFIX: 'flotilla.example' };
  const files = { PROXY_TLS_LISTEN: '0.0.0.0', PROXY_TLS_CERT: '/a.pem', PROXY_TLS_KEY: '/a.key' };
  expect(proxyOf(files).tls).toEqual({
    listen: [{ host: '0.0.0.0', port: 443 }],
    certificates: { from: 'files', certFile: '/a.pem', keyFile: '/a.key' },
  });
  const acme = { ...domain, PROXY_TLS_LISTEN: '[::]:8443', PROXY_ACME_EMAIL: 'ops@flotilla.example' };
  expect(proxyOf(acme).tls).toMatchObject({
    listen: [{ host: '::', port: 8443 }],
    certificates: { from: 'acme', directoryUrl: 'https://acme-v02.api.letsencrypt.org/directory' },
  });
  const urlOf = (env: Record<string, string>) => routeUrlOf(proxyOf(env))('shop');
  expect(urlOf({})).toBeNull();
  expect(urlOf({ ...domain, PORT: '0' })).toBeNull();
  expect(urlOf(domain)).toBe('http://shop.flotilla.example:4000');
  expect(urlOf({ ...domain, ...files })).toBe('https://shop.flotilla.example');
  expect(urlOf(acme)).toBe('https://shop.flotilla.example:8443');
  expect(urlOf({ ...domain, PROXY_PUBLIC_URL: 'https://front.example' })).toBe(
    'https://shop.flotilla.example',
  );
  for (const [env, message] of [
    [{ PROXY_TLS_CERT: '/a.pem' }, 'certificates are given, and no address'],
    [{ PROXY_TLS_LISTEN: ':443' }, 'PROXY_TLS_LISTEN: not an address'],
    [{ PROXY_TLS_LISTEN: '0.0.0.0' }, 'PROXY_TLS_LISTEN without certificates'],
    [{ ...acme, ...files }, 'exclude each other'],
    [{ PROXY_TLS_LISTEN: '0.0.0.0', PROXY_ACME_EMAIL: 'a@b.example' }, 'without PROXY_HOST_SUFFIX'],
    [{ PROXY_ACME_EMAIL: 'ops' }, 'must be an email address'],
    [{ PROXY_PUBLIC_URL: 'flotilla.example' }, 'must be an address'],
  ] as const)
    expect(() => proxyOf(env)).toThrow(message);
});
