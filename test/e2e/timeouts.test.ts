/**
 * The end of a command whose time is up, in a real guest: whatever its processes do, none of them runs a second
 * later. Measured in the guest, where each process writes down when it last ran.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startTestHost, type TestHost } from '../support/host.ts';

vi.setConfig({ testTimeout: 100_000, hookTimeout: 200_000 });

const timeoutS = 2;
const graceS = 1;
/** All of them ignore what asks them to end. */
const names = ['root', 'session', 'orphan', 'deep'];
const script = `
trap "" TERM HUP INT QUIT
rm -f /tmp/begun /tmp/beat.*
cut -d" " -f1 /proc/uptime > /tmp/begun
echo 'trap "" TERM HUP INT QUIT; while :; do cut -d" " -f1 /proc/uptime > /tmp/b.$1 && mv /tmp/b.$1 /tmp/beat.$1; usleep 50000; done' > /tmp/member
setsid sh /tmp/member session &
(setsid sh /tmp/member orphan &)
setsid sh -c 'setsid sh -c "(setsid sh /tmp/member deep &)" & exit 0' &
exec sh /tmp/member root`;
const command = ['sh', '-c', script];

let host: TestHost;
beforeAll(async () => {
  host = await startTestHost();
  await host.client.machines.create({ name: 'web', vcpu_count: 1, mem_size_mib: 256, image: 'busybox' });
  await host.client.machines.start('web');
});
afterAll(() => host.close());

const sh = async (text: string) =>
  (await host.client.machines.exec('web', { command: ['sh', '-c', text], timeout: 30 })).stdout;

async function ask(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const answer = await fetch(`${host.url}/machines/web/${path}`, {
    method,
    headers: { Authorization: `Bearer ${host.key}`, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, ...((await answer.json()) as object) };
}

/** Runs the tree to the end of its time; each way tells that its time was up. */
const ways: Readonly<Record<string, () => Promise<void>>> = {
  async buffered() {
    const running = host.client.machines.exec('web', { command, timeout: timeoutS });
    await expect(running).rejects.toMatchObject({ status: 504 });
  },
  async streamed() {
    const events = [];
    for await (const event of host.client.machines.execStream('web', { command, timeout: timeoutS }))
      events.push(event);
    expect(events.at(-1)).toMatchObject({ type: 'outcome', outcome: 'timed_out' });
  },
  async detached() {
    const { id } = await ask('POST', 'exec', { command, timeout: timeoutS, detach: true });
    expect(await ask('GET', `execs/${id}/wait?timeout=30`)).toMatchObject({
      state: 'ended',
      outcome: 'timed_out',
    });
  },
};

async function endsInTime(run: () => Promise<void>): Promise<void> {
  await run();
  // What still ran would go on to write here.
  const left = () => sh('sleep 0.2; grep -l "/tmp/[m]ember" /proc/[0-9]*/cmdline 2>/dev/null | wc -l');
  await vi.waitFor(async () => expect(await left()).toBe('0\n'), { timeout: 10_000, interval: 100 });
  const times = await sh('cd /tmp; for f in begun beat.*; do echo $f $(cat $f); done');
  const seconds = new Map(
    times
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string]),
  );
  const begunS = Number(seconds.get('begun'));
  expect(begunS).toBeGreaterThan(0);
  for (const name of names) {
    const lastS = Number(seconds.get(`beat.${name}`));
    // It ran, until its time was nearly up, and not longer than promised.
    expect(lastS, name).toBeGreaterThan(begunS + timeoutS / 2);
    expect(lastS, name).toBeLessThan(begunS + timeoutS + graceS);
  }
}

describe('a tree that ignores signals, forks twice and starts sessions is gone a second after its time', () => {
  test.each(Object.keys(ways))('%s, with cgroup2', async (way) => {
    expect(await sh('cat /proc/self/cgroup')).toMatch(/^0::\/flotilla\/\d+$/m);
    await endsInTime(ways[way] ?? expect.fail);
  });

  test.each(Object.keys(ways))('%s, without cgroup2', async (way) => {
    await sh('umount -l /sys/fs/cgroup 2>/dev/null; true');
    expect(await sh('ls /sys/fs/cgroup; cat /proc/self/cgroup')).not.toContain('flotilla');
    await endsInTime(ways[way] ?? expect.fail);
  });
});
