/** Finds this host's Chromium for tests of web pages; `scripts/checks.sh` has it installed. */
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

/** `domain`: its names are this host's loopback address to the browser. */
export function launchChromium(domain?: string): Promise<Browser> {
  const rules = domain === undefined ? [] : [`--host-resolver-rules=MAP *.${domain} 127.0.0.1`];
  return chromium.launch({ executablePath, args: [...args, ...rules] });
}
