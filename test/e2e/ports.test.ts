/** Programs that listen in a real guest, reached over the daemon: there is no network in between. The host has no bridge. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { refusalOf } from '../support/exec-socket.ts';
import { repository, runCommand, startTestHost, type TestHost } from '../support/host.ts';

const protocol = 'flotilla.tcp.v1';
const end = '{"type":"end"}';

let host: TestHost;
beforeAll(async () => {
  // As on a host without root or nftables: the daemon itself carries connections to published ports.
  host = await startTestHost({ FLOTILLA_NETWORK: 'user' });
  const { machines } = host.client;
  await machines.create({ name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' });
  await machines.start('web');
  const script =
    'mkdir /srv/www; echo "hello from $(hostname)" > /srv/www/index.html; httpd -p 8080 -h /srv/www';
  expect(await machines.exec('web', { command: ['sh', '-c', script] })).toMatchObject({ exit_code: 0 });
});
afterAll(() => host.close());

const at = (port: number) => `${host.url.replace(/^http/, 'ws')}/machines/web/ports/${port}/ws`;

/** Sends all of the input, and resolves with what the program sent until it ended. */
async function talk(port: number, input: Buffer): Promise<Buffer> {
  const socket = new WebSocket(at(port), [protocol], { headers: { authorization: `Bearer ${host.key}` } });
  const got: Buffer[] = [];
  socket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) got.push(data);
  });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'open');
  for (let at = 0; at < input.length; at += 60_000) socket.send(input.subarray(at, at + 60_000));
  socket.send(end);
  expect(await closed).toBe(1000);
  return Buffer.concat(got);
}

test('a web server answers', async () => {
  const answer = String(await talk(8080, Buffer.from('GET /index.html HTTP/1.0\r\n\r\n')));
  expect(answer).toMatch(/^HTTP\/1\.\d 200 OK\r\n/);
  expect(answer).toMatch(/hello from web\n$/);
});

test('ten at once, and 8 MB in and out unchanged', async () => {
  const { machines } = host.client;
  await machines.exec('web', {
    command: ['sh', '-c', 'nc -ll -p 9000 -e sha256sum >/dev/null 2>&1 </dev/null &'],
  });
  const content = Buffer.alloc(8_000_000, 'flotilla\0');
  const expected = createHash('sha256').update(content).digest('hex');
  await expect
    .poll(async () => String(await talk(9000, Buffer.from('x'))).length, { timeout: 20_000 })
    .toBeGreaterThan(60);
  expect(String(await talk(9000, content))).toBe(`${expected}  -\n`);
  const small = Array.from({ length: 10 }, (_, index) =>
    Buffer.from(`GET /index.html?${index} HTTP/1.0\r\n\r\n`),
  );
  const answers = await Promise.all(small.map((input) => talk(8080, input)));
  expect(answers.map((answer) => /hello from web/.test(String(answer)))).toEqual(small.map(() => true));
});

test('port-forward: curl reaches the web server, and a port without one is said', async () => {
  const script = `
    exec 3< <(exec ./flotilla port-forward web :8080 :81)
    pid=$!
    read -r -u 3 _ _ address _; read -r -u 3 _ _ other _
    curl -sS "http://$address/"
    ! curl -s "http://$other/"
    kill -INT $pid; wait $pid`;
  const { exitCode, stdout, stderr } = await runCommand('bash', ['-euo', 'pipefail', '-c', script], {
    env: host.env,
  });
  expect({ exitCode, stdout: stdout.toString() }, stderr).toEqual({
    exitCode: 0,
    stdout: 'hello from web\n',
  });
  expect(stderr).toMatch(/nothing listens on port 81/i);
});

test('a published port is a port of this host, until it is withdrawn or the machine stops', async () => {
  const { machines, network } = host.client;
  const ask = (port: number) => fetch(`http://127.0.0.1:${port}/index.html`).then((answer) => answer.text());
  const refused = { cause: { code: expect.stringMatching(/ECONNREFUSED|ECONNRESET|UND_ERR_SOCKET/) } };
  const { port, in_force } = await network.publish('web', { guest_port: 8080 });
  expect(in_force).toBe(true);
  expect(await ask(port.host_port)).toBe('hello from web\n');
  expect((await machines.get('web')).network).toMatchObject({
    kind: 'user',
    note: expect.stringContaining('the daemon carries connections'),
  });
  await expect(network.publish('web', { guest_port: 53, protocol: 'udp' })).rejects.toMatchObject({
    message: expect.stringContaining('publishes no UDP ports'),
  });
  await expect(
    network.publish('web', { guest_port: 80, host_port: Number(new URL(host.url).port) }),
  ).rejects.toMatchObject({ status: 409 });
  const { port: silent } = await network.publish('web', { guest_port: 81 });
  await expect(ask(silent.host_port)).rejects.toMatchObject(refused);
  await network.unpublish('web', silent.host_port);
  await expect(ask(silent.host_port)).rejects.toMatchObject(refused);
  await machines.pause('web');
  await expect(ask(port.host_port)).rejects.toMatchObject(refused);
  await machines.resume('web');
  expect(await ask(port.host_port)).toBe('hello from web\n');
});

test('the commands of docs/ports.md', async () => {
  const text = await readFile(join(repository, 'docs/ports.md'), 'utf8');
  const blocks = [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block);
  // Other names and ports than those that may be in use here.
  const script = blocks
    .join('')
    .replaceAll(/\bweb\b/g, 'docs')
    .replaceAll(/(?<=127\.0\.0\.1:|docs )8080/g, '18080');
  const { exitCode, stdout, stderr } = await runCommand('bash', ['-euo', 'pipefail', '-c', script], {
    env: host.env,
  });
  expect(exitCode, stderr).toBe(0);
  expect(stdout.toString().match(/^hello$/gm)).toHaveLength(2);
});

test('nothing listens: 409, and the machine goes on', async () => {
  const refused = await refusalOf(at(81).replace(/^ws/, 'http'), { key: host.key, protocols: [protocol] });
  expect(refused).toMatchObject({ status: 409, body: { error: { message: 'Nothing listens on port 81' } } });
  expect(String(await talk(8080, Buffer.from('GET / HTTP/1.0\r\n\r\n')))).toMatch(/200 OK/);
});
