/** The unit is checked by systemd's own parser if installed; systemd itself does not run here. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { run } from '../lib/process.ts';
import { installService, serviceUnit, settings } from './systemd.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flotilla-systemd-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

it('installs the unit, and settings that only root reads', async () => {
  await mkdir(join(root, 'etc/systemd/system'), { recursive: true });
  await mkdir(join(root, 'etc/default'));
  const env = {
    PORT: '3100',
    FLOTILLA_KEY: 'hf_secret',
    DATABASE_URL: 'postgres://u:p$"w@h/d',
    HOME: '/root',
  };
  const { unitPath, settingsPath, isLoaded } = await installService({
    launcher: '/opt/flotilla',
    alreadyRunningExitCode: 3,
    env,
    root,
  });
  expect(isLoaded).toBe(false);
  expect(await readFile(unitPath, 'utf8')).toContain('ExecStart="/opt/flotilla" serve\n');
  const text = await readFile(settingsPath, 'utf8');
  expect(text.split('\n').slice(1)).toEqual(['DATABASE_URL="postgres://u:p\\$\\"w@h/d"', 'PORT="3100"', '']);
  expect((await stat(settingsPath)).mode & 0o777).toBe(0o600);
});

it('keeps existing settings', async () => {
  await mkdir(join(root, 'etc/systemd/system'), { recursive: true });
  await mkdir(join(root, 'etc/default'));
  await writeFile(join(root, 'etc/default/flotilla'), 'PORT=1\n');
  await installService({ launcher: '/opt/flotilla', alreadyRunningExitCode: 3, env: { PORT: '2' }, root });
  expect(await readFile(join(root, 'etc/default/flotilla'), 'utf8')).toBe('PORT=1\n');
});

it('refuses a host without systemd, with a clear error', async () => {
  await expect(
    installService({ launcher: '/opt/flotilla', alreadyRunningExitCode: 3, env: {}, root }),
  ).rejects.toMatchObject({
    code: 'unsupported',
    message: expect.stringContaining('no systemd'),
  });
});

it('refuses values that a unit or settings file cannot express', () => {
  expect(() => serviceUnit({ launcher: '/opt/a\nb/flotilla', alreadyRunningExitCode: 3 })).toThrow(
    'control character',
  );
  expect(() => settings({ FLOTILLA_LISTEN: 'a\nPORT=1' })).toThrow('FLOTILLA_LISTEN holds a line break');
});

const hasVerifier = existsSync('/usr/bin/systemd-analyze');

it.skipIf(!hasVerifier)(
  'is a unit that systemd reads without a complaint, wherever the checkout is',
  async () => {
    const directory = join(root, 'it is 100% of $HOME');
    await mkdir(directory);
    const launcher = join(directory, 'flotilla');
    await writeFile(launcher, '#!/bin/sh\n');
    await chmod(launcher, 0o755);
    const unit = join(root, 'flotilla.service');
    await writeFile(unit, serviceUnit({ launcher, alreadyRunningExitCode: 3 }));
    const { stderr } = await run('systemd-analyze', ['verify', '--man=no', unit], { timeoutMs: 60_000 });
    expect(stderr.toString()).not.toContain('flotilla');
  },
);
