/** The fingerprint in `doctor` is the one that ssh-keygen shows. */
import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StateLayout } from '../../storage/layout.ts';
import { loadSshKeys } from '../ssh.ts';
import { checkSsh } from './ssh.ts';

const sshListen = [{ host: '127.0.0.1', port: 2222 }];
let layout: StateLayout;
beforeEach(async () => {
  layout = new StateLayout(await mkdtemp(join(tmpdir(), 'f-')));
});
afterEach(() => rm(layout.root, { recursive: true }));

test('shows the host key’s fingerprint, and makes none', async () => {
  const subject = 'SSH host key';
  expect(await checkSsh({ sshListen }, layout)).toEqual([
    { level: 'ok', subject, message: 'not there yet; the first start makes it' },
  ]);
  await loadSshKeys(layout);
  const [, fingerprint] = execFileSync('ssh-keygen', ['-lf', layout.sshHostKeyFile], {
    encoding: 'utf8',
  }).split(' ');
  expect(await checkSsh({ sshListen }, layout)).toEqual([
    { level: 'ok', subject, message: `${fingerprint} (ED25519), for 127.0.0.1:2222` },
  ]);
  await chmod(layout.sshHostKeyFile, 0o644);
  await expect(checkSsh({ sshListen }, layout)).rejects.toMatchObject({ code: 'invalid' });
});

test('says that there is no gateway', async () => {
  const [finding] = await checkSsh({ sshListen: [] }, layout);
  expect(finding).toMatchObject({ level: 'ok', message: 'off: FLOTILLA_SSH_PORT is 0' });
});
