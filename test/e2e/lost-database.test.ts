/**
 * The database is lost while guests run: the daemon refuses to start, and adopts them with `--adopt-state`.
 */
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { FlotillaClient } from '../../sdk/src/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { readProcessStat } from '../../src/lib/procfs.ts';
import { startDaemon } from '../../src/main/serve.ts';
import { leftovers, repository, runCommand, startTestHost } from '../support/host.ts';

vi.setConfig({ testTimeout: 400_000, hookTimeout: 400_000 });

test('mv flotilla.db away: serve refuses and nothing is lost; with --adopt-state all machines are back', async () => {
  const host = await startTestHost();
  const { config, client, key } = host;
  const web = { name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox', labels: { team: 'blue' } };
  await client.machines.create(web);
  await client.machines.create({ ...web, name: 'idle' });
  const before = await client.machines.start('web');
  const write = { command: ['sh', '-c', 'echo kept > /root/kept; echo alive > /tmp/memory'] };
  await client.machines.exec('web', write);
  const pid = before.pid ?? -1;
  const vmm = readProcessStat(pid);
  await host.daemon.close();
  await rename(join(config.stateDir, 'flotilla.db'), join(config.stateDir, '.tmp-away'));

  const cli = join(repository, 'src/main/cli.ts');
  const refused = await runCommand(process.execPath, [cli, 'serve'], { env: { ...host.env, PORT: '0' } });
  expect(refused.exitCode).toBe(1);
  expect(refused.stderr).toContain('does not belong to this state directory');
  expect(refused.stderr).toContain('--adopt-state');
  expect(readProcessStat(pid)).toMatchObject({ pid, startTime: vmm?.startTime });

  const daemon = await startDaemon(config, silentLog, { isAdopting: true });
  const again = new FlotillaClient({ url: daemon.urls[0] ?? '', key });
  try {
    const { machines } = await again.machines.list({ limit: 9 });
    expect(machines.map(({ name, status }) => [name, status]).sort()).toEqual([
      ['idle', 'pending'],
      ['web', 'running'],
    ]);
    expect(await again.machines.get('web')).toMatchObject({ id: before.id, pid, labels: web.labels });
    const read = { command: ['cat', '/root/kept', '/tmp/memory'] };
    expect(await again.machines.exec('web', read)).toMatchObject({ exit_code: 0, stdout: 'kept\nalive\n' });
    expect(await again.machines.start('idle')).toMatchObject({ status: 'running' });
  } finally {
    for (const name of ['web', 'idle']) await again.machines.delete(name, { force: true });
    await daemon.close();
  }
  expect(await leftovers(config.stateDir)).toEqual([]);
  await rm(config.stateDir, { recursive: true });
});
