/** The page at `/docs` in a real browser: it shows every operation and sends requests only to the daemon. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { HttpServer } from '../../src/http/server.ts';
import { isChromiumInstalled, launchChromium } from '../support/chromium.ts';
import { type FakeFlotilla, serveFake, startFake } from '../support/fake.ts';
import { readContract } from './document.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let browser: Browser | undefined;

beforeAll(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake));
  if (isChromiumInstalled) browser = await launchChromium();
});
afterAll(async () => {
  await browser?.close();
  await server.close(0);
  await fake.close();
});

test.runIf(isChromiumInstalled)(
  'shows every operation, without requests elsewhere and without errors',
  async () => {
    const page = await (browser as Browser).newPage({ viewport: { width: 1200, height: 1600 } });
    const foreign: string[] = [];
    const complaints: string[] = [];
    page.on('request', (request) => {
      if (!request.url().startsWith(`${url}/`) && !request.url().startsWith('data:'))
        foreign.push(request.url());
    });
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('requestfailed', (request) => complaints.push(`${request.url()} failed`));
    page.on('response', (response) => {
      if (response.status() >= 400) complaints.push(`${response.url()}: ${response.status()}`);
    });
    await page.goto(`${url}/docs`);
    await page.locator('#operations-machines-createMachine').click();
    await page.locator('#operations-machines-createMachine .opblock-body').waitFor();
    const { operations } = readContract();
    expect(await page.locator('.opblock').count()).toBe(operations.length);
    expect(await page.locator('h1, h2').first().textContent()).toContain('Flotilla API');
    const chooser = page.locator('select#select');
    for (const title of ['Hatch API', 'HyperMachine API', 'TTstack API']) {
      await chooser.selectOption({ label: title });
      await page.locator('.info .title', { hasText: title }).waitFor();
      expect(await page.locator('.opblock').count(), title).toBeGreaterThan(5);
    }
    const picture = process.env.DOCS_PICTURE;
    if (picture !== undefined) await page.screenshot({ path: picture });
    await page.close();
    expect(foreign).toEqual([]);
    expect(complaints).toEqual([]);
  },
);

test.each([
  ['/docs', 'text/html; charset=UTF-8'],
  ['/docs/json', 'application/json'],
  ['/docs/env.schema.json', 'application/schema+json'],
  ['/docs/assets/start.js', 'text/javascript; charset=utf-8'],
  ['/docs/assets/swagger-ui-bundle.js', 'text/javascript; charset=utf-8'],
  ['/docs/assets/swagger-ui.css', 'text/css; charset=utf-8'],
  ['/docs/assets/favicon-32x32.png', 'image/png'],
])('%s is served without a key as %s', async (path, type) => {
  const response = await fetch(`${url}${path}`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe(type);
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(50);
});

test.each(['/docs/assets/package.json', '/docs/assets/..%2fpackage.json', '/docs/nothing'])(
  '%s is not served',
  async (path) => {
    expect((await fetch(`${url}${path}`)).status).toBe(401);
  },
);
