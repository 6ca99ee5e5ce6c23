/** What tenants and the operator see of errors and failures that name files of the host. */

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { anyCharacter } from '../../test/support/characters.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../test/support/fake.ts';
import { AppError, type ErrorCode, errorCodes } from '../core/errors.ts';
import { BodyTooSlow, MethodNotAllowed } from './errors.ts';
import { errorFor, failureText, withoutDirectories } from './host-paths.ts';
import type { HttpServer } from './server.ts';

describe('withoutDirectories', () => {
  test.each([
    ["EACCES: permission denied, open '/var/lib/flotilla/disks/m1/root.qcow2'", "open 'root.qcow2'"],
    ["open '/srv/with space/state/run/x'", "open 'x'"],
    [
      'qemu-img exited with 1: /var/lib/x: Permission denied | done',
      'exited with 1: x: Permission denied | done',
    ],
    ['-drive file=/srv/a/root.qcow2,if=none', '-drive file=root.qcow2,if=none'],
    ['connect unix:///run/flotilla/api.sock', 'connect api.sock'],
    ['read file:/etc/flotilla/key', 'read key'],
    ['the log is /var/log/daemon.log.', 'the log is daemon.log.'],
    ['(/proc/12/ns/mnt) and “/sys/fs/cgroup/flotilla”', '(mnt) and “flotilla”'],
    ['copy /a/b to /c/d/', 'copy b to d'],
  ])('%s', (text, shown) => {
    expect(withoutDirectories(text)).toContain(shown);
    expect(withoutDirectories(text)).not.toMatch(/(?:var|srv|run|etc|proc|sys|c)\//);
  });

  test.each([
    'Run ./flotilla setup.',
    'PUT /api/v1/images/{name}, or GET /docs shows more',
    'see https://example.com/a/b',
    'vm limit reached (3/4), 10 MiB/s, and/or, ~/x, a / b',
    'ghcr.io/org/app:1 and image "alpine:3.20"',
  ])('leaves %s', (text) => {
    expect(withoutDirectories(text)).toBe(text);
  });

  test('leaves no directory of any path, wherever it stands', () => {
    const name = fc.stringMatching(/^[a-z0-9][a-z0-9_.+@-]{0,12}[a-z0-9]$/);
    const path = fc.array(name, { minLength: 2, maxLength: 6 });
    const around = fc.constantFrom(
      ["'", "'"],
      ['"', '"'],
      ['', ''],
      ['(', ')'],
      ['file=', ','],
      ['', ': no'],
      ['', '.'],
    );
    fc.assert(
      fc.property(path, around, fc.constantFrom('state', 'srv', 'var'), (names, [before, after], root) => {
        const dir = [root, ...names.slice(0, -1)].join('/');
        const text = `failed to open ${before}/${dir}/${names.at(-1)}${after}`;
        expect(withoutDirectories(text)).toBe(`failed to open ${before}${names.at(-1)}${after}`);
      }),
    );
  });

  test('takes any text, in one go', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter }), (text) => {
        const once = withoutDirectories(text);
        expect(once.length).toBeLessThanOrEqual(text.length);
      }),
    );
  });
});

test('an error keeps its class and what else it says', () => {
  const slow = errorFor(new BodyTooSlow(1000), false);
  expect(slow).toBeInstanceOf(BodyTooSlow);
  expect(slow).toMatchObject({
    code: 'timeout',
    message: 'the request body did not arrive within 1 seconds',
  });
  const details = { path: '/srv/a/b', count: 2 };
  const error = errorFor(new AppError('engine', 'at /srv/a/b', { details, isPassing: true }), false);
  expect(error).toBeInstanceOf(AppError);
  expect(error).toMatchObject({ code: 'engine', isPassing: true, details: { path: 'b', count: 2 } });
  const unknown = new MethodNotAllowed('GET', '/srv/x', ['POST']);
  expect(errorFor(unknown, false)).toBe(unknown);
});

describe('over HTTP', () => {
  const secret = '/srv/secret/state';
  let fake: FakeFlotilla;
  let server: HttpServer;
  let url: string;
  let tenantKey: string;
  beforeEach(async () => {
    fake = await startFake();
    ({ server, url } = await serveFake(fake));
    const operator = {
      ...{ tenant: 'default', keyName: 'admin', keyId: null, expiresAt: null, isOperator: true },
      scopes: ['*'] as const,
      tier: 'enterprise' as const,
    };
    // Of the operator's own tenant: it sees the same machines and operations.
    tenantKey = (await fake.apiKeys.create(operator, { name: 'x', tenant: 'default', scopes: ['*'] })).secret;
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await server.close(0);
    await fake.close();
  });

  const ask = async (key: string, method: string, path: string, body?: object) => {
    const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' };
    const init = body === undefined ? {} : { body: JSON.stringify(body) };
    return (await fetch(url + path, { method, headers, ...init })).text();
  };
  const onHost = errorCodes.filter(
    (code) =>
      !['invalid', 'unauthenticated', 'forbidden', 'not_found', 'guest', 'quota', 'rate_limited'].includes(
        code,
      ),
  );

  test.each(onHost)('an error with the code %s', async (code: ErrorCode) => {
    const error = new AppError(code, `cannot open '${secret}/disk.qcow2'`, {
      hint: `Look at ${secret}/daemon.log.`,
      details: { path: `${secret}/x` },
    });
    vi.spyOn(fake.machines, 'get').mockRejectedValue(error);
    vi.spyOn(fake.imageService, 'list').mockRejectedValue(error);
    for (const path of ['/machines/web', '/api/v1/vms/vm-abcdefabcdef', '/api/v1/images']) {
      const shown = await ask(tenantKey, 'GET', path);
      expect(shown, path).toContain('"error"');
      expect(shown, path).not.toContain('secret');
      if (code !== 'internal') expect(await ask(testKey, 'GET', path), path).toContain(secret);
    }
  });

  test('the failures of a machine and of its operation', async () => {
    await ask(testKey, 'POST', '/machines', { name: 'web', vcpu_count: 1, mem_size_mib: 256 });
    fake.driver.failNext(
      'launch',
      new AppError('engine', `cannot launch QEMU: ${secret}/run/log: no such file`),
    );
    expect(await ask(tenantKey, 'POST', '/machines/web/start')).not.toContain('secret');
    const { id, failure } = await fake.machines.get('default', 'web');
    expect(failure?.message).toContain(secret);
    const paths = ['/machines/web', `/api/v1/vms/vm-${id}`, `/api/v1/operations?machine=${id}`];
    for (const path of paths) {
      const shown = await ask(tenantKey, 'GET', path);
      expect(shown, path).toMatch(/cannot launch QEMU: log: no such file/i);
      expect(shown, path).not.toContain('secret');
    }
    expect(await ask(testKey, 'GET', '/machines/web')).toContain(secret);
    expect(await ask(testKey, 'GET', `/api/v1/operations?machine=${id}`)).toContain(secret);
  });

  test('the source of an import that failed', async () => {
    fake.images.onImport = async () => {
      throw new AppError('invalid', `${secret}/roots/app is not a directory`);
    };
    const body = { name: 'app', directory: `${secret}/roots/app` };
    expect(await ask(testKey, 'POST', '/api/v1/images', body)).toContain(secret);
    const shown = await ask(tenantKey, 'GET', '/api/v1/operations');
    expect(shown).toContain('app is not a directory');
    expect(shown).not.toContain('secret');
    expect(await ask(testKey, 'GET', '/api/v1/operations')).toContain(secret);
  });
});

test('a message about the guest keeps its paths', () => {
  const failure = { code: 'guest', message: 'chdir /var/www: no such directory' };
  expect(failureText(failure, false)).toBe('Chdir /var/www: no such directory');
});
