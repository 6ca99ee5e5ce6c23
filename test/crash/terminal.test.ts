/** A terminal in a guest while the daemon is killed and replaced: it goes on by itself, and shows every byte once. */
import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type DaemonProcess, makeStateDirectory, startDaemonProcess } from '../support/daemon.ts';
import { startPty } from '../support/pty.ts';

vi.setConfig({ testTimeout: 400_000, hookTimeout: 400_000 });

/** It may come in the middle of a number. */
const notice = '[the daemon cannot be reached; trying again]';
let directory: Awaited<ReturnType<typeof makeStateDirectory>>;
let daemon: DaemonProcess;

beforeAll(async () => {
  directory = await makeStateDirectory();
  daemon = await startDaemonProcess(directory.path);
  const machine = { name: 'one', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' };
  const { id } = await daemon.client.machines.create(machine);
  await daemon.client.machines.start(id);
});

afterAll(async () => {
  await daemon.client.machines.delete('one', { force: true });
  await daemon.terminate();
  await directory.remove();
  // A killed daemon cannot remove the files of its engine probe.
  for (const name of await readdir(tmpdir()))
    if (name.startsWith('flotilla-probe-')) await rm(join(tmpdir(), name), { recursive: true });
});

test('a terminal outlives kill -9 of the daemon: no line is missing or twice, and keys reach the command again', async () => {
  const env = { ...process.env, FLOTILLA_STATE_DIR: directory.path, FLOTILLA_PROFILE: '/nonexistent' };
  const pty = startPty('./flotilla exec -it one sh; echo "code $?."', env, 300_000);
  await pty.says('~ # ');
  pty.type('i=0; while [ ! -e /stop ]; do i=$((i + 1)); echo "<$i>"; usleep 10000; done\r');
  await pty.says('<50>');
  await daemon.kill();
  await pty.says(notice);
  daemon = await startDaemonProcess(directory.path);
  const shownNumbers = () =>
    [
      ...pty
        .shown()
        .replace(`\r\n${notice}\r\n`, '')
        .matchAll(/<(\d+)>/g),
    ].map(([, number]) => Number(number));
  const counted = shownNumbers().length;
  await pty.says(`<${counted + 50}>`);
  await daemon.client.machines.exec('one', { command: ['touch', '/stop'] });
  await pty.says('~ # ');
  const numbers = shownNumbers();
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  pty.type('exit 6\r');
  await pty.says('code 6.');
  await pty.done;
});
