import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { socketFetch } from '../../cli/patient-fetch.ts';
import { AppError } from '../core/errors.ts';
import { silentLog } from '../lib/log.ts';
import { adminKeyVerifier, loadAdminKey } from './admin-key.ts';
import { readConfig } from './config.ts';
import { startDaemon } from './serve.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'k-'));
});
afterEach(() => rm(directory, { recursive: true }));

test('is made once, for its owner only', async () => {
  const path = join(directory, 'admin.key');
  const { key, isNew } = await loadAdminKey(path);
  expect([key, isNew]).toEqual([expect.stringMatching(/^hf_[A-Za-z0-9]{32}$/), true]);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await loadAdminKey(path)).toEqual({ key, isNew: false });
});

test.each([
  [
    'can be read by others',
    'hf_0123456789abcdefghijklmnopqrstuv\n',
    0o644,
    'can be read or changed by other users',
  ],
  ['can be changed by its group', 'hf_0123456789abcdefghijklmnopqrstuv\n', 0o660, 'can be read or changed'],
  ['is short', 'hf_admin\n', 0o600, 'does not hold a key'],
  ['is empty', '', 0o600, 'does not hold a key'],
  ['holds more', `hf_${'a'.repeat(32)} and more`, 0o600, 'does not hold a key'],
])('a file that %s is refused with a clear error', async (_, text, mode, message) => {
  const path = join(directory, 'admin.key');
  await writeFile(path, text);
  await chmod(path, mode);
  await expect(loadAdminKey(path)).rejects.toMatchObject({
    code: 'invalid',
    message: expect.stringContaining(`${path} ${message}`),
    hint: expect.any(String),
  });
});

test('a link in its place is not followed', async () => {
  const path = join(directory, 'admin.key');
  await writeFile(join(directory, 'elsewhere'), `hf_${'a'.repeat(32)}`, { mode: 0o600 });
  await symlink(join(directory, 'elsewhere'), path);
  await expect(loadAdminKey(path)).rejects.toThrow();
});

test('works without the database, unlike other keys', async () => {
  const unavailable = new AppError('unavailable', 'the database is gone');
  const keys = adminKeyVerifier('hf_admin', { verify: () => Promise.reject(unavailable) });
  expect(await keys.verify('hf_admin')).toMatchObject({ tenant: 'default', scopes: ['*'], isOperator: true });
  for (const other of ['hf_admin ', 'hf_admi', 'hf_admiN', 'xf_admin', '', null]) {
    await expect(keys.verify(other)).rejects.toBe(unavailable);
  }
});

test('makes keys that outlive the daemon; with authentication off none is needed', async () => {
  const config = readConfig({
    FLOTILLA_STATE_DIR: join(directory, 'state'),
    FLOTILLA_CACHE_DIR: join(directory, 'cache'),
    PORT: '0',
  });
  const first = await startDaemon(config, silentLog);
  const admin = (await readFile(first.flotilla.layout.adminKeyFile, 'utf8')).trim();
  const response = await fetch(`${first.urls[0]}/api/v1/keys`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${admin}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ name: 'ci', scopes: ['machines:read'] }),
  });
  const { key } = (await response.json()) as { readonly key: string };
  await first.close();

  const second = await startDaemon(config, silentLog);
  const statusWith = async (headers: Readonly<Record<string, string>>) =>
    (await fetch(`${second.urls[0]}/machines`, { headers })).status;
  expect(await statusWith({ Authorization: `Bearer ${key}` })).toBe(200);
  expect(await statusWith({})).toBe(401);
  await second.close();

  const open = await startDaemon({ ...config, isAuthDisabled: true }, silentLog);
  expect((await fetch(`${open.urls[0]}/api/v1/keys`)).status).toBe(200);
  // A caller on the network address is not the operator; one on the socket is.
  const importDirectory = {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ name: 'root', directory: '/nonexistent' }),
  };
  const url = `${open.urls[0]}/api/v1/images`;
  expect((await fetch(url, importDirectory)).status).toBe(403);
  const overSocket = socketFetch(open.flotilla.layout.operatorSocket);
  expect((await overSocket(url, importDirectory)).status).toBe(400);
  await open.close();
});
