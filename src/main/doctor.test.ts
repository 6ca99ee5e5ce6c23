/**
 * Runs the real program on hand-made state directories. Its findings must be right, and nothing may change.
 */
import { chmod, lstat, mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startDaemonProcess } from '../../test/support/daemon.ts';
import { repository, runCommand } from '../../test/support/host.ts';
import type { Machine } from '../core/machines/machine.ts';
import { fileDigest } from '../lib/digest.ts';
import type { Finding } from '../setup/doctor/finding.ts';
import type { Report } from '../setup/doctor/report.ts';
import { StateLayout } from '../storage/layout.ts';
import { openSqliteStore } from '../store/store.ts';
import { sampleHandle, sampleHostId, sampleMachine, sampleOperation } from '../store/testing/samples.ts';

const launcher = join(repository, 'flotilla');

let stateDir: string;
let layout: StateLayout;

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'f-'));
  await chmod(stateDir, 0o711);
  layout = new StateLayout(stateDir);
});
afterEach(() => rm(stateDir, { recursive: true }));

async function runDoctor(
  ...args: string[]
): Promise<{ readonly exitCode: number | null; readonly report: Report }> {
  const env = { ...process.env, FLOTILLA_STATE_DIR: stateDir };
  const { exitCode, stdout, stderr } = await runCommand(launcher, ['doctor', '--json', ...args], { env });
  expect(stderr).toBe('');
  return { exitCode, report: JSON.parse(stdout.toString()) as Report };
}

/** Everything below the directory that a write would change; reading only changes access times. */
async function snapshot(): Promise<readonly string[]> {
  const names = ['.', ...(await readdir(stateDir, { recursive: true }))].sort();
  return Promise.all(
    names.map(async (name) => {
      const path = join(stateDir, name);
      const { mode, uid, gid, size, mtimeMs, ctimeMs, ino } = await lstat(path);
      const content = (mode & 0o170000) === 0o100000 ? await fileDigest(path) : '';
      return [name, mode, uid, gid, size, mtimeMs, ctimeMs, ino, content].join(' ');
    }),
  );
}

function qemuMachine(changes: Partial<Machine> & { readonly name: string }): Machine {
  const machine = sampleMachine(changes);
  return { ...machine, spec: { ...machine.spec, engine: 'qemu' } };
}

async function putDisk(machineId: string): Promise<void> {
  await mkdir(layout.diskDir(machineId), { recursive: true, mode: 0o711 });
  await writeFile(layout.disk(machineId), 'disk', { mode: 0o600 });
}

async function record(machines: readonly Machine[]): Promise<void> {
  await writeFile(layout.hostIdFile, `${sampleHostId}\n`);
  const store = await openSqliteStore(layout.database);
  for (const machine of machines) {
    await store.machines.insert(machine);
    if (machine.operationId === null) continue;
    await store.operations.insert(
      sampleOperation({ id: machine.operationId, subjects: [{ kind: 'machine', id: machine.id }] }),
    );
  }
  await store.close();
}

const of = (findings: readonly Finding[], text: string) =>
  findings.filter(({ subject, message }) => subject.includes(text) || message.includes(text));

test('finds inconsistencies, exits with 1, and changes nothing', async () => {
  await record([
    qemuMachine({ id: 'lost', name: 'lost-disk' }),
    qemuMachine({
      id: 'gone',
      name: 'gone-vmm',
      state: 'running',
      incarnation: 'boot1',
      handle: sampleHandle('boot1'),
    }),
    qemuMachine({
      id: 'half',
      name: 'half-started',
      state: 'starting',
      operationId: 'op1',
      incarnation: 'boot2',
    }),
  ]);
  for (const id of ['gone', 'half', 'ghost']) await putDisk(id);
  await mkdir(layout.runDir('orphan'), { recursive: true });
  await writeFile(layout.adminKeyFile, 'key\n');
  await chmod(layout.adminKeyFile, 0o644);
  await mkdir(layout.blobs, { recursive: true });
  const leftover = join(layout.blobs, '.import-abc');
  await writeFile(leftover, 'half an image');
  await utimes(leftover, 0, 0);

  const before = await snapshot();
  const { exitCode, report } = await runDoctor();
  expect(await snapshot()).toEqual(before);

  expect(exitCode).toBe(1);
  expect(report.ok).toBe(false);
  const { state } = report;
  expect(of(state, 'machine lost-disk')).toMatchObject([
    { level: 'error', message: expect.stringMatching(/disk is missing/) },
  ]);
  expect(of(state, 'machine gone-vmm')).toMatchObject([
    { level: 'warn', message: expect.stringMatching(/VMM has ended/) },
  ]);
  expect(of(state, 'machine half-started')).toMatchObject([
    { level: 'warn', message: expect.stringMatching(/next start/) },
  ]);
  expect(of(state, layout.runDir('orphan'))).toMatchObject([{ level: 'warn' }]);
  expect(of(state, 'disk ghost')).toMatchObject([{ level: 'warn' }]);
  expect(of(state, layout.adminKeyFile)).toMatchObject([
    { level: 'error', hint: `Run: chmod 0600 ${layout.adminKeyFile}` },
  ]);
  expect(of(state, `image sha256:${'a'.repeat(12)}`)).toMatchObject([
    { level: 'error', message: expect.stringMatching(/lost-disk/) },
  ]);
  expect(of(state, leftover)).toMatchObject([{ level: 'warn' }]);
  expect(of(report.daemon, 'none runs')).toMatchObject([{ level: 'ok' }]);
});

test('reads the last writes of a killed daemon, and leaves its write-ahead log to the next one', async () => {
  await record([]);
  const writer = new DatabaseSync(layout.database);
  writer.exec("insert into schema_migrations values (99, 'from-the-future')");
  await writeFile(layout.pidFile, '4194304\n');

  const before = await snapshot();
  const { exitCode, report } = await runDoctor();
  expect(await snapshot()).toEqual(before);
  writer.close();

  expect(exitCode).toBe(1);
  expect(of(report.state, 'schema')).toMatchObject([
    { level: 'error', message: expect.stringMatching(/version 99/) },
  ]);
  expect(of(report.daemon, '4194304')).toMatchObject([{ level: 'warn' }]);
});

test('explains a lost database, a damaged record, and a quarantined disk', async () => {
  await writeFile(layout.hostIdFile, `${sampleHostId}\n`);
  await writeFile(layout.hostEpochFile, '3\n');
  await putDisk('web');
  await mkdir(join(layout.quarantine, 'old.1000'), { recursive: true, mode: 0o700 });
  const lost = await runDoctor();
  expect(lost.exitCode).toBe(1);
  expect(of(lost.report.state, 'does not belong to this state directory')).toMatchObject([
    { level: 'error', hint: expect.stringContaining('--adopt-state') },
  ]);
  expect(of(lost.report.state, 'disk old')).toMatchObject([
    { level: 'warn', hint: expect.stringContaining('flotilla gc') },
  ]);

  await rm(layout.hostEpochFile);
  await record([qemuMachine({ id: 'web', name: 'shop' })]);
  const intruder = new DatabaseSync(layout.database);
  intruder.exec(`update machines set state = 'asleep'`);
  intruder.close();
  const damaged = await runDoctor();
  expect(of(damaged.report.state, 'machine shop')).toMatchObject([
    { level: 'error', message: expect.stringContaining('its record is damaged') },
  ]);
  expect(of(damaged.report.state, 'disk web')).toEqual([]);
});

test('a deep check finds an image whose content has changed at the same size', async () => {
  const digest = `sha256:${'c'.repeat(64)}`;
  await mkdir(layout.blobs, { recursive: true });
  await mkdir(layout.imageNames, { recursive: true });
  await writeFile(layout.blob(digest), Buffer.alloc(1 << 20), { mode: 0o444 });
  await writeFile(layout.imageName('tiny'), JSON.stringify({ name: 'tiny', digest, rootMib: 1 }));

  const shallow = await runDoctor();
  expect(of(shallow.report.state, 'images')).toMatchObject([{ level: 'ok' }]);
  const deep = await runDoctor('--deep');
  expect(of(deep.report.state, 'image tiny')).toMatchObject([
    { level: 'error', message: expect.stringMatching(/changed/) },
  ]);
});

test('works beside a daemon, and reports no problem', async () => {
  const daemon = await startDaemonProcess(stateDir);
  try {
    const { report } = await runDoctor();
    expect(of(report.daemon, `process ${daemon.pid} answers`)).toMatchObject([{ level: 'ok' }]);
    expect(report.state.filter(({ level }) => level === 'error')).toEqual([]);
    expect(of(report.state, 'schema version')).toMatchObject([{ level: 'ok' }]);
  } finally {
    await daemon.terminate();
  }
});

test('prints groups as text', async () => {
  const env = { ...process.env, FLOTILLA_STATE_DIR: join(stateDir, 'absent') };
  const { stdout } = await runCommand(launcher, ['doctor'], { env });
  const titles = stdout.toString().match(/^[A-Z]\w+$/gm);
  expect(titles).toEqual(['Host', 'Engines', 'Daemon', 'State']);
  expect(stdout.toString()).toContain('the first start makes it');
});
