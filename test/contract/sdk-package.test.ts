/**
 * The packed SDK, installed into an empty directory: its content, its types in compilers, and that it runs, also in a browser.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HttpServer } from '../../src/http/server.ts';
import { version } from '../../src/main/version.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../support/fake.ts';
import { repository } from '../support/host.ts';
import { type InstalledSdk, installSdk, runProgram } from '../support/sdk-package.ts';
import { browserTests } from './sdk-browser.contract.ts';

const program = `
import { FlotillaClient, FlotillaError, machineStatuses } from '@flotilla/sdk';

const [url = '', key = '', name = ''] = process.argv.slice(2);
const { machines } = new FlotillaClient({ url, key });
const { id } = await machines.create({ name, vcpu_count: 1, mem_size_mib: 128 });
await machines.start(id);
let text = '';
for await (const event of machines.execStream(id, { command: ['greet'] })) {
  if (event.type === 'outcome') text += event.outcome;
  else text += new TextDecoder().decode(event.data);
}
await machines.delete(id, { force: true });
const gone = await machines.get(id).catch((error) => error);
const isError = gone instanceof FlotillaError && gone.status === 404;
console.log(JSON.stringify({ text, isError, statuses: machineStatuses.length }));
`;

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let sdk: InstalledSdk;
let nodes: ReadonlyMap<string, string>;

beforeAll(async () => {
  fake = await startFake();
  fake.guest.events = [
    { type: 'stdout', data: new TextEncoder().encode('hé ') },
    { type: 'outcome', outcome: { outcome: 'exited', exitCode: 0 } },
  ];
  ({ server, url } = await serveFake(fake));
  sdk = await installSdk();
  nodes = await findNodes();
});
afterAll(async () => {
  await sdk[Symbol.asyncDispose]();
  await server.close(0);
  await fake.close();
});

/** One program per installed Node version that the package supports: version → path. */
async function findNodes(): Promise<ReadonlyMap<string, string>> {
  const directories = (process.env.PATH ?? '').split(delimiter);
  const found = new Map([[process.versions.node, process.execPath]]);
  for (const path of directories.map((directory) => join(directory, 'node'))) {
    const answer = await runProgram(path, ['--version'], { timeout: 10_000 }).catch(() => null);
    const [, number = '', major] = /^v((\d+)\S*)/.exec(answer?.stdout ?? '') ?? [];
    if (Number(major) >= 20) found.set(number, path);
  }
  return found;
}

test('it holds the compiled code with its types, and nothing else', async () => {
  const files = await readdir(sdk.packageDirectory, { recursive: true, withFileTypes: true });
  const names = files.filter((file) => file.isFile()).map(({ name }) => name);
  expect(names.filter((name) => !/\.js$|\.d\.ts$/.test(name)).toSorted()).toEqual([
    'LICENSE',
    'README.md',
    'package.json',
  ]);
  expect(names.filter((name) => /test|server/.test(name))).toEqual([]);
  expect(await readdir(join(sdk.directory, 'node_modules', '@flotilla'))).toEqual(['sdk']);
});

test('it has the version of the daemon, and no dependencies', async () => {
  const manifest = JSON.parse(await readFile(join(sdk.packageDirectory, 'package.json'), 'utf8'));
  expect(manifest).toMatchObject({ name: '@flotilla/sdk', version, type: 'module', license: 'Apache-2.0' });
  expect(manifest).not.toHaveProperty('dependencies');
});

test('it runs under every installed Node', async () => {
  const file = join(sdk.directory, 'program.mjs');
  await writeFile(file, program);
  for (const [number, path] of nodes) {
    const { stdout } = await runProgram(path, [file, url, testKey, `on-${number}`], { timeout: 30_000 });
    expect(JSON.parse(stdout), `Node ${number}`).toEqual({ text: 'hé exited', isError: true, statuses: 8 });
  }
});

test.each(['node_modules', 'sdk/node_modules'])('the compiler in %s understands its types', async (place) => {
  const file = join(sdk.directory, 'typed.ts');
  const declared = 'declare const process: { argv: string[] };';
  await writeFile(file, `${declared}${program}const wrong: number = (await machines.get(id)).name;\n`);
  const args = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', file];
  const tsc = join(repository, place, '.bin', 'tsc');
  const failure: unknown = await runProgram(tsc, args, { cwd: sdk.directory, timeout: 60_000 }).catch(
    (error: unknown) => error,
  );
  const { stdout } = failure as { readonly stdout: string };
  expect(stdout.match(/error TS.*/g)).toEqual([
    "error TS2322: Type 'string' is not assignable to type 'number'.",
  ]);
});

describe('in a browser', () => browserTests(() => sdk));
