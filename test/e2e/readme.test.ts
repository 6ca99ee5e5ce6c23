/**
 * Runs every command of the README, the quickstart and the chapters on backup and restore, unchanged and in
 * order, on a separate state directory.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type CommandResult, leftovers, repository, runCommand } from '../support/host.ts';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

/** Not run here, because it runs this test. */
const notRun = ['make test'];

let blocks: readonly string[];
let env: NodeJS.ProcessEnv;
let stateDir: string;

beforeAll(async () => {
  blocks = await commandsOf('README.md');
  stateDir = await mkdtemp(join(tmpdir(), 'f-'));
  env = {
    ...process.env,
    FLOTILLA_STATE_DIR: stateDir,
    FLOTILLA_PROFILE: join(stateDir, 'no-profile'),
    PORT: '0',
  };
});

afterAll(async () => {
  // A failed test must leave nothing behind either.
  await runCommand('./flotilla', ['down', '--machines'], { env });
  for (const path of [stateDir, `${stateDir}.backup`, `${stateDir}.broken`]) {
    await rm(path, { recursive: true, force: true });
  }
});

async function commandsOf(document: string): Promise<readonly string[]> {
  const text = await readFile(join(repository, document), 'utf8');
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1] ?? '');
}

function runLines(block: string): Promise<CommandResult> {
  const lines = block.split('\n').filter((line) => !notRun.includes(line));
  return runCommand('sh', ['-euc', lines.join('\n')], { env, timeoutMs: 570_000 });
}

function runBlock(index: number): Promise<CommandResult> {
  return runLines(blocks[index] ?? '');
}

test('the README has the blocks that run here', () => {
  expect(blocks).toHaveLength(5);
  expect(blocks[0]).toContain('./flotilla up');
});

test('up ends with the output of a command that ran in a machine', async () => {
  const { exitCode, stdout, stderr } = await runBlock(0);
  expect(exitCode, stderr).toBe(0);
  expect(stdout.toString()).toMatch(/^hello from first, Linux \d/m);
  // The key is printed only on a terminal; this output may end up in a log.
  expect(stdout.toString()).toContain(join(stateDir, 'admin.key'));
  expect(stdout.toString()).not.toContain('hf_');
  expect(stderr).toMatch(/machine first +\d/);
});

test('up again quickly finds everything, and does not show the key again', async () => {
  const { exitCode, stdout } = await runBlock(0);
  expect(exitCode).toBe(0);
  expect(stdout.toString()).toMatch(/^hello from first/m);
  expect(stdout.toString()).not.toContain('hf_');
});

test('the tour', async () => {
  const { exitCode, stdout, stderr } = await runBlock(1);
  expect(exitCode, stderr).toBe(0);
  expect(stdout.toString()).toMatch(/^42$/m);
  expect(stdout.toString()).toMatch(/^out$/m);
  expect(stdout.toString()).toContain('exit code 3');
  expect(stdout.toString()).toMatch(/^web +\w{12} +running/m);
  expect(stderr).toMatch(/^err$/m);
});

test('an environment, a template and a quota', async () => {
  const { exitCode, stdout, stderr } = await runBlock(2);
  expect(exitCode, stderr).toBe(0);
  const lines = stdout.toString().split('\n');
  expect(lines.slice(0, 4)).toEqual(['demo', 'demo-worker-2', 'demo', 'small']);
  expect(lines[4]).toMatch(/^MemTotal: +\d{5} kB$/);
  expect(lines.slice(5, 7)).toEqual(['small', 'tenant    default']);
});

test('images and keys', async () => {
  const { exitCode, stdout, stderr } = await runBlock(3);
  expect(exitCode, stderr).toBe(0);
  expect(stdout.toString()).toMatch(/^from my image$/m);
  expect(stdout.toString()).toMatch(/^this key only reads$/m);
  expect(stderr).toContain('Insufficient permissions for this action');
});

test('the same over HTTP', async () => {
  const { exitCode, stdout, stderr } = await runBlock(4);
  expect(exitCode, stderr).toBe(0);
  expect(stdout.toString()).toContain('"status":"healthy"');
  expect(stdout.toString()).toContain('"status":"pending"');
  expect(stdout.toString()).toContain('"status":"running"');
  expect(stdout.toString()).toMatch(/"exit_code":0,.*"stdout":"6\.\d/);
  expect(stdout.toString()).toContain('"type":"outcome","outcome":"exited","exit_code":0');
  expect(stdout.toString()).not.toContain('"error"');
});

test('the quickstart', async () => {
  const commands = await commandsOf('docs/quickstart.md');
  expect(commands.length).toBeGreaterThan(5);
  const { exitCode, stdout, stderr } = await runLines(commands.join('\n'));
  expect(exitCode, stderr).toBe(0);
  for (const line of ['hello', 'hello world', 'saved', 'from my image', 'demo', 'hello from demo-web']) {
    expect(stdout.toString().split('\n')).toContain(line);
  }
});

test('a backup while machines run, and its restore', async () => {
  const [backup = '', restore = ''] = await commandsOf('docs/operations.md');
  const inFirst = (script: string) =>
    runCommand('./flotilla', ['exec', 'first', '--', 'sh', '-c', script], { env });
  await inFirst('sleep 100000 >/dev/null 2>&1 & echo before > /root/note; sync');
  const backedUp = await runLines(backup);
  expect(backedUp.exitCode, backedUp.stderr).toBe(0);
  // The machine kept running: its process still exists.
  expect((await inFirst('pidof sleep')).exitCode).toBe(0);
  await inFirst('echo after > /root/note; sync');
  const restored = await runLines(restore);
  expect(restored.exitCode, restored.stderr).toBe(0);
  expect((await inFirst('cat /root/note')).stdout.toString()).toBe('before\n');
});

test('down --machines leaves nothing running', async () => {
  const { exitCode, stdout } = await runCommand('./flotilla', ['down', '--machines'], { env });
  expect(exitCode).toBe(0);
  expect(stdout.toString()).toBe('Stopped first\nDaemon stopped\n');
  expect((await leftovers(stateDir)).filter((left) => left.startsWith('process'))).toEqual([]);
});
