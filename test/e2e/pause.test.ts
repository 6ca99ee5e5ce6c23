/** A paused real guest: what it keeps, what is refused meanwhile, and that it continues unchanged. */
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type DaemonProcess, makeStateDirectory, startDaemonProcess } from '../support/daemon.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

let state: Awaited<ReturnType<typeof makeStateDirectory>>;
let daemon: DaemonProcess;

beforeAll(async () => {
  state = await makeStateDirectory();
  daemon = await startDaemonProcess(state.path);
});
afterAll(async () => {
  await daemon.terminate();
  await state.remove();
});
beforeEach(async () => {
  await daemon.client.machines.create({ name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' });
  await daemon.client.machines.start('web');
});
afterEach(() => daemon.client.machines.delete('web', { force: true }));

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

async function call(method: 'GET' | 'POST', path: string): Promise<Answer> {
  const read = async (file: string) => (await readFile(join(state.path, file), 'utf8')).trim();
  const headers = { Authorization: `Bearer ${await read('admin.key')}` };
  const response = await fetch(`${await read('daemon.url')}/machines/web${path}`, { method, headers });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

const shell = (script: string, timeout = 60) =>
  daemon.client.machines.exec('web', { command: ['sh', '-c', script], timeout });
const done = (status: string) => ({ status: 200, body: { status, failure: null } });

/** CPU time of the VMM's busiest thread, which is the guest's vCPU, in clock ticks. */
function guestTicks(pid: number): number {
  const ticks = readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8').replace(/^.*\) /, '');
    const fields = stat.split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return Math.max(...ticks);
}

test('stays paused during a restart of the daemon, and resumes with its memory and the right time', async () => {
  const { pid } = await daemon.client.machines.get('web');
  // Counts in memory, in a separate process that outlives the command that starts it.
  await shell('mkdir /run/kept; (i=0; while :; do i=$((i+1)); done) </dev/null >/dev/null 2>&1 &');
  const running = guestTicks(Number(pid));
  await vi.waitUntil(() => guestTicks(Number(pid)) > running);

  expect(await call('POST', '/pause')).toMatchObject(done('paused'));
  const paused = guestTicks(Number(pid));
  await expect(shell('true')).rejects.toMatchObject({
    status: 400,
    message: expect.stringContaining('Machine must be running to execute commands'),
  });
  for (const end of [() => daemon.terminate(), () => daemon.kill()]) {
    await end();
    daemon = await startDaemonProcess(state.path);
  }
  expect(await call('GET', '')).toMatchObject({
    status: 200,
    body: { status: 'paused', pid, failure: null },
  });
  expect(await call('POST', '/pause')).toMatchObject({ status: 400 });
  expect(guestTicks(Number(pid))).toBe(paused);

  expect(await call('POST', '/resume')).toMatchObject(done('running'));
  const before = Math.floor(Date.now() / 1000);
  const { stdout } = await shell('ls /run/kept && date +%s');
  expect(Number(stdout)).toBeGreaterThanOrEqual(before - 1);
  expect(Number(stdout)).toBeLessThanOrEqual(Math.ceil(Date.now() / 1000) + 1);
  await vi.waitUntil(() => guestTicks(Number(pid)) > paused);
});

test('a running command continues where it was', async () => {
  const command = shell('touch /root/begun; while [ ! -e /root/go ]; do sleep 0.1; done; echo whole');
  await shell('while [ ! -e /root/begun ]; do sleep 0.1; done');
  expect(await call('POST', '/pause')).toMatchObject(done('paused'));
  expect(await call('POST', '/resume')).toMatchObject(done('running'));
  await shell('touch /root/go');
  expect(await command).toMatchObject({ exit_code: 0, stdout: 'whole\n' });
});

test('a stop lets it power off and write its unsaved data', async () => {
  await shell('echo kept > /root/kept');
  await call('POST', '/pause');
  expect(await call('POST', '/stop')).toMatchObject(done('stopped'));
  await daemon.client.machines.start('web');
  expect(await shell('cat /root/kept')).toMatchObject({ stdout: 'kept\n' });
});

test('kill -9 of its VMM: failed, with the reason', async () => {
  const { pid } = await daemon.client.machines.get('web');
  await call('POST', '/pause');
  process.kill(Number(pid), 'SIGKILL');
  expect(await call('GET', '/wait?status=failed&timeout=5')).toMatchObject({
    status: 200,
    body: { status: 'failed', pid: null, failure: { code: 'vmm_died' } },
  });
});
