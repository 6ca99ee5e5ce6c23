/** Finds this host's Chromium for tests of web pages; `scripts/chromium-for-tests.sh` installs it. */
import { access } from 'node:fs/promises';
import { type Browser, chromium } from 'playwright-core';

const executablePath = '/usr/bin/chromium';
/** Chromium refuses to start as root without these, and would contact its vendor's servers. */
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const isChromiumInstalled = await access(executablePath).then(
  () => true,
  () => false,
);

export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath, args });
}
