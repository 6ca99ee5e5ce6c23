/**
 * The built SDK in a browser, without a bundler, in a page of another origin than the daemon's. `sdk-package.test.ts` runs it on
 * the package that it makes, because making one takes longer than these tests.
 */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type * as Sdk from '../../sdk/src/index.ts';
import { FlotillaClient } from '../../sdk/src/index.ts';
import type { HttpServer } from '../../src/http/server.ts';
import { isChromiumInstalled, launchChromium } from '../support/chromium.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../support/fake.ts';
import type { InstalledSdk } from '../support/sdk-package.ts';

const html = `<!doctype html><title>page</title><script type="module">
import * as sdk from '/dist/index.js';
globalThis.sdk = sdk;
</script>`;

/** Runs in the page, so it cannot use anything of this file. */
async function useSdk({ url, key }: { readonly url: string; readonly key: string }) {
  const { FlotillaClient, FlotillaError } = (globalThis as unknown as { readonly sdk: typeof Sdk }).sdk;
  try {
    const { machines } = new FlotillaClient({ url, key });
    const { id } = await machines.create({ name: 'from-page', vcpu_count: 1, mem_size_mib: 128 });
    await machines.start(id);
    const names = (await machines.list()).machines.map(({ name }) => name);
    const seen: string[] = [];
    for await (const event of machines.execStream(id, { command: ['greet'] })) {
      if (event.type === 'outcome') seen.push(JSON.stringify(event));
      else seen.push(`${event.type} ${new TextDecoder().decode(event.data)}`);
    }
    const taken = await machines
      .create({ name: 'from-page', vcpu_count: 1, mem_size_mib: 128 })
      .catch((error: unknown) => error);
    const refusal = taken instanceof FlotillaError ? [taken.status, taken.requestId !== undefined] : taken;
    await machines.delete(id, { force: true });
    return { names, seen, refusal };
  } catch (error) {
    return error instanceof FlotillaError ? { code: error.code } : { error: String(error) };
  }
}

/** `sdk` gives the package when the tests run. */
export function browserTests(sdk: () => InstalledSdk): void {
  let fake: FakeFlotilla;
  let server: HttpServer;
  let url: string;
  /** Serves `html` at `/` and the package's files; the daemon allows one of its two origins. */
  let pages: Server;
  let port: number;
  let browser: Browser | undefined;

  beforeAll(async () => {
    if (!isChromiumInstalled) return;
    pages = createServer((request, response) => {
      const path = new URL(request.url ?? '/', 'http://page').pathname;
      if (path === '/') {
        response.writeHead(200, { 'content-type': 'text/html' }).end(html);
        return;
      }
      readFile(join(sdk().packageDirectory, path)).then(
        (file) => response.writeHead(200, { 'content-type': 'text/javascript' }).end(file),
        () => response.writeHead(404).end(),
      );
    });
    await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
    ({ port } = pages.address() as AddressInfo);
    fake = await startFake();
    fake.guest.events = [
      { type: 'stdout', data: new TextEncoder().encode('hé ') },
      { type: 'stderr', data: new TextEncoder().encode('oh ') },
      { type: 'outcome', outcome: { outcome: 'exited', exitCode: 3 } },
    ];
    ({ server, url } = await serveFake(fake, { corsOrigins: new Set([`http://localhost:${port}`]) }));
    browser = await launchChromium();
  });
  afterAll(async () => {
    if (!isChromiumInstalled) return;
    await browser?.close();
    await server.close(0);
    await fake.close();
    pages.closeAllConnections();
    await new Promise((resolve) => pages.close(resolve));
  });

  const openPage = async (host: string): Promise<Page> => {
    const page = await (browser as Browser).newPage();
    await page.goto(`http://${host}:${port}/`);
    return page;
  };

  test.runIf(isChromiumInstalled)(
    'a page of an allowed origin lists machines and streams a command',
    async () => {
      const page = await openPage('localhost');
      expect(await page.evaluate(useSdk, { url, key: testKey })).toEqual({
        names: ['from-page'],
        seen: ['stdout hé ', 'stderr oh ', '{"type":"outcome","outcome":"exited","exit_code":3}'],
        refusal: [409, true],
      });
      await page.close();
    },
  );

  test.runIf(isChromiumInstalled)('a page of any other origin gets nothing', async () => {
    const page = await openPage('127.0.0.1');
    expect(await page.evaluate(useSdk, { url, key: testKey })).toEqual({ code: 'UNREACHABLE' });
    await page.close();
    expect(await new FlotillaClient({ url, key: testKey }).machines.list()).toMatchObject({ total: 0 });
  });
}
