/** Commands at the edges of what a real guest can do: signals, sizes, users, and a storm of processes. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startTestHost, type TestHost } from '../support/host.ts';

vi.setConfig({ testTimeout: 200_000, hookTimeout: 200_000 });

let host: TestHost;
beforeAll(async () => {
  host = await startTestHost();
  await host.client.machines.create({ name: 'web', vcpu_count: 1, mem_size_mib: 256, image: 'busybox' });
  await host.client.machines.start('web');
});
afterAll(() => host.close());

const exec = (command: readonly string[], more: object = {}) =>
  host.client.machines.exec('web', { command, timeout: 60, ...more });

describe('signals', () => {
  test.each([9, 11, 32, 33, 34, 35, 50, 64])(
    'a command that signal %i ended: 128 + its number',
    async (number) => {
      const command = ['sh', '-c', `kill -${number} $$; sleep 60`];
      expect(await exec(command)).toMatchObject({ exit_code: 128 + number, outcome: 'signalled' });
      const events = [];
      for await (const event of host.client.machines.execStream('web', { command, timeout: 60 }))
        events.push(event);
      expect(events.at(-1)).toMatchObject({ outcome: 'signalled', exit_code: 128 + number });
    },
  );

  test('none that is no request to power off does anything to process 1', async () => {
    const { pid } = await host.client.machines.get('web');
    // USR1, USR2, TERM, INT and PWR ask the guest to go down.
    const script =
      'for n in $(seq 1 64); do case $n in 2|10|12|15|30) ;; *) kill -$n 1;; esac; done; echo sent';
    expect(await exec(['sh', '-c', script])).toMatchObject({ stdout: 'sent\n' });
    expect(await exec(['cat', '/proc/1/comm'])).toMatchObject({ exit_code: 0 });
    expect(await host.client.machines.get('web')).toMatchObject({ status: 'running', pid });
  });
});

test('the longest argument arrives whole, and a longer one is refused with the limit', async () => {
  const count = (word: string) => exec(['sh', '-c', 'printf %s "$1" | wc -c', 'sh', word]);
  expect(await count('"\n'.repeat(65_535))).toMatchObject({ stdout: '131070\n' });
  expect(await count('a'.repeat(131_071))).toMatchObject({ stdout: '131071\n' });
  for (const word of ['a'.repeat(131_072), 'é'.repeat(65_536)])
    await expect(count(word)).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining('131071'),
    });
});

test.each([
  ['1000:1000', '1000 1000 1000'],
  ['1000', '1000 1000 1000'],
  ['nobody', '65534 65534 65534'],
  ['nobody:tty', '65534 5 5'],
  ['0:5', '0 5 5'],
])('user %s runs as %s', async (user, ids) => {
  const script = 'echo $(id -u) $(id -g) $(id -G)';
  expect(await exec(['sh', '-c', script], { user })).toMatchObject({ stdout: `${ids}\n` });
});

test('a storm of processes is ended at its timeout, and the guest can be used', async () => {
  const storm = exec(['sh', '-c', 'f() { f | f & }; f; sleep 100'], { timeout: 5 });
  await expect(storm).rejects.toMatchObject({
    status: 504,
    message: expect.stringContaining('timed out after 5 seconds'),
  });
  expect(await exec(['true'])).toMatchObject({ exit_code: 0 });
});
