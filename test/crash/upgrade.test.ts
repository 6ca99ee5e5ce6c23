/**
 * kill -9 of the daemon while a command prints a counter, and a daemon of a newer version that takes over, with
 * a newer guest agent in its boot kit: as after `git pull`, `./flotilla setup` and a restart.
 */
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { version as currentVersion } from '../../src/main/version.ts';
import {
  type DaemonProcess,
  makeStateDirectory,
  startDaemonOf,
  startDaemonProcess,
} from '../support/daemon.ts';
import { makeNewerCheckout, type NewerCheckout } from '../support/newer-checkout.ts';

vi.setConfig({ testTimeout: 400_000, hookTimeout: 400_000 });

const waiting = { timeout: 60_000, interval: 100 };
let directory: Awaited<ReturnType<typeof makeStateDirectory>>;
let newer: NewerCheckout;
let daemon: DaemonProcess;

beforeAll(async () => {
  newer = await makeNewerCheckout('9.8.7');
  directory = await makeStateDirectory();
  daemon = await startDaemonProcess(directory.path);
  await daemon.client.machines.create({ name: 'one', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' });
  await daemon.client.machines.start('one');
});
afterAll(async () => {
  await daemon.client.machines.delete('one', { force: true });
  await daemon.terminate();
  await directory.remove();
  await newer.remove();
});

async function ask(method: string, path: string, body?: object): Promise<Response> {
  const answer = await fetch(`${daemon.url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${daemon.key}`, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expect(answer.status, path).toBeLessThan(300);
  return answer;
}
const version = async () => ((await (await ask('GET', '/health')).json()) as { version: string }).version;
/** Whether the guest's running agent is of the newer version. */
const hasNewerAgent = async () => {
  const command = ['grep', '-q', `${newer.version}+`, '/proc/1/exe'];
  return (await daemon.client.machines.exec('one', { command })).exit_code === 0;
};
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index}\n`).join('');

test('a newer daemon adopts the machine with its older agent: the counter is complete, its exit code is true', async () => {
  const older = await version();
  // Prints all the time, also while no daemon runs, until it is told to end.
  const script = 'i=0; while [ ! -e /tmp/end ]; do i=$((i+1)); echo $i; usleep 20000; done; exit 42';
  const started = await ask('POST', '/machines/one/exec', { command: ['sh', '-c', script], detach: true });
  const { id } = (await started.json()) as { id: string };
  const output = (query = '') => ask('GET', `/machines/one/execs/${id}/output?${query}`);
  const printed = async () => await (await output()).text();
  await vi.waitFor(async () => expect((await printed()).length).toBeGreaterThan(100), waiting);
  const first = await printed();
  await daemon.kill();

  daemon = await startDaemonOf(newer, directory.path);
  expect([older, await version()]).toEqual([currentVersion, newer.version]);
  expect(await hasNewerAgent()).toBe(false);
  const command = await (await ask('GET', `/machines/one/execs/${id}`)).json();
  expect(command).toMatchObject({ state: 'running', outcome: null });
  const rest = output(`follow=true&from=${first.length}`).then((answer) => answer.text());
  const before = (await printed()).length;
  await vi.waitFor(async () => expect((await printed()).length).toBeGreaterThan(before), waiting);
  await daemon.client.machines.exec('one', { command: ['touch', '/tmp/end'] });
  const all = first + (await rest);
  const count = all.split('\n').length - 1;
  expect(all).toBe(numbers(1, count));
  expect(count).toBeGreaterThan(first.split('\n').length);
  expect(await (await ask('GET', `/machines/one/execs/${id}/wait`)).json()).toMatchObject({
    ...{ state: 'ended', outcome: 'exited', exit_code: 42 },
    ...{ stdout_bytes: all.length, stderr_bytes: 0 },
  });

  // The next start brings the newer agent.
  await daemon.client.machines.restart('one');
  expect(await hasNewerAgent()).toBe(true);
});
