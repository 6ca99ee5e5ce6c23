/** The gateway's own keys in the state directory. */
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StateLayout } from '../storage/layout.ts';
import { loadSshKeys } from './ssh.ts';

let layout: StateLayout;
beforeEach(async () => {
  layout = new StateLayout(await mkdtemp(join(tmpdir(), 'f-')));
});
afterEach(() => rm(layout.root, { recursive: true }));

test('are made once, for the daemon’s user alone, and stay the same after a restart', async () => {
  const first = await loadSshKeys(layout);
  const again = await loadSshKeys(layout);
  expect(again.host.publicKey.fingerprint).toBe(first.host.publicKey.fingerprint);
  expect(again.authority.publicKey.fingerprint).toBe(first.authority.publicKey.fingerprint);
  expect(first.host.publicKey.fingerprint).not.toBe(first.authority.publicKey.fingerprint);
  expect((await stat(layout.sshDir)).mode & 0o777).toBe(0o700);
  for (const path of [layout.sshHostKeyFile, layout.sshAuthorityKeyFile]) {
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  }
});

test('are refused when others can read them, or when they are no keys', async () => {
  await loadSshKeys(layout);
  await chmod(layout.sshHostKeyFile, 0o644);
  await expect(loadSshKeys(layout)).rejects.toMatchObject({
    code: 'invalid',
    message: expect.stringContaining('can be read or changed by other users'),
  });
  await chmod(layout.sshHostKeyFile, 0o600);
  await writeFile(layout.sshHostKeyFile, 'nonsense');
  await expect(loadSshKeys(layout)).rejects.toMatchObject({
    code: 'invalid',
    message: expect.stringContaining('does not hold an Ed25519 private key'),
  });
});
