/** Runs the program in the SDK's README, unchanged, against a real daemon with a real machine. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { repository, runCommand, startTestHost, type TestHost } from '../support/host.ts';
import { type InstalledSdk, installSdk, runProgram } from '../support/sdk-package.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let host: TestHost;
let sdk: InstalledSdk;
let blocks: readonly { readonly language: string; readonly text: string }[];

beforeAll(async () => {
  const readme = await readFile(join(repository, 'sdk', 'README.md'), 'utf8');
  blocks = [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({
    language,
    text,
  }));
  host = await startTestHost();
  sdk = await installSdk();
});
afterAll(async () => {
  await sdk?.[Symbol.asyncDispose]();
  // Fails if anything is left behind.
  await host?.close();
});

/** All of it, as one program. */
const program = () =>
  blocks
    .filter(({ language }) => language === 'ts')
    .map(({ text }) => text)
    .join('');

test('its first program has about ten statements', () => {
  const programs = blocks.filter(({ language }) => language === 'ts');
  expect(programs).toHaveLength(6);
  expect(programs[0]?.text.split('\n').filter((line) => line !== '').length).toBeLessThanOrEqual(12);
});

test('the program runs a command in a machine and leaves nothing', async () => {
  const file = join(sdk.directory, 'program.ts');
  await writeFile(file, program());
  const { exitCode, stdout, stderr } = await runCommand(process.execPath, [file], {
    env: host.env,
    timeoutMs: 240_000,
  });
  expect(stderr).toBe('');
  expect(stdout.toString().split('\n')).toEqual([
    ...['Flotilla', 'Linux 0', 'Linux', "{ type: 'outcome', outcome: 'exited', exit_code: 0 }"],
    // Two are the machines of the first programs, which are removed at their end.
    ...["active [ 'ci-db running', 'ci-web running' ] []", '4'],
    ...['built', "{ type: 'outcome', outcome: 'exited', exit_code: 0, cursor: 6 }"],
    ...["true { outcome: 'exited', exit_code: 3 }", ''],
  ]);
  expect(exitCode).toBe(0);
  expect(await host.client.machines.list()).toEqual({ machines: [], total: 0 });
});

test('the program has no type error', async () => {
  const file = join(sdk.directory, 'checked.ts');
  await writeFile(file, `/// <reference types="node" />\n${program()}`);
  const typeRoots = join(repository, 'node_modules', '@types');
  const args = [
    '--noEmit',
    '--strict',
    '--target',
    'es2022',
    '--module',
    'nodenext',
    '--typeRoots',
    typeRoots,
  ];
  const tsc = join(repository, 'sdk', 'node_modules', '.bin', 'tsc');
  const { stdout } = await runProgram(tsc, [...args, file], { cwd: sdk.directory, timeout: 60_000 });
  expect(stdout).toBe('');
});
