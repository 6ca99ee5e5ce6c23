/** The Chromium of this host, for tests that look at our pages; `scripts/chromium-for-tests.sh` installs it. */
import { access } from 'node:fs/promises';
import { type Browser, chromium } from 'playwright-core';

const executablePath = '/usr/bin/chromium';
/** Without these a Chromium that is root starts not at all, and any asks its maker's hosts for news. */
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
