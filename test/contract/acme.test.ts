/** The reverse proxy fetches certificates from Pebble, a certificate authority's server for tests, over the real protocol. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, get, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import acme from 'acme-client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../src/lib/free-port.ts';
import { silentLog } from '../../src/lib/log.ts';
import { readConfig } from '../../src/main/config.ts';
import { type OpenProxy, openProxy } from '../../src/main/proxy.ts';
import { NameServer } from '../../src/network/lab/name-server.ts';
import { type ProxyWorld, startProxyWorld, tenant } from '../../src/proxy/testing.ts';
import { StateLayout } from '../../src/storage/layout.ts';

const home = new URL('../../.toolchain/pebble/', import.meta.url).pathname;
const isPebbleInstalled = await access(join(home, 'pebble')).then(
  () => true,
  () => false,
);
const name = 'shop.flotilla.example';

let directory: string;
let names: NameServer;
let world: ProxyWorld;
let pebble: ChildProcess;
let ports: {
  readonly directory: number;
  readonly management: number;
  readonly plain: number;
  readonly tls: number;
};
let root: string;
let proxy: OpenProxy;

async function startPebble(): Promise<void> {
  const configFile = join(directory, 'pebble.json');
  const config = {
    listenAddress: `127.0.0.1:${ports.directory}`,
    managementListenAddress: `127.0.0.1:${ports.management}`,
    certificate: join(home, 'cert.pem'),
    privateKey: join(home, 'key.pem'),
    ...{ httpPort: ports.plain, tlsPort: 5001, ocspResponderURL: '', externalAccountBindingRequired: false },
    domainBlocklist: [],
    retryAfter: { authz: 1, order: 1 },
    profiles: { default: { description: 'for tests', validityPeriod: 7_776_000 } },
  };
  await writeFile(configFile, JSON.stringify({ pebble: config }));
  const dns = names.address.replace('#', ':');
  pebble = spawn(join(home, 'pebble'), ['-config', configFile, '-dnsserver', dns, '-strict'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PEBBLE_VA_NOSLEEP: '1' },
  });
  for await (const line of createInterface({ input: pebble.stdout ?? process.stdin }))
    if (line.includes('Root CA certificate')) break;
  pebble.stdout?.resume();
}

function open(): Promise<OpenProxy> {
  const env = {
    PROXY_PORT: String(ports.plain),
    PROXY_HOST_SUFFIX: 'flotilla.example',
    PROXY_TLS_LISTEN: `127.0.0.1:${ports.tls}`,
    PROXY_ACME_EMAIL: 'operator@flotilla.example',
    PROXY_ACME_DIRECTORY: `https://localhost:${ports.directory}/dir`,
  };
  const { proxy: config } = readConfig(env, true);
  return openProxy(config, { reach: world.fake.reach, layout: new StateLayout(directory) }, silentLog);
}

beforeAll(async () => {
  if (!isPebbleInstalled) return;
  directory = await mkdtemp(join(tmpdir(), 'acme-'));
  const [listen, management, plain, tls] = await Promise.all(Array.from({ length: 4 }, freePort));
  ports = { directory: listen ?? 0, management: management ?? 0, plain: plain ?? 0, tls: tls ?? 0 };
  names = await NameServer.make();
  names.set(name, 'A', '127.0.0.1');
  await startPebble();
  const ca = await readFile(join(home, 'pebble.minica.pem'));
  const agent = new Agent({ ca });
  acme.axios.defaults.httpsAgent = agent;
  const [answer] = await once(get(`https://localhost:${ports.management}/roots/0`, { agent }), 'response');
  root = await text(answer);
  world = await startProxyWorld();
  await world.fake.routes.create(tenant, 'web', { subdomain: 'shop', targetPort: 80 });
  proxy = await open();
});
afterAll(async () => {
  if (!isPebbleInstalled) return;
  await proxy.close(0);
  await world.close();
  pebble.kill();
  await once(pebble, 'exit');
  await names[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

async function visit(host: string): Promise<[body: string, serial: string]> {
  const options = { host: '127.0.0.1', port: ports.tls, servername: host, ca: root, agent: false } as const;
  const sent = request({ ...options, headers: { host } });
  sent.end();
  const [answer] = await once(sent, 'response');
  const { serialNumber } = (answer.socket as TLSSocket).getPeerCertificate();
  return [await text(answer), serialNumber];
}

test.runIf(isPebbleInstalled)(
  'a route has a certificate with its first request, and keeps it over a restart',
  async () => {
    const [body, serial] = await visit(name);
    expect(body).toBe('hello');
    await proxy.close(0);
    proxy = await open();
    expect(await visit(name)).toEqual(['hello', serial]);
  },
);

test.runIf(isPebbleInstalled)(
  'a name that leads nowhere ends the handshake, and the authority is not asked',
  async () => {
    names.asked.length = 0;
    await expect(visit('nobody.flotilla.example')).rejects.toThrow();
    expect(names.asked).toEqual([]);
  },
);
