/** `stats`: figures once, again and again on a terminal, and for programs. */
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { define } from './commands/stats.ts';
import { FakeApi } from './testing/fake-api.ts';
import { runCli } from './testing/run-cli.ts';
import { testContext } from './testing/test-context.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await FakeApi.start();
});
afterEach(() => api[Symbol.asyncDispose]());

const cli = (...args: string[]) => runCli(args, { env: { FLOTILLA_URL: api.url } });

test('prints a table of all machines that run', async () => {
  api.add('web');
  api.add('still', 'paused');
  api.add('over', 'stopped');
  const { stdout, stderr, code } = await cli('stats');
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(stdout.toString()).toBe(
    [
      'NAME   STATUS   CPU    VCPUS  MEMORY             ON HOST  DISK READ / WRITTEN  NET IN / OUT  UPTIME',
      'web    running  50.0%  1      100 MiB / 512 MiB  200 MiB  4.1 kB / -           - / -         2.0s  ',
      'still  paused   -      1      - / 512 MiB        200 MiB  4.1 kB / -           - / -         -     ',
      '',
    ]
      .join('\n')
      .replaceAll(/ +$/gm, ''),
  );
});

test('answers to top; shows the machines that are named, whatever their status', async () => {
  api.add('web');
  api.add('over', 'stopped');
  const shown = (await cli('top', 'over', '--format', '{{name}} {{metrics.status}}')).stdout.toString();
  expect(shown).toBe('over stopped\n');
});

test('a machine that does not exist is an error', async () => {
  expect(await cli('stats', 'nobody')).toMatchObject({ code: 1, stderr: expect.stringContaining('nobody') });
});

test('--json has everything', async () => {
  api.add('web');
  const [row] = JSON.parse((await cli('stats', '--json')).stdout.toString());
  expect(row).toMatchObject({ name: 'web', cpu_percent: 50, metrics: { disk: { write_bytes: null } } });
});

test('without machines says so', async () => {
  expect(await cli('stats')).toMatchObject({ code: 0, stderr: expect.stringContaining('No machine runs') });
});

test('on a terminal the table is renewed until it is interrupted', async () => {
  api.add('web');
  const { context, ended, interrupt } = testContext({ FLOTILLA_URL: api.url }, { isTTY: true, columns: 80 });
  const shown = define(context).exitOverride().parseAsync(['web'], { from: 'user' });
  // The first is the base of the second's share.
  await api.saw(/^measured/);
  await expect
    .poll(() => api.log.filter((entry) => entry.startsWith('measured')).length, { timeout: 20_000 })
    .toBeGreaterThan(2);
  interrupt();
  await expect(shown).rejects.toThrow();
  const { stdout } = await ended();
  const text = stripVTControlCharacters(stdout);
  expect(text.match(/^NAME/gm)?.length).toBeGreaterThan(0);
  for (const line of text.split('\n')) expect(line.trimEnd().length).toBeLessThanOrEqual(80);
});
