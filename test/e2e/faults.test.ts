/** Machines that end by themselves, hanging guests, slow hosts: each provoked on real guests. */
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Machine } from '../../sdk/src/index.ts';
import { startTestHost, type TestHost } from '../support/host.ts';

vi.setConfig({ testTimeout: 400_000, hookTimeout: 400_000 });

let host: TestHost;
beforeAll(async () => {
  host = await startTestHost();
});
afterEach(async () => {
  const { machines } = await host.client.machines.list({ limit: 1000 });
  for (const { id } of machines) await host.client.machines.delete(id, { force: true });
});
afterAll(() => host.close());

async function running(name = 'web'): Promise<Machine> {
  await host.client.machines.create({ name, vcpu_count: 1, mem_size_mib: 128, image: 'busybox' });
  return host.client.machines.start(name);
}

/** GET /machines/{id}/wait: rejects when the status is not reached within the given seconds. */
async function waitFor(id: string, status: string, seconds: number): Promise<Machine> {
  const response = await fetch(`${host.url}/machines/${id}/wait?status=${status}&timeout=${seconds}`, {
    headers: { Authorization: `Bearer ${host.key}` },
  });
  if (response.status !== 200) throw new Error(await response.text());
  return (await response.json()) as Machine;
}

const inBackground = (command: string) => ['sh', '-c', `(sleep 1; ${command}) </dev/null >/dev/null 2>&1 &`];

describe('exits', () => {
  test('kill -9 of the VMM: failed within a second, with the reason', async () => {
    const { id, pid } = await running();
    process.kill(pid ?? -1, 'SIGKILL');
    expect(await waitFor(id, 'failed', 1)).toMatchObject({
      pid: null,
      failure: { code: 'vmm_died', message: expect.stringMatching(/SIGKILL|killed|ended/i) },
    });
    expect(await host.client.machines.start(id)).toMatchObject({ status: 'running' });
  });

  test('kill -9 of a VMM that is to be restarted: it runs again, on the larger disk asked for before', async () => {
    const { machines } = host.client;
    const size = { vcpu_count: 1, mem_size_mib: 128, image: 'busybox', disk_size_mib: 256 };
    const { id } = await machines.create({
      name: 'web',
      ...size,
      env: { SAY: 'hello' },
      restart: 'on-failure',
    });
    await machines.update(id, { disk_size_mib: 768 });
    const { pid } = await machines.start(id);
    process.kill(pid ?? -1, 'SIGKILL');
    await waitFor(id, 'starting', 10);
    expect(await waitFor(id, 'running', 30)).toMatchObject({ restart_count: 1, failure: null });
    const command = ['sh', '-c', 'echo $SAY; df -m / | tail -n 1'];
    const [said, disk = ''] = (await machines.exec(id, { command })).stdout.split('\n');
    expect(said).toBe('hello');
    expect(Number(disk.trim().split(/ +/)[1])).toBeGreaterThan(600);
  });

  test('poweroff in the guest: stopped, no failure', async () => {
    const { id } = await running();
    await host.client.machines.exec(id, { command: inBackground('poweroff') });
    expect(await waitFor(id, 'stopped', 20)).toMatchObject({ failure: null, pid: null });
  });

  test('a panic: failed, the panic named, the console quoted', async () => {
    const { id } = await running();
    await host.client.machines.exec(id, { command: inBackground('echo c > /proc/sysrq-trigger') });
    expect(await waitFor(id, 'failed', 20)).toMatchObject({
      error_message: expect.stringContaining('sysrq triggered crash'),
      failure: {
        code: 'guest_panic',
        console: expect.arrayContaining([expect.stringContaining('Kernel panic')]),
      },
    });
  });

  test('reboot in the guest: running again, a new incarnation on the same disk', async () => {
    const { id, pid } = await running();
    await host.client.machines.exec(id, { command: inBackground('echo kept > /root/kept; reboot') });
    await waitFor(id, 'starting', 20);
    expect((await waitFor(id, 'running', 30)).pid).not.toBe(pid);
    expect(await host.client.machines.exec(id, { command: ['cat', '/root/kept'] })).toMatchObject({
      stdout: 'kept\n',
    });
  });
});

describe('slowness', () => {
  test('SIGSTOP of a VMM: only its own calls time out; SIGCONT: it recovers by itself', async () => {
    const [frozen, other] = [await running('frozen'), await running('other')];
    process.kill(frozen.pid ?? -1, 'SIGSTOP');
    try {
      const call = host.client.machines.exec(frozen.id, { command: ['true'], timeout: 1 });
      const outcome = call.catch((error: unknown) => error);
      for (let i = 0; i < 5; i++) {
        expect(await host.client.machines.exec(other.id, { command: ['true'] })).toMatchObject({
          exit_code: 0,
        });
      }
      expect(await outcome).toMatchObject({
        status: expect.toSatisfy((status) => status === 502 || status === 504),
      });
      expect(await host.client.machines.get(frozen.id)).toMatchObject({ status: 'running' });
    } finally {
      process.kill(frozen.pid ?? -1, 'SIGCONT');
    }
    await vi.waitUntil(
      () =>
        host.client.machines.exec(frozen.id, { command: ['true'] }).then(
          () => true,
          () => false,
        ),
      { timeout: 60_000, interval: 500 },
    );
    expect(await host.client.machines.get(frozen.id)).toMatchObject({ pid: frozen.pid });
  });

  test('a frozen VMM can still be stopped', async () => {
    const { id, pid } = await running();
    process.kill(pid ?? -1, 'SIGSTOP');
    expect(await host.client.machines.stop(id)).toMatchObject({ status: 'stopped' });
    expect(() => process.kill(pid ?? -1, 0)).toThrow();
  });

  test('a stop during a start cancels it', async () => {
    await host.client.machines.create({ name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' });
    const starting = host.client.machines.start('web').catch((error: unknown) => error);
    await waitFor('web', 'starting', 10);
    expect(await host.client.machines.stop('web')).toMatchObject({ status: 'stopped', pid: null });
    expect(await starting).toMatchObject({ status: 409 });
    expect(await host.client.machines.start('web')).toMatchObject({ status: 'running' });
  });

  test('eight machines started at once all run', async () => {
    const names = Array.from({ length: 8 }, (_, i) => `m${i}`);
    const started = await Promise.all(names.map((name) => running(name)));
    expect(started.map(({ status }) => status)).toEqual(names.map(() => 'running'));
    const outputs = await Promise.all(
      names.map(
        async (name) =>
          (await host.client.machines.exec(name, { command: ['hostname'], timeout: 60 })).stdout,
      ),
    );
    expect(outputs).toEqual(names.map((name) => `${name}\n`));
  });
});
