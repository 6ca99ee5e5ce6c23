/**
 * Docker in a machine, on the kernel that `flotilla kernel build` makes: its daemon starts, makes its bridge and rules,
 * and runs a container. Building a kernel takes too long for a run of all tests, so one must be in the cache.
 */
import { openAsBlob } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { cacheWithKernel } from '../../bench/kernel-cache.ts';
import { run } from '../../src/lib/process.ts';
import { readConfig } from '../../src/main/config.ts';
import { type Kernel, listKernels } from '../../src/setup/kernel/kernels.ts';
import { CacheLayout } from '../../src/storage/layout.ts';
import { type DaemonProcess, makeStateDirectory, startDaemonProcess } from '../support/daemon.ts';

vi.setConfig({ testTimeout: 600_000, hookTimeout: 900_000 });

const cache = new CacheLayout(readConfig(process.env).cacheDir);
const kernel = (await listKernels(cache)).find(({ kind }) => kind === 'built');
if (!kernel) console.warn('not run: the cache has no built kernel; ./flotilla kernel build makes one');

describe.skipIf(!kernel)('a machine on a built kernel', () => {
  let work: string;
  let state: Awaited<ReturnType<typeof makeStateDirectory>>;
  let daemon: DaemonProcess;

  const shell = async (script: string, timeout = 120) => {
    const command = ['bash', '-euo', 'pipefail', '-c', script];
    const done = await daemon.client.machines.exec('docker', { command, timeout });
    expect(done.exit_code, `${script}: ${done.stdout}${done.stderr}`).toBe(0);
    return done.stdout;
  };

  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'f-docker-'));
    const directory = join(work, 'cache');
    await mkdir(directory);
    state = await makeStateDirectory();
    daemon = await startDaemonProcess(state.path, undefined, {
      FLOTILLA_CACHE_DIR: await cacheWithKernel(cache, kernel as Kernel, directory),
    });
    await daemon.client.images.upload('docker', (await openAsBlob(await dockerRoot(work))).stream());
    const size = { vcpu_count: 2, mem_size_mib: 1024, disk_size_mib: 3072 };
    await daemon.client.machines.create({ name: 'docker', image: 'docker', ...size });
    await daemon.client.machines.start('docker');
  });
  afterAll(async () => {
    await daemon?.client.machines.delete('docker', { force: true });
    await daemon?.terminate();
    await state?.remove();
    if (work) await rm(work, { recursive: true });
  });

  test('boots it without ACPI tables, and has no modules', async () => {
    expect((await shell('uname -r')).trim()).toBe(kernel?.release);
    expect(await shell('cat /proc/cmdline')).toContain(' acpi=off ');
    expect(await shell('cat /sys/devices/system/clocksource/clocksource0/current_clocksource')).toMatch(
      /^(tsc|kvm-clock)\n$/,
    );
    await expect(shell('test -e /proc/modules')).rejects.toThrow();
  });

  test('runs a container with Docker, on a bridge with address translation', async () => {
    await shell(
      'dockerd > /var/log/dockerd.log 2>&1 & for i in $(seq 180); do docker info > /dev/null 2>&1 && exit; sleep 1; done; tail -n 30 /var/log/dockerd.log >&2; exit 1',
      200,
    );
    expect(await shell('iptables -t nat -S POSTROUTING')).toMatch(
      /-s 172\.17\.0\.0\/16 ! -o docker0 -j MASQUERADE/,
    );
    await shell(
      'mkdir -p /tmp/root/bin && cp /bin/busybox /tmp/root/bin/sh && tar -C /tmp/root -c . | docker import - busybox',
    );
    expect(await shell('docker run --rm busybox /bin/sh -c "echo hello from $(echo docker)"', 200)).toBe(
      'hello from docker\n',
    );
    const inside = await shell(
      'docker run --rm --memory 64m --pids-limit 50 busybox /bin/sh -c "busybox ip -4 addr show eth0; busybox ping -c 1 172.17.0.1"',
      200,
    );
    expect(inside).toMatch(/inet 172\.17\.0\.\d+\/16/);
    expect(inside).toMatch(/1 packets received/);
    expect(await shell('docker info --format "{{.Driver}}"')).toBe('overlay2\n');
  });
});

/** A root file system with Docker, made of the archive's packages; or a file that was made before. */
async function dockerRoot(directory: string): Promise<string> {
  const made = process.env.FLOTILLA_DOCKER_ROOT;
  if (made) return made;
  const target = join(directory, 'root.tar');
  const packages = 'docker.io,busybox-static,ca-certificates';
  const excluded = ['man', 'locale', 'doc'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
  const args = ['--quiet', '--variant=minbase', `--include=${packages}`, ...excluded, 'bookworm', target];
  await run('mmdebstrap', args, { timeoutMs: 600_000 });
  return target;
}
