/** The reverse proxy before a program in a real guest, which its user data starts: waking, idleness, large bodies. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isChromiumInstalled, launchChromium } from '../support/chromium.ts';
import { buildGoProgram } from '../support/go-program.ts';
import { startTestHost, type TestHost } from '../support/host.ts';

const suffix = '.flotilla.example';

let host: TestHost;
let proxy: URL;
let id: string;
beforeAll(async () => {
  host = await startTestHost({ PROXY_HOST_SUFFIX: suffix, HATCH_PROXY_WAKE_TIMEOUT: '180s' });
  proxy = new URL(host.daemon.proxyUrls[0] ?? '');
  const user_data =
    '#!/bin/sh\nmkdir -p /srv/www; echo hello > /srv/www/index.html; httpd -p 8080 -h /srv/www\n';
  const spec = { vcpu_count: 1, mem_size_mib: 128, image: 'busybox', exposed_ports: [8080], user_data };
  ({ id } = await host.client.machines.create({ name: 'web', ...spec }));
});
afterAll(() => host.close());

const get = async () => {
  const answer = await fetch(`${proxy.origin}/proxy/${id}/8080/`);
  return `${answer.status} ${await answer.text()}`;
};
const operations = async (kind: string) => {
  const { operations: all } = await host.client.operations.list({ machine: id, limit: 1000 });
  return all.filter((each) => each.kind === kind).length;
};

test('a hundred requests to a machine that does not run: one start, a hundred answers', async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, get));
  expect(answers).toEqual(Array(100).fill('200 hello\n'));
  expect(await operations('machine.start')).toBe(1);
});

test('a program answers, by path and by host', async () => {
  expect(await get()).toBe('200 hello\n');
  const sent = request({ port: proxy.port, path: '/', headers: { host: `${id}-8080${suffix}` } });
  sent.end();
  const [answer] = await once(sent, 'response');
  expect(answer.statusCode).toBe(200);
  expect(String(Buffer.concat(await answer.toArray()))).toBe('hello\n');
});

test('an idle machine is paused, and a request wakes it', async () => {
  const { machines } = host.client;
  await machines.update('web', { idle: { after_seconds: 1, action: 'pause' } });
  await machines.wait('web', { status: 'paused', timeout: 30 });
  await machines.update('web', { idle: { after_seconds: 3600, action: 'pause' } });
  expect(await get()).toBe('200 hello\n');
  expect(await operations('machine.resume')).toBe(1);
});

test('32 MB go in unchanged', async () => {
  const pieces = 32;
  const piece = Buffer.alloc(1_000_000, 'flotilla\0');
  const digest = createHash('sha256');
  for (let count = 0; count < pieces; count += 1) digest.update(piece);
  const script = `mkdir -p /srv/www/cgi-bin
    printf '#!/bin/sh\\nprintf "Content-Type: text/plain\\\\r\\\\n\\\\r\\\\n"; head -c "$CONTENT_LENGTH" | sha256sum\\n' > /srv/www/cgi-bin/sum; chmod +x /srv/www/cgi-bin/sum`;
  await host.client.machines.exec('web', { command: ['sh', '-c', script] });
  const sent = request({
    port: proxy.port,
    path: `/proxy/${id}/8080/cgi-bin/sum`,
    method: 'POST',
    headers: { 'content-length': pieces * piece.length },
  });
  const answered = once(sent, 'response');
  await pipeline(Readable.from(Array(pieces).fill(piece)), sent);
  const [answer] = await answered;
  expect(String(Buffer.concat(await answer.toArray()))).toBe(`${digest.digest('hex')}  -\n`);
});

test.runIf(isChromiumInstalled)(
  'a browser opens a private route by its link, and uses a WebSocket of the program',
  async () => {
    const { files, machines, routes } = host.client;
    const program = new Blob([new Uint8Array(await buildGoProgram('guest-chat'))]);
    await files.write('web', '/srv/chat', program.stream(), { mode: '0755' });
    await machines.exec('web', {
      command: ['sh', '-c', 'setsid /srv/chat 8081 >/dev/null 2>&1 </dev/null &'],
    });
    await routes.create({ machine: 'web', target_port: 8081, subdomain: 'chat', access: 'private' });
    const { token } = await routes.createToken('chat');
    const browser = await launchChromium(suffix.slice(1));
    try {
      const address = `http://chat${suffix}:${proxy.port}/`;
      const page = await browser.newPage();
      expect((await page.goto(address))?.status()).toBe(401);
      await page.goto(`${address}?flotilla_token=${token}#hello%20wörld`);
      await expect.poll(() => page.locator('#log').textContent(), { timeout: 30_000 }).toBe('hello\nwörld\n');
      expect(page.url()).not.toContain(token);
      await routes.revokeTokens('chat');
      expect((await page.reload())?.status()).toBe(401);
    } finally {
      await browser.close();
    }
  },
);
