/** Each method calls its own operation. */
import { expect, test } from 'vitest';
import { FlotillaClient } from './client.ts';
import { serve } from './testing/server.ts';

test.each<[string, (client: FlotillaClient) => Promise<unknown>]>([
  ['POST /api/v1/keys', ({ keys }) => keys.create({ name: 'ci', scopes: ['*'] })],
  ['GET /api/v1/keys?limit=2', ({ keys }) => keys.list({ limit: 2 })],
  ['GET /api/v1/keys/k1', ({ keys }) => keys.get('k1')],
  ['DELETE /api/v1/keys/k1', ({ keys }) => keys.revoke('k1')],
  ['GET /api/v1/images', ({ images }) => images.list()],
  ['GET /api/v1/images/busybox', ({ images }) => images.get('busybox')],
  ['POST /api/v1/images', ({ images }) => images.import({ name: 'x', directory: '/srv/x' })],
  [
    'PUT /api/v1/images/x?kernel=image',
    ({ images }) => images.upload('x', new Blob([]), { kernel: 'image' }),
  ],
  ['DELETE /api/v1/images/x', ({ images }) => images.delete('x')],
  [
    'POST /api/v1/templates',
    ({ templates }) => templates.create({ name: 't', image: 'x', vcpu_count: 1, mem_size_mib: 128 }),
  ],
  ['GET /api/v1/templates?limit=2', ({ templates }) => templates.list({ limit: 2 })],
  ['GET /api/v1/templates/t', ({ templates }) => templates.get('t')],
  ['DELETE /api/v1/templates/t', ({ templates }) => templates.delete('t')],
  ['POST /api/v1/routes/shop/tokens', ({ routes }) => routes.createToken('shop', { expires_in_seconds: 60 })],
  ['DELETE /api/v1/routes/shop/tokens', ({ routes }) => routes.revokeTokens('shop')],
  ['POST /machines/web/snapshots', ({ snapshots }) => snapshots.create('web', { name: 's', memory: false })],
  [
    'GET /api/v1/snapshots?machine=web&limit=2',
    ({ snapshots }) => snapshots.list({ machine: 'web', limit: 2 }),
  ],
  ['GET /api/v1/snapshots/s', ({ snapshots }) => snapshots.get('s')],
  ['POST /api/v1/snapshots/s/restore', ({ snapshots }) => snapshots.restore('s', { start: false })],
  ['DELETE /api/v1/snapshots/s', ({ snapshots }) => snapshots.delete('s')],
  ['POST /machines/web/fork', ({ machines }) => machines.fork('web', { count: 2 })],
  ['POST /api/v1/ssh-keys', ({ sshKeys }) => sshKeys.create({ public_key: 'ssh-ed25519 AAAA' })],
  ['GET /api/v1/ssh-keys?limit=2', ({ sshKeys }) => sshKeys.list({ limit: 2 })],
  ['GET /api/v1/ssh-keys/laptop', ({ sshKeys }) => sshKeys.get('laptop')],
  ['DELETE /api/v1/ssh-keys/laptop', ({ sshKeys }) => sshKeys.delete('laptop')],
  [
    'POST /machines/web/ssh-certificates',
    ({ sshKeys }) => sshKeys.certify('web', { public_key: 'ssh-ed25519 AAAA' }),
  ],
  ['GET /api/v1/operations?state=running', ({ operations }) => operations.list({ state: 'running' })],
  ['GET /api/v1/operations/o1', ({ operations }) => operations.get('o1')],
])('%s', async (expected, use) => {
  await using server = await serve((request, response) => {
    request.resume();
    if (request.method === 'DELETE') response.writeHead(204).end();
    else response.end(JSON.stringify({ asked: `${request.method} ${request.url}` }));
  });
  const answer = await use(new FlotillaClient({ url: server.url }));
  expect(answer).toEqual(expected.startsWith('DELETE') ? undefined : { asked: expected });
});
