/** Imported images: from a directory, from an upload, with their own kernel; and machines on them. */
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../src/lib/process.ts';
import { CacheLayout } from '../../src/storage/layout.ts';
import { startTestHost, type TestHost } from '../support/host.ts';

const never = new AbortController().signal;

let host: TestHost;
let work: string;
let root: string;
beforeAll(async () => {
  host = await startTestHost();
  work = await mkdtemp(join(tmpdir(), 'roots-'));
  root = join(work, 'root');
  await makeRoot();
});
afterAll(async () => {
  await host.close();
  await rm(work, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function send(
  method: string,
  path: string,
  type?: string,
  body?: Uint8Array | string,
): Promise<Answer> {
  const response = await fetch(`${host.url}${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${host.key}`,
      ...(type === undefined ? {} : { 'Content-Type': type }),
    },
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}
const call = (method: string, path: string, body?: unknown) =>
  body === undefined ? send(method, path) : send(method, path, 'application/json', JSON.stringify(body));

/** Makes a busybox root directory by hand. */
async function makeRoot(): Promise<void> {
  for (const path of ['bin', 'dev', 'etc', 'proc', 'sys', 'run', 'tmp']) {
    await mkdir(join(root, path), { recursive: true });
  }
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  await chmod(join(root, 'bin/busybox'), 0o755);
  for (const name of ['sh', 'cat', 'uname', 'sync']) await symlink('busybox', join(root, 'bin', name));
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  await writeFile(join(root, 'etc/made-by'), 'the test\n');
}

/** Set-up's kernel in the layout of a distribution. */
async function addKernel(): Promise<string> {
  const { kernels } = new CacheLayout(host.config.cacheDir);
  const { release } = JSON.parse(await readFile(join(kernels, 'current.json'), 'utf8')) as {
    release: string;
  };
  const modules = join(root, 'lib/modules', release);
  await mkdir(join(modules, 'kernel'), { recursive: true });
  await mkdir(join(root, 'boot'));
  await copyFile(join(kernels, release, 'vmlinux'), join(root, 'boot', `vmlinux-${release}`));
  const source = join(kernels, release, 'modules');
  // Without an optional module, so that the kit differs from the host's.
  const names = (await readdir(source)).filter((name) => name !== 'overlay.ko');
  for (const name of names) await copyFile(join(source, name), join(modules, 'kernel', name));
  // Modules that set-up did not keep are built in as far as this kernel is concerned.
  await writeFile(join(modules, 'modules.builtin'), 'kernel/fs/ext4/ext4.ko\n');
  return release;
}

/** Creates and starts a machine on the image, and runs the command in it. */
async function runOn(image: string, command: readonly string[]): Promise<Record<string, unknown>> {
  const created = await call('POST', '/api/v1/machines', {
    ...{ name: `on-${image}`, vcpu_count: 1, mem_size_mib: 128, image },
  });
  expect(created).toMatchObject({ status: 201, body: { image } });
  const path = `/api/v1/machines/${String(created.body.id)}`;
  const { kernelPath } = await host.daemon.flotilla.images.bootKit(String(created.body.image_digest), never);
  expect(await call('POST', `${path}/start`)).toMatchObject({
    status: 200,
    body: { status: 'running', kernel_image_path: kernelPath },
  });
  const { body } = await call('POST', `${path}/exec`, { command });
  expect(await call('DELETE', `/api/v1/images/${image}`)).toMatchObject({
    status: 409,
    body: { error: { code: 'CONFLICT', message: `Image '${image}' is used by 1 machine` } },
  });
  expect((await call('DELETE', `${path}?force=true`)).status).toBe(204);
  return body;
}

test('from a directory: a machine runs on it, and then it can be deleted', async () => {
  const imported = await call('POST', '/api/v1/images', { name: 'from-dir', directory: root });
  expect(imported).toMatchObject({
    status: 201,
    body: { name: 'from-dir', built_in: false, shared: false, kernel: 'host', kernel_release: null },
  });
  expect(await call('GET', '/api/v1/images/from-dir')).toEqual({ status: 200, body: imported.body });
  expect(await runOn('from-dir', ['cat', '/etc/made-by'])).toMatchObject({
    exit_code: 0,
    stdout: 'the test\n',
  });
  expect((await call('DELETE', '/api/v1/images/from-dir')).status).toBe(204);
  expect((await call('GET', '/api/v1/images/from-dir')).status).toBe(404);
});

test('from a compressed upload', async () => {
  const archive = join(work, 'root.tar.gz');
  await run('tar', ['-czf', archive, '-C', root, '.'], { timeoutMs: 60_000 });
  const uploaded = await send('PUT', '/api/v1/images/uploaded', 'application/x-tar', await readFile(archive));
  expect(uploaded).toMatchObject({ status: 201, body: { name: 'uploaded' } });
  expect(await runOn('uploaded', ['cat', '/etc/made-by'])).toMatchObject({ stdout: 'the test\n' });
  expect((await call('DELETE', '/api/v1/images/uploaded')).status).toBe(204);
});

test('of one static program: it starts, and the program runs', async () => {
  const staticRoot = join(work, 'static');
  await mkdir(staticRoot);
  await copyFile('/bin/busybox', join(staticRoot, 'busybox'));
  await chmod(join(staticRoot, 'busybox'), 0o755);
  const archive = await run('tar', ['-c', '-C', staticRoot, '-f', join(work, 'static.tar'), 'busybox'], {
    timeoutMs: 60_000,
  }).then(() => readFile(join(work, 'static.tar')));
  const uploaded = await send('PUT', '/api/v1/images/static', 'application/x-tar', archive);
  expect(uploaded).toMatchObject({ status: 201 });
  const script = 'echo ran; cd /tmp && /busybox stat -c %a /tmp && /busybox ls /';
  const { exit_code, stdout } = await runOn('static', ['/busybox', 'sh', '-c', script]);
  expect(exit_code).toBe(0);
  expect(String(stdout).split('\n')).toEqual(
    expect.arrayContaining(['ran', '1777', 'busybox', 'proc', 'tmp', 'etc', 'run', 'sys', 'dev']),
  );
  expect((await call('DELETE', '/api/v1/images/static')).status).toBe(204);
});

test('with its own kernel', async () => {
  expect(
    await call('POST', '/api/v1/images', { name: 'own', directory: root, kernel: 'image' }),
  ).toMatchObject({
    status: 400,
    body: { error: { hint: expect.stringContaining('/boot/vmlinuz-') } },
  });
  const release = await addKernel();
  const imported = await call('POST', '/api/v1/images', { name: 'own', directory: root, kernel: 'image' });
  expect(imported).toMatchObject({ status: 201, body: { kernel: 'image', kernel_release: release } });
  const { images } = host.daemon.flotilla;
  const { kernelPath } = await images.bootKit(String(imported.body.digest), never);
  expect(kernelPath).not.toBe((await images.bootKit('of another image', never)).kernelPath);
  expect(await runOn('own', ['uname', '-r'])).toMatchObject({ stdout: `${release}\n` });
  expect((await call('DELETE', '/api/v1/images/own')).status).toBe(204);
  await expect(readFile(kernelPath)).rejects.toMatchObject({ code: 'ENOENT' });
});
