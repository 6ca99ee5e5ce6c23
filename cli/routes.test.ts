/** `routes`, against the real API on fakes. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HttpServer } from '../src/http/server.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../test/support/fake.ts';
import { runCli } from './testing/run-cli.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
beforeEach(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake));
  await fake.machines.create('default', { name: 'web', image: 'busybox', memoryMib: 128 });
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

async function routes(...args: string[]) {
  const env = { FLOTILLA_URL: url, FLOTILLA_KEY: testKey };
  const { stdout, stderr, code } = await runCli(['routes', ...args], { env });
  return { stdout: stdout.toString(), stderr, code };
}

test('a route is added, listed, changed and removed', async () => {
  expect(await routes('add', 'web', '8080', '--subdomain', 'shop')).toMatchObject({
    ...{ stdout: 'shop\n', code: 0 },
    stderr: expect.stringContaining('Reached at http://shop.flotilla.example'),
  });
  expect((await routes('ls')).stdout).toMatch(
    /^SUBDOMAIN +MACHINE +PORT +ACCESS +WAKES +AGE +URL\nshop +\w{12} +8080 +public /,
  );
  expect(await routes('update', 'shop', '81', '--private', '--no-auto-wake')).toMatchObject({
    stdout: 'shop\n',
    code: 0,
  });
  const { routes: found } = JSON.parse((await routes('ls', '--json')).stdout);
  expect(found).toMatchObject([{ target_port: 81, access: 'private', auto_wake: false }]);
  expect(await routes('rm', 'shop')).toMatchObject({ stdout: 'shop\n', code: 0 });
});

test('a private route has an address that opens it, until its tokens are revoked', async () => {
  await routes('add', 'web', '80', '--subdomain', 'shop', '--private');
  expect((await routes('token', 'shop', '--expires', '7d')).stdout).toMatch(
    /^http:\/\/shop\.flotilla\.example\/\?flotilla_token=r1\.[\w.-]+\n$/,
  );
  const { expires_at: at } = JSON.parse((await routes('token', 'shop', '--json')).stdout);
  expect(Date.parse(at) - Date.now()).toBeLessThanOrEqual(3_601_000);
  expect(await routes('revoke', 'shop')).toMatchObject({ stdout: 'shop\n', code: 0 });
});

test('what cannot be done is said with what to do', async () => {
  await routes('add', 'web', '80', '--subdomain', 'shop');
  expect(await routes('update', 'shop')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('There is nothing to change'),
  });
  expect(await routes('token', 'shop')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('flotilla routes update --private'),
  });
});
