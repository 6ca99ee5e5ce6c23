/** Terminals over a WebSocket in a real guest, and the page of the SDK's README with one in a real browser. */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { FlotillaClient } from '../../sdk/src/index.ts';
import { isChromiumInstalled, launchChromium } from '../support/chromium.ts';
import { TestSocket } from '../support/exec-socket.ts';
import { repository, startTestHost, type TestHost } from '../support/host.ts';
import { type InstalledSdk, installSdk } from '../support/sdk-package.ts';

vi.setConfig({ testTimeout: 60_000, hookTimeout: 300_000 });

const decoder = new TextDecoder();
let host: TestHost;
/** Serves the page and the packages beside it. */
let pages: Server;
let origin: string;
let sdk: InstalledSdk;
let browser: Browser | undefined;

beforeAll(async () => {
  sdk = await installSdk();
  pages = createServer((request, response) => {
    void answer(new URL(request.url ?? '/', 'http://page').pathname).then(
      ({ type, body }) => response.writeHead(200, { 'content-type': type }).end(body),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  host = await startTestHost({ FLOTILLA_CORS_ORIGINS: origin });
  await host.client.machines.create({ name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' });
  await host.client.machines.start('web');
  if (isChromiumInstalled) browser = await launchChromium();
});
afterAll(async () => {
  await browser?.close();
  await host?.close();
  pages.closeAllConnections();
  await new Promise((resolve) => pages.close(resolve));
  await sdk?.[Symbol.asyncDispose]();
});

async function answer(path: string): Promise<{ readonly type: string; readonly body: Buffer | string }> {
  if (path === '/') return { type: 'text/html', body: await pageOfReadme() };
  const [, room = '', ...rest] = path.split('/');
  const directories: Readonly<Record<string, string>> = {
    sdk: join(sdk.packageDirectory, 'dist'),
    xterm: join(repository, 'node_modules', '@xterm', 'xterm'),
    'addon-fit': join(repository, 'node_modules', '@xterm', 'addon-fit'),
  };
  const body = await readFile(join(directories[room] ?? '', ...rest));
  return { type: path.endsWith('.css') ? 'text/css' : 'text/javascript', body };
}

async function pageOfReadme(): Promise<string> {
  const readme = await readFile(join(repository, 'sdk', 'README.md'), 'utf8');
  return /^```html\n(.*?)^```$/ms.exec(readme)?.[1] ?? '';
}

/** Reads until the text has appeared. */
async function until(
  output: AsyncIterator<{ readonly data: Uint8Array }>,
  text: string | RegExp,
): Promise<string> {
  for (let seen = ''; ; ) {
    const { done, value } = await output.next();
    if (done) throw new Error(`ended: ${JSON.stringify(seen)}`);
    seen += decoder.decode(value.data);
    if (typeof text === 'string' ? seen.includes(text) : text.test(seen)) return seen;
  }
}

describe('a real shell', () => {
  test('has a terminal of the size of the caller’s, is interrupted by Ctrl-C, and ends with its exit code', async () => {
    const terminal = await host.client.machines.terminal('web', { cols: 101, rows: 31, env: { PS1: '> ' } });
    const output = terminal[Symbol.asyncIterator]();
    await terminal.write('stty size\n');
    await until(output, '31 101');
    terminal.resize({ cols: 70, rows: 20 });
    await terminal.write('stty size\n');
    await until(output, '20 70');
    await terminal.write("sh -c 'echo running; exec sleep 1000'\n");
    await until(output, /\nrunning\r\n/);
    await terminal.write('\u0003');
    await terminal.write('echo status $?\n');
    await until(output, 'status 130');
    await terminal.write('exit 7\n');
    for (let read = await output.next(); !read.done; read = await output.next());
    expect(await terminal.wait()).toEqual({ outcome: 'exited', exit_code: 7 });
  });

  test('is left and attached to again, with all its output', async () => {
    const first = await host.client.machines.terminal('web', {
      command: 'read a; echo "got $a"; read b; echo "and $b"',
    });
    await first.write('one\n');
    await until(first[Symbol.asyncIterator](), 'got one');
    await first.close();
    const second = await host.client.execs.attach('web', first.id ?? '');
    await second.write('two\n');
    let text = '';
    for await (const { data } of second) text += decoder.decode(data);
    expect(text).toBe('one\r\ngot one\r\ntwo\r\nand two\r\n');
    expect(await second.wait()).toEqual({ outcome: 'exited', exit_code: 0 });
  });

  test('passes on all input to a slow program, and all its output', async () => {
    const bytes = 3_000_000;
    const terminal = await host.client.machines.terminal('web', {
      command: 'sleep 1; cat',
      tty: false,
      timeout: 120,
    });
    const writing = terminal.write(new Uint8Array(bytes).fill(97)).then(() => terminal.endInput());
    let received = 0;
    for await (const { data } of terminal) received += data.length;
    await writing;
    expect(received).toBe(bytes);
    expect(await terminal.wait()).toEqual({ outcome: 'exited', exit_code: 0 });
  });

  test('past its timeout is killed, with everything that it started', async () => {
    const script = 'setsid sleep 4711 & sleep 4711';
    const terminal = await host.client.machines.terminal('web', { command: script, timeout: 1 });
    for await (const _ of terminal);
    expect(await terminal.wait()).toEqual({ outcome: 'timed_out' });
    const left = { command: ['sh', '-c', 'ps | grep -c "[s]leep 4711"'] };
    expect(await host.client.machines.exec('web', left)).toMatchObject({ stdout: '0\n' });
  });

  test('whose client does not acknowledge stops: the daemon holds less than 1 MiB, and others go on', async () => {
    const kib = 1024;
    const slow = await new TestSocket(`${host.url}/machines/web/exec/ws`, {
      key: host.key,
      acks: false,
    }).opened();
    slow.send({ type: 'start', command: ['cat', '/dev/zero'], timeout: 60 });
    const { id } = await slow.message('started');
    await slow.until(() => slow.output.bytes === 256 * kib);
    // Another command’s output passes it.
    const other = await host.client.machines.terminal('web', {
      command: ['head', '-c', '4000000', '/dev/zero'],
      tty: false,
    });
    let bytes = 0;
    for await (const { data } of other) bytes += data.length;
    expect(bytes).toBe(4_000_000);
    // What the client has not got is in the daemon, on its way, or in the guest’s buffer of 256 KiB.
    const { next_cursor } = await host.client.execs.get('web', String(id));
    expect(slow.output.bytes).toBe(256 * kib);
    expect(next_cursor).toBeLessThanOrEqual((256 + 256 + 128) * kib);
    slow.socket.terminate();
    await host.client.execs.delete('web', String(id));
  });

  test('is reached over the operator’s unix socket', async () => {
    const path = join(host.config.stateDir, 'operator', 'api.sock');
    const operator = new FlotillaClient({
      ...{ url: 'http://flotilla', key: host.key },
      openSocket: ({ url, protocol, key }) =>
        new WebSocket(`ws+unix://${path}:${new URL(url).pathname}`, [protocol], {
          headers: { authorization: `Bearer ${key}` },
        }),
    });
    const terminal = await operator.machines.terminal('web', { command: 'id -u; tty', cols: 10, rows: 5 });
    let text = '';
    for await (const { data } of terminal) text += decoder.decode(data);
    expect(text).toMatch(/^0\r\n\/dev\/pts\/\d+\r\n$/);
  });

  test('of a user that does not exist is refused', async () => {
    const refused = host.client.machines.terminal('web', { user: 'nobody-here' });
    await expect(refused).rejects.toMatchObject({ status: 400, code: 'VALIDATION_ERROR' });
  });
});

test.runIf(isChromiumInstalled)(
  'the page of the README: what is typed is run, and the screen has its size',
  async () => {
    const page = await (browser as Browser).newPage({ viewport: { width: 800, height: 400 } });
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    const { key } = await host.client.keys.create({ name: 'page', scopes: ['machines:exec'] });
    await page.goto(`${origin}/#${new URLSearchParams({ url: host.url, key, machine: 'web' })}`);
    const screen = page.locator('.xterm-rows');
    await screen.filter({ hasText: '#' }).waitFor();
    await page.keyboard.type('uname -s; stty size\n');
    await screen.filter({ hasText: 'Linux' }).waitFor();
    const sizes = async () =>
      // biome-ignore lint/performance/useDomNodeTextContent: the lines of the screen are elements.
      [...(await screen.innerText()).matchAll(/(\d+) (\d+)$/gm)].map(([size]) => size);
    await vi.waitFor(async () => expect(await sizes()).toHaveLength(1), 10_000);
    await page.setViewportSize({ width: 1100, height: 600 });
    await vi.waitFor(async () => {
      await page.keyboard.type('stty size\n');
      expect(new Set(await sizes()).size).toBe(2);
    }, 10_000);
    const [before = '', after = ''] = await sizes();
    for (const [index, cells] of after.split(' ').entries())
      expect(Number(cells)).toBeGreaterThan(Number(before.split(' ')[index]));
    const { FLOTILLA_SCREENSHOT: path } = process.env;
    if (path !== undefined) await page.screenshot({ path });
    await page.keyboard.type('exit\n');
    await screen.filter({ hasText: 'exited' }).waitFor();
    expect(problems).toEqual([]);
    await page.close();
  },
);
