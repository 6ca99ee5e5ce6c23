import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StateLayout } from '../storage/layout.ts';
import { type Config, readConfig } from './config.ts';
import { daemonIdentity, findDaemon, startDaemonProcess, stopDaemonProcess } from './daemon-process.ts';

let directory: string;
let config: Config;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'f-'));
  vi.stubEnv('FLOTILLA_STATE_DIR', join(directory, 'state'));
  vi.stubEnv('FLOTILLA_CACHE_DIR', join(directory, 'cache'));
  vi.stubEnv('PORT', '0');
  config = readConfig(process.env);
});
afterEach(async () => {
  await stopDaemonProcess(config);
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true });
});

test('two concurrent starts give both callers the same daemon', async () => {
  const [one, other] = await Promise.all([startDaemonProcess(config), startDaemonProcess(config)]);
  expect(other.url).toBe(one.url);
  expect((await findDaemon(config))?.url).toBe(one.url);
  expect(await stopDaemonProcess(config)).toBe(true);
  expect(await stopDaemonProcess(config)).toBe(false);
}, 60_000);

test('a daemon that exits is reported at once, with its last output', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    vi.stubEnv('PORT', String((server.address() as AddressInfo).port));
    await expect(startDaemonProcess(readConfig(process.env))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^the daemon exited with 1:\n[\s\S]*is in use/),
    });
  } finally {
    server.close();
  }
}, 60_000);

test('only this program’s serve counts as the daemon, even if its pid was reused', async () => {
  const program = join(directory, 'src/main/cli.ts');
  await mkdir(join(directory, 'src/main'), { recursive: true });
  await mkdir(join(directory, 'state'));
  const waiting = "process.stdin.resume(); process.stdout.write('up')";
  await writeFile(program, waiting);
  const cases: readonly (readonly [readonly string[], boolean])[] = [
    [[program, 'serve'], true],
    [[program, 'up', 'serve'], false],
    [['-e', waiting, 'serve'], false],
  ];
  for (const [args, isDaemon] of cases) {
    const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      const layout = new StateLayout(config.stateDir);
      await writeFile(layout.pidFile, `${child.pid}\n`);
      expect(daemonIdentity(layout)?.pid).toBe(isDaemon ? child.pid : undefined);
    } finally {
      await end(child);
    }
  }
});

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
