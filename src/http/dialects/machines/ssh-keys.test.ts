/** `ssh_keys` of machines: who may set them, and what is shown. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../test/support/fake.ts';
import { newPublicKey } from '../../../../test/support/ssh-key.ts';
import { adminKeyVerifier } from '../../../main/admin-key.ts';
import type { HttpServer } from '../../server.ts';

const sshKey = newPublicKey('me');
const valid = { name: 'web', vcpu_count: 1, mem_size_mib: 128 };

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
beforeEach(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake));
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

async function call(method: string, path: string, body?: object, key = testKey) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}

test('are shown, replaced as a whole, and refused in words', async () => {
  expect(await call('POST', '/machines', { ...valid, ssh_keys: [sshKey, ` ${sshKey} `] })).toMatchObject({
    status: 201,
    body: { ssh_keys: [sshKey], provisioning: { status: 'pending' } },
  });
  expect(await call('PATCH', '/machines/web', { ssh_keys: ['x'] })).toMatchObject({
    status: 400,
    body: { error: { message: expect.stringMatching(/ssh_keys\.0: this is not a public key/i) } },
  });
  expect(await call('PATCH', '/machines/web', { labels: {} })).toMatchObject({
    body: { ssh_keys: [sshKey] },
  });
  expect(await call('PATCH', '/machines/web', { ssh_keys: [] })).toMatchObject({ body: { ssh_keys: [] } });
  expect(await call('GET', '/machines/web')).toMatchObject({ body: { ssh_keys: [] } });
  const userData = `#cloud-config\nssh_authorized_keys: ["${sshKey}"]\n`;
  const given = await call('POST', '/machines', { ...valid, name: 'other', user_data: userData });
  expect(given.body).toMatchObject({ ssh_keys: [sshKey] });
});

test('can be changed only by those who may run commands', async () => {
  await call('POST', '/machines', valid);
  const caller = await adminKeyVerifier(testKey, fake.apiKeys).verify(testKey);
  const { secret } = await fake.apiKeys.create(caller, {
    name: 'writer',
    scopes: ['machines:read', 'machines:write'],
  });
  expect(await call('PATCH', '/machines/web', { ssh_keys: [sshKey] }, secret)).toMatchObject({ status: 403 });
  expect(await call('PATCH', '/machines/web', { labels: { a: 'b' } }, secret)).toMatchObject({ status: 200 });
});
