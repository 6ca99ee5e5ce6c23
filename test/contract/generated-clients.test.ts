/**
 * Clients that well-known generators make of the document have every operation, with types, and drive a machine.
 * `scripts/python-tool-for-tests.sh` and `scripts/openapi-ts-for-tests.sh` install the generators; where they could not, these
 * are skipped.
 */
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HttpServer } from '../../src/http/server.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../support/fake.ts';
import { repository, runCommand } from '../support/host.ts';
import { readContract } from './document.ts';

const document = join(repository, 'openapi', 'machines.json');
const drivers = join(import.meta.dirname, 'generators');
const pythonHome = join(repository, '.toolchain', 'openapi-python-client');
const typescriptHome = join(repository, '.toolchain', 'openapi-ts');
const timeoutMs = 240_000;
const operations = readContract().operations.map(({ operationId }) => operationId);

let directory: string;
let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'generated-client-'));
  fake = await startFake();
  fake.guest.events = [
    { type: 'stdout', data: new TextEncoder().encode('6.1.0\n') },
    { type: 'outcome', outcome: { outcome: 'exited', exitCode: 0 } },
  ];
  ({ server, url } = await serveFake(fake));
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
  await rm(directory, { recursive: true });
});

/** Standard output; fails with everything that was said. */
async function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  const options = {
    env: { ...process.env, NO_COLOR: '1', NODE_DISABLE_COMPILE_CACHE: '1', ...env },
    timeoutMs,
    cwd: directory,
  };
  const { exitCode, stdout, stderr } = await runCommand(program, [...args], options);
  expect(exitCode, `${program} ${args.join(' ')}\n${stdout.toString()}\n${stderr}`).toBe(0);
  return `${stdout.toString()}${stderr}`;
}

const snakeCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

test.skipIf(!existsSync(join(pythonHome, 'installed')))(
  'openapi-python-client: a client in Python',
  { timeout: timeoutMs },
  async () => {
    const bin = join(pythonHome, 'bin');
    const output = join(directory, 'flotilla_client');
    const said = await run(
      join(bin, 'openapi-python-client'),
      ['generate', '--path', document, '--meta', 'none', '--output-path', output],
      { PATH: `${bin}:${process.env.PATH}` },
    );
    expect(said).not.toMatch(/warning/i);
    const files = await readdir(join(output, 'api'), { recursive: true });
    const made = files
      .map((file) => /(\w+)\.py$/.exec(file)?.[1] ?? '')
      .filter((name) => name !== '__init__');
    expect(made.filter((name) => name !== '').toSorted()).toEqual(operations.map(snakeCase).toSorted());
    for (const file of files.filter((name) => name.endsWith('.py'))) {
      expect(await readFile(join(output, 'api', file), 'utf8'), file).not.toMatch(/body: Any\b/);
    }
    const driven = await run(join(bin, 'python'), [join(drivers, 'drive.py'), url, testKey], {
      PYTHONPATH: directory,
      PYTHONDONTWRITEBYTECODE: '1',
    });
    expect(driven).toBe('6.1.0\n');
  },
);

test.skipIf(!existsSync(join(typescriptHome, 'installed')))(
  '@hey-api/openapi-ts: a client in TypeScript',
  { timeout: timeoutMs },
  async () => {
    await cp(drivers, directory, { recursive: true });
    await symlink(join(typescriptHome, 'node_modules'), join(directory, 'node_modules'));
    const output = join(directory, 'client');
    await run(process.execPath, ['generate.mjs', document, output]);
    const calls = await readFile(join(output, 'sdk.gen.ts'), 'utf8');
    const made = [...calls.matchAll(/^export const (\w+) = </gm)].map(([, name]) => name);
    expect(made.toSorted()).toEqual(operations.toSorted());
    expect(await readFile(join(output, 'types.gen.ts'), 'utf8')).not.toMatch(
      /body\??: unknown|= unknown|query\??: unknown/,
    );
    // What is wrong with the types, or with how the driver uses them, fails here.
    const compiled = join(directory, 'compiled');
    const settings = ['--strict', '--skipLibCheck', '--target', 'es2022', '--types', 'node'];
    await run(process.execPath, [
      join('node_modules', 'typescript', 'bin', 'tsc'),
      ...[
        ...settings,
        '--module',
        'nodenext',
        '--moduleResolution',
        'nodenext',
        '--outDir',
        compiled,
        'drive.cts',
      ],
    ]);
    expect(await run(process.execPath, [join(compiled, 'drive.cjs'), url, testKey])).toBe('6.1.0\n');
  },
);
