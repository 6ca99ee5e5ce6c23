import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../core/errors.ts';
import { ProcessError } from '../lib/process.ts';
import { childEnvironment } from './context.ts';
import { readDistro } from './distro.ts';
import { explain, explaining } from './failures.ts';

describe('readDistro', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'flotilla-distro-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));
  const read = async (text: string, arch = 'x64') => {
    await writeFile(join(dir, 'os-release'), text);
    return readDistro(join(dir, 'os-release'), arch);
  };

  it('recognises the tested release', async () => {
    const distro = await read('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n');
    expect(distro).toMatchObject({
      family: 'debian',
      isProved: true,
      title: 'Debian GNU/Linux 12 (bookworm)',
    });
  });

  it.each([
    ['debian', 'ID=debian\nVERSION_ID="13"\n'],
    ['ubuntu', 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n'],
    ['ubuntu', "ID=linuxmint\nID_LIKE='ubuntu debian'\n"],
  ])('accepts others of the %s family', async (family, text) => {
    expect(await read(text)).toMatchObject({ family, isProved: false });
  });

  it('refuses other systems and CPUs with a hint', async () => {
    const refusal = { code: 'unsupported', hint: expect.stringContaining('Debian 12') };
    await expect(read('ID=fedora\n')).rejects.toMatchObject(refusal);
    await expect(read('ID=debian\n', 'arm64')).rejects.toMatchObject(refusal);
    await expect(readDistro(join(dir, 'absent'), 'x64')).rejects.toMatchObject(refusal);
  });
});

describe('explain', () => {
  const failed = (stderr: string, fields = {}) =>
    new ProcessError({
      command: 'apt-get',
      exitCode: 100,
      signal: null,
      stderr,
      isTimeout: false,
      isMissing: false,
      ...fields,
    });

  it.each([
    ['unavailable', 'E: Could not resolve host deb.debian.org', 'network'],
    ['unavailable', 'E: Could not get lock /var/lib/dpkg/lock-frontend', 'lock'],
    ['unavailable', 'E: Release file for http://x/InRelease is not valid yet', 'clock'],
    ['unavailable', 'x509: certificate signed by unknown authority', 'ca-certificates'],
    ['exhausted', 'cp: write error: No space left on device', 'disk'],
  ])('gives %s for: %s', (code, stderr, hint) => {
    expect(explain(failed(stderr), 'packages')).toMatchObject({ code, hint: expect.stringContaining(hint) });
  });

  it('names a missing program and a deadline', () => {
    expect(explain(failed('', { isMissing: true }), 'x')).toMatchObject({ code: 'unsupported' });
    expect(explain(failed('', { isTimeout: true }), 'x')).toMatchObject({ code: 'timeout' });
  });

  it.each([
    ['ENOSPC', 'exhausted'],
    ['EACCES', 'unsupported'],
    ['EROFS', 'unsupported'],
    ['EIO', 'internal'],
  ])('turns %s into %s', (code, expected) => {
    expect(explain(Object.assign(new Error('x'), { code }), 'x').code).toBe(expected);
  });

  it('keeps the code and hint of an AppError', () => {
    const error = new AppError('exhausted', 'full', { hint: 'free some' });
    expect(explain(error, 'make the kernel')).toMatchObject({
      code: 'exhausted',
      hint: 'free some',
      message: 'cannot make the kernel: full',
    });
  });

  it('passes an abort through unchanged', async () => {
    const reason = new Error('stopped');
    const work = explaining('x', AbortSignal.abort(reason), () => Promise.reject(new Error('killed')));
    await expect(work).rejects.toBe(reason);
  });
});

describe('childEnvironment', () => {
  it('adds the sbin directories once and asks no questions', () => {
    const env = childEnvironment({ PATH: '/usr/sbin:/bin', HOME: '/root', http_proxy: 'http://proxy' });
    expect(env.PATH?.split(':').filter((entry) => entry === '/usr/sbin')).toHaveLength(1);
    expect(env).toMatchObject({
      HOME: '/root',
      http_proxy: 'http://proxy',
      DEBIAN_FRONTEND: 'noninteractive',
    });
  });
});
