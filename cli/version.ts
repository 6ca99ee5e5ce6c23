/** This program's own version. */
import { readFileSync } from 'node:fs';

export function cliVersion(): string {
  const file = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(file) as { readonly version: string };
  return version;
}
