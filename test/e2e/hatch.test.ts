/**
 * Hatch's API against a real daemon with real guests: its page's examples as they are printed, with the key of a real
 * Better Auth server; the requests of its client `hatchvm`; commands that go on; the golden conversations.
 */
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readContract } from '../contract/document.ts';
import { readGolden } from '../golden/golden.contract.ts';
import { HostWorlds } from '../golden/host-worlds.ts';
import { replay } from '../golden/replay.ts';
import { type BetterAuthServer, startBetterAuth } from '../support/better-auth.ts';
import { type BridgeHost, makeBridgeHost } from '../support/bridge.ts';
import { repository, runCommand, startTestHost, type TestHost } from '../support/host.ts';
import { SshClients } from '../support/ssh.ts';

const user_data = `#cloud-config
hostname: given
write_files:
  - {path: /opt/conf, content: "a: 1"}
packages: [nginx]
runcmd:
  - echo one
  - [sh, -c, 'echo oops >&2; exit 3']
  - echo last >/last
`;

const domain = 'hatch.test';
let auth: BetterAuthServer;
let host: TestHost;
let bridge: BridgeHost;
let id = '';
beforeAll(async () => {
  auth = await startBetterAuth();
  bridge = await makeBridgeHost();
  const settings = {
    HATCH_HTTP_ADDR: '127.0.0.1:0',
    HATCH_BETTER_AUTH_VERIFY_URL: auth.url,
    HATCH_PROXY_BASE_DOMAIN: domain,
  };
  host = await startTestHost({ ...bridge.env, ...settings });
  const template = { name: 'small', image_id: 'img_busybox', mem_mib: 128, user_data };
  const { body } = await send('POST /templates', template);
  const made = await send('POST /vms', { template_id: body.id });
  expect(made).toMatchObject({ status: 201, body: { state: 'running', image_id: 'img_busybox', user_data } });
  id = made.body.id;
});
afterAll(async () => {
  await host.close();
  await bridge.close();
  await auth[Symbol.asyncDispose]();
});

/** As `hatchvm` sends it: a content type only where there is a body. */
async function send(line: string, json?: unknown) {
  const [method = '', path = ''] = line.split(' ');
  const response = await fetch(`${host.url}${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${host.key}`,
      ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

async function exec(command: string, options: object = {}) {
  const { status, body } = await send(`POST /vms/${id}/exec`, { command, ...options });
  expect(status, JSON.stringify(body)).toBe(200);
  return body;
}
const done = (stdout: string, exit_code = 0) => ({ stdout, stderr: '', exit_code, timed_out: false });

/** Waits in the guest until the file's text is there. */
const until = (file: string, text: string) =>
  exec(`until grep -q '${text}' ${file}; do sleep 0.1; done; cat ${file}`);

describe('the page’s examples, as printed', () => {
  let key: string;
  beforeAll(async () => {
    ({ key } = await auth.makeKey(await auth.makeUser('anna')));
  });

  async function run(example: string) {
    const line = example.replaceAll('http://localhost:8080', host.url).replaceAll('YOUR_API_KEY', key);
    const { exitCode, stdout, stderr } = await runCommand('sh', ['-c', line], { env: process.env });
    expect(exitCode, stderr).toBe(0);
    return JSON.parse(stdout.toString());
  }

  test('the key in Authorization', async () => {
    const example = `curl -H "Authorization: Bearer YOUR_API_KEY" \\
  http://localhost:8080/vms`;
    expect(await run(example)).toEqual([]);
  });

  test('the key in X-API-Key', async () => {
    const example = `curl -H "X-API-Key: YOUR_API_KEY" \\
  http://localhost:8080/vms`;
    expect(await run(example)).toEqual([]);
    expect(await run(example.replace('YOUR_API_KEY', 'hatch_wrong'))).toEqual({ error: 'invalid api key' });
  });

  test('a new microVM, of its user alone; and the error', async () => {
    const vm = await run(`curl -X POST http://localhost:8080/vms \\
  -H "Authorization: Bearer YOUR_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{
    "vcpu_count": 2,
    "mem_mib": 1024,
    "enable_network": true
  }'`);
    expect(vm).toEqual({
      ...{ id: expect.stringMatching(/^vm_[a-z0-9]{12}$/), image_id: 'img_default', state: 'running' },
      ...{ vcpu_count: 2, mem_mib: 1024, enable_network: true },
      guest_ip: expect.stringMatching(/^10\.77\./),
      ssh_port: expect.any(Number),
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updated_at: expect.any(String),
    });
    expect(await run(`curl -H "X-API-Key: YOUR_API_KEY" http://localhost:8080/vms/${vm.id}`)).toEqual(vm);
    expect((await send(`GET /vms/${vm.id}`)).status).toBe(404);
    const remove = `curl -X DELETE -H "X-API-Key: YOUR_API_KEY" http://localhost:8080/vms/${vm.id}`;
    expect(await run(remove)).toEqual({ status: 'deleted' });
    expect(await run(remove)).toEqual({ error: 'not found' });
  });
});

test('connect gives a certificate with which ssh enters the VM at its own port', async () => {
  const clients = await SshClients.make({ port: 0, hostKey: host.daemon.ssh.hostKey });
  try {
    const public_key = await clients.key('hatch');
    const { status, body } = await send(`POST /vms/${id}/connect`, { public_key });
    expect({ status, body }).toMatchObject({ status: 200, body: { host: '127.0.0.1', username: 'agent' } });
    expect((await send(`GET /vms/${id}`)).body).toMatchObject({ ssh_port: body.port });
    await clients.trust({ port: body.port, hostKey: host.daemon.ssh.hostKey });
    await writeFile(clients.path('hatch-cert.pub'), `${body.certificate}\n`);
    const options = ['-o', `CertificateFile=${clients.path('hatch-cert.pub')}`];
    const run = { identity: 'hatch', port: body.port, options };
    expect((await clients.ssh(body.username, ['hostname'], run)).stdout.toString()).toBe('given\n');
    await rm(clients.path('hatch-cert.pub'));
    expect(await clients.ssh(body.username, ['true'], { ...run, options: [] })).toMatchObject({
      exitCode: 255,
    });
  } finally {
    await clients.close();
  }
});

test('user data of a template is carried out; its progress and failure are in GET and on the console', async () => {
  const message = 'packages: the guest has neither apt-get nor apk; runcmd 2 of 3: exit code 3: oops';
  await expect
    .poll(() => send(`GET /vms/${id}`), { timeout: 60_000, interval: 200 })
    .toMatchObject({ body: { state: 'running', provisioning: { status: 'failed', message } } });
  expect(await exec('hostname; cat /opt/conf /last')).toEqual(done('given\na: 1last\n'));
  const console = await host.client.machines.console(id.replace('vm_', ''), { lines: 100 });
  expect(console).toContain('flotilla: user data: begins');
  expect(console).toContain(`flotilla: user data: failed: ${message}`);
});

test('a command is for a shell; its output and errors are in the order in which they were written', async () => {
  expect(await exec('echo one; echo two >&2; echo $((1+2)); exit 3')).toEqual(done('one\ntwo\n3\n', 3));
  expect(await exec('kill -9 $$')).toEqual(done('', 137));
  expect(await exec('no-such-program')).toMatchObject({ exit_code: 127, timed_out: false });
  expect(await exec('cat')).toEqual(done(''));
});

test('a command is never part of the script that runs it', async () => {
  const command = `printf '%s' "$0" '$1' '"' "'" ; : '; touch /tmp/x' # "`;
  expect((await exec(`${command}\nls /tmp/x 2>&1`)).stdout).toMatch(/^sh\$1"'ls: /);
});

test('past its time it goes on, and writes to its log', async () => {
  const late = await exec('echo first; sleep 2; echo last', { timeout_ms: 300 });
  expect(late).toEqual({
    ...{ stdout: 'first\n', stderr: '', exit_code: -1, timed_out: true, pid: expect.any(Number) },
    log_file: expect.stringMatching(/^\/tmp\/hatch-exec-[0-9a-f]{12}\.log$/),
  });
  expect(await until(late.log_file, 'last')).toEqual(done('first\nlast\n'));
  expect((await exec(`stat -c %a ${late.log_file}`)).stdout).toBe('600\n');
});

test('a deadline that comes at once is heeded, and the command goes on', async () => {
  const late = await exec('sleep 1; echo done', { timeout_ms: 1 });
  expect(late).toMatchObject({ timed_out: true, exit_code: -1 });
  expect((await until(late.log_file, 'done')).stdout).toBe('done\n');
});

test('in the background it answers at once, and can be ended by its pid', async () => {
  const going = await exec('echo begun; exec sleep 1000', { background: true });
  expect(going).toMatchObject({ stdout: '', exit_code: 0, timed_out: false });
  await until(going.log_file, 'begun');
  expect((await exec(`kill ${going.pid} && echo ended`)).stdout).toBe('ended\n');
});

test('output without end does not delay the answer', async () => {
  const late = await exec('yes', { timeout_ms: 500 });
  expect(late).toMatchObject({ timed_out: true });
  await exec(`kill ${late.pid}; rm ${late.log_file}`);
});

test('output beyond the answer stays in the log, which the answer names; other logs are removed', async () => {
  const large = await exec('head -c 1500000 /dev/zero | tr "\\0" x');
  expect(large.stdout).toHaveLength(1024 * 1024);
  expect(large).toMatchObject({ exit_code: 0, log_file: expect.any(String) });
  expect((await exec(`wc -c <${large.log_file}; rm ${large.log_file}`)).stdout).toBe('1500000\n');
  await exec('rm -f /tmp/hatch-exec-*');
  await exec('echo x');
  // Its own log is there while it looks.
  expect((await exec('ls /tmp | grep -c hatch-exec')).stdout).toBe('1\n');
});

describe('when the guest’s disk is full', () => {
  const fill = 'dd if=/dev/zero of=/tmp/fill bs=1k 2>/dev/null';
  beforeAll(async () => {
    // What is written before the mount is below it afterwards.
    expect(await exec('mount -t tmpfs -o size=256k none /tmp; echo mounted')).toEqual(done('mounted\n'));
  });
  afterAll(() => exec('umount -l /tmp'));

  test('a command that fills it: the answer says that output may be missing', async () => {
    const { stdout, ...answer } = await exec(
      `echo begun; ${fill}; head -c 100000 /dev/zero | tr '\\0' x; exit 4`,
    );
    expect(stdout).toMatch(/^begun\nx+$/);
    expect(answer).toMatchObject({ exit_code: 4, output_note: expect.stringMatching(/no space left/) });
  });

  test('later commands answer, and log elsewhere', async () => {
    await exec(`${fill}`);
    expect(await exec('echo seen; exit 3')).toEqual(done('seen\n', 3));
    const going = await exec('echo begun; exec sleep 1000', { background: true });
    expect(going.log_file).toMatch(/^\/run\/hatch-exec-[0-9a-f]{12}\.log$/);
    await until(going.log_file, 'begun');
    await exec(`kill ${going.pid}`);
  });
});

test('it has real figures', async () => {
  const { body } = await send(`GET /vms/${id}/metrics`);
  expect(body.vcpu.cpu_time_micros).toBeGreaterThan(0);
  expect(body.raw.memory_used_bytes).toBeGreaterThan(0);
  expect(body.net.rx_bytes).toBeNull();
});

test('a snapshotted VM goes on where it was, by a restore and by a request to its route', async () => {
  await exec('mkdir -p /run/www; echo page > /run/www/index.html; httpd -p 8080 -h /run/www');
  const route = await send(`POST /vms/${id}/routes`, { target_port: 8080 });
  const taken = await send(`POST /vms/${id}/snapshot`);
  expect(taken).toMatchObject({ status: 201, body: { vm_id: id, size_bytes: expect.any(Number) } });
  expect(await send(`GET /vms/${id}`)).toMatchObject({ body: { state: 'snapshotted' } });
  expect(await send(`POST /vms/${id}/restore`)).toMatchObject({ status: 200, body: { state: 'running' } });
  expect(await exec('cat /run/www/index.html')).toEqual(done('page\n'));

  await send(`POST /vms/${id}/snapshot`);
  const { port } = new URL(host.daemon.proxyUrls[0] ?? '');
  const asked = request({ port, path: '/', headers: { host: `${route.body.subdomain}.${domain}` } });
  asked.end();
  const [answer] = await once(asked, 'response');
  expect(await text(answer)).toBe('page\n');
  expect(await send(`GET /vms/${id}`)).toMatchObject({ body: { state: 'running' } });
  expect((await send(`GET /vms/${id}/snapshots`)).body).toHaveLength(2);
});

test('it is stopped and deleted', async () => {
  expect(await send(`POST /vms/${id}/stop`)).toMatchObject({ status: 200, body: { state: 'stopped' } });
  expect(await send(`POST /vms/${id}/exec`, { command: 'true' })).toEqual({
    status: 409,
    body: { error: 'vm is stopped, must be running' },
  });
  expect(await send(`DELETE /vms/${id}`)).toEqual({ status: 200, body: { status: 'deleted' } });
  expect((await send('GET /vms')).body).toEqual([]);
});

describe('the golden conversations, with real guests', () => {
  const contract = readContract('hatch');
  const files = readGolden(join(repository, 'src/http/dialects/hatch/golden'))
    .filter(({ conversation }) => conversation.onRealGuests)
    // Those with a running machine in a row share it.
    .toSorted(
      (one, other) => other.conversation.given.machines.length - one.conversation.given.machines.length,
    );
  let worlds: HostWorlds;
  beforeAll(async () => {
    worlds = await HostWorlds.of(host);
  });
  afterAll(() => worlds.close());

  test.each(files)('$path: $conversation.title', ({ conversation }) =>
    replay(conversation, worlds.open, { contract }),
  );
});
