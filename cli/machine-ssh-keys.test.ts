/** `--ssh-key` of create, run and update: files and keys themselves. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FakeApi } from './testing/fake-api.ts';
import { runCli } from './testing/run-cli.ts';

const line = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt';

let api: FakeApi;
let work: string;
beforeEach(async () => {
  api = await FakeApi.start();
  work = mkdtempSync(join(tmpdir(), 'f-keys-'));
});
afterEach(async () => {
  rmSync(work, { recursive: true });
  await api[Symbol.asyncDispose]();
});
const cli = (...args: string[]) => runCli(args, { env: { FLOTILLA_URL: api.url } });

test('create and update send keys of files and keys as they are; none removes them', async () => {
  const path = join(work, 'authorized_keys');
  writeFileSync(path, `# of the team\n${line} ann\n\n${line} bob\n`);
  const words = ['--ssh-key', path, '--ssh-key', `${line} me`];
  expect(await cli('create', 'busybox', '--name', 'web', ...words)).toMatchObject({ code: 0 });
  const keys = [`${line} ann`, `${line} bob`, `${line} me`];
  expect(api.createBodies[0]).toMatchObject({ ssh_keys: keys });
  expect(await cli('update', 'web', ...words)).toMatchObject({ code: 0 });
  const sent = () => [...api.machines.values()][0];
  expect(sent()).toMatchObject({ ssh_keys: keys });
  expect(await cli('update', 'web', '--ssh-key', 'none')).toMatchObject({ code: 0 });
  expect(sent()).toMatchObject({ ssh_keys: [] });
});

test('a private key and a file that is not there are refused', async () => {
  const path = join(work, 'id_ed25519');
  writeFileSync(path, '-----BEGIN OPENSSH PRIVATE KEY-----\n');
  const refused = await cli('create', 'busybox', '--ssh-key', path);
  expect(refused).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`Give its public half: ${path}.pub`),
  });
  expect(await cli('create', 'busybox', '--ssh-key', join(work, 'none'))).toMatchObject({ code: 2 });
  expect(api.createBodies).toEqual([]);
});
