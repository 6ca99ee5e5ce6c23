/**
 * Another user of this host listens at the daemon's address while the daemon is down: after a crash that left
 * `daemon.url`, or before the first start. The operator's key must not reach that program.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCli } from '../../cli/testing/run-cli.ts';
import { readConfig } from '../../src/main/config.ts';
import { findDaemon } from '../../src/main/daemon-process.ts';

const key = `hf_${'s'.repeat(32)}`;
/** A non-root user, if the test runs as root. */
const uid = process.getuid?.() === 0 ? 65_534 : undefined;

/** Answers everything, and prints what it received. */
const program = `
  const server = require('node:http').createServer((request, response) => {
    process.stdout.write(JSON.stringify(request.headers) + '\\n');
    response.end('{"machines":[],"total":0,"status":"ok","version":"0"}');
  });
  server.listen(0, '127.0.0.1', () => process.stdout.write(server.address().port + '\\n'));
`;

let stateDir: string;
let squatter: {
  readonly port: number;
  /** Everything that it was sent before. */
  heard(): Promise<string>;
  end(): Promise<void>;
};

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'f-'));
  await writeFile(join(stateDir, 'admin.key'), `${key}\n`, { mode: 0o600 });
  const child = spawn(process.execPath, ['-e', program], {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  while (!said.includes('\n')) await once(child.stdout, 'data');
  const exited = once(child, 'exit');
  const port = Number(said.split('\n')[0]);
  const mark = '"x-mark":"now"';
  squatter = {
    port,
    // It prints requests in the order in which it gets them.
    async heard() {
      await (await fetch(`http://127.0.0.1:${port}`, { headers: { 'x-mark': 'now' } })).text();
      while (!said.includes(mark)) await once(child.stdout, 'data');
      return said.slice(0, said.lastIndexOf('\n', said.indexOf(mark)) + 1);
    },
    async end() {
      child.kill('SIGKILL');
      await exited;
    },
  };
});

afterEach(async () => {
  await squatter.end();
  await rm(stateDir, { recursive: true });
});

const addressOf = () => `http://127.0.0.1:${squatter.port}`;

test('a stale daemon.url: it is asked without the key', async () => {
  await writeFile(join(stateDir, 'daemon.url'), `${addressOf()}\n`);
  await runCli(['ls'], { env: { FLOTILLA_STATE_DIR: stateDir } });
  const heard = await squatter.heard();
  expect(heard).toContain('"host"');
  expect(heard).not.toContain(key);
});

test('the default address: it is asked without the key', async () => {
  await runCli(['ls'], { env: { FLOTILLA_STATE_DIR: stateDir, PORT: String(squatter.port) } });
  const heard = await squatter.heard();
  expect(heard).toContain('"host"');
  expect(heard).not.toContain(key);
});

test('an address given by the user: the key is not sent', async () => {
  await runCli(['ls'], { env: { FLOTILLA_STATE_DIR: stateDir, FLOTILLA_URL: addressOf() } });
  const heard = await squatter.heard();
  expect(heard).toContain('"host"');
  expect(heard).not.toContain(key);
});

test('a socket left by a crash is not used', async () => {
  await writeFile(join(stateDir, 'daemon.url'), `${addressOf()}\n`);
  await mkdir(join(stateDir, 'operator'), { mode: 0o700 });
  const dead = createServer().listen(join(stateDir, 'operator/api.sock'));
  await once(dead, 'listening');
  await dead[Symbol.asyncDispose]();
  const result = await runCli(['ls'], { env: { FLOTILLA_STATE_DIR: stateDir } });
  expect(await squatter.heard()).not.toContain(key);
  expect(result.stderr).not.toContain(key);
});

test('up and down do not mistake it for the daemon', async () => {
  await writeFile(join(stateDir, 'daemon.url'), `${addressOf()}\n`);
  await writeFile(join(stateDir, 'daemon.pid'), `${process.pid}\n`);
  expect(await findDaemon(readConfig({ FLOTILLA_STATE_DIR: stateDir }))).toBeNull();
  expect(await squatter.heard()).not.toContain(key);
});
