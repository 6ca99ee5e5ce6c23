/** The README names every method. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FlotillaClient } from './client.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const client = new FlotillaClient({ url: 'http://127.0.0.1:9' });

test.each([
  'machines',
  'execs',
  'images',
  'keys',
  'network',
  'routes',
  'operations',
  'templates',
  'snapshots',
  'sshKeys',
  'environments',
  'quotas',
] as const)('the methods of %s', (noun) => {
  const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(client[noun]));
  const row = new RegExp(`^\\| \`${noun}\` \\| (.+) \\|$`, 'm').exec(readme)?.[1] ?? '';
  const named = [...row.matchAll(/`(\w+)`/g)].map(([, name]) => name);
  expect(named.toSorted()).toEqual(methods.filter((name) => name !== 'constructor').toSorted());
});

test('the deadline of each call that changes a machine or a key', () => {
  const deadlines = /^## Deadlines$(.+?)^## /ms.exec(readme)?.[1] ?? '';
  for (const name of ['create', 'start', 'stop', 'restart', 'pause', 'resume', 'delete', 'revoke']) {
    expect(deadlines).toMatch(new RegExp(`\\b${name}\`|\`${name}\``));
  }
});
