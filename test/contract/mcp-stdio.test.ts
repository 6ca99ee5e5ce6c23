/** `flotilla mcp`, started by the official client: the daemon's tools over standard streams, also after a restart of the daemon. */
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createApp } from '../../src/http/app.ts';
import { dialects } from '../../src/http/dialects.ts';
import { type HttpServer, listen } from '../../src/http/server.ts';
import { type FakeFlotilla, fakeDeps, serveFake, startFake, testKey } from '../support/fake.ts';

const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
const clients: Client[] = [];

beforeEach(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake));
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await server.close(0);
  await fake.close();
});

interface Connected {
  readonly client: Client;
  readonly transport: StdioClientTransport;
}

async function connect(key = testKey): Promise<Connected> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: ['--', main, 'mcp'],
    env: {
      PATH: process.env.PATH ?? '',
      HOME: '/nonexistent',
      FLOTILLA_STATE_DIR: '/nonexistent',
      FLOTILLA_URL: url,
      FLOTILLA_KEY: key,
    },
    stderr: 'ignore',
  });
  const client = new Client({ name: 'test', version: '1' });
  clients.push(client);
  await client.connect(transport);
  return { client, transport };
}

/** Stops the daemon's listener and its sessions; a new one listens at the same address. */
async function restartDaemon(): Promise<void> {
  await server.close(0);
  const app = createApp(dialects, fakeDeps(fake));
  server = await listen(app.fetch, { host: '127.0.0.1', port: Number(new URL(url).port) });
}

const call = async (client: Client, name: string, args: Record<string, unknown> = {}) =>
  (await client.callTool({ name, arguments: args })).structuredContent;

test('tools, resources and progress are those of the daemon', async () => {
  const { client } = await connect();
  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).toContain('create_vm');
  const made = (await call(client, 'create_vm', { name: 'web' })) as { readonly id: string };
  const { promise: heard, resolve: hear } = Promise.withResolvers<string | undefined>();
  // The client drops progress that it has read together with the answer.
  fake.guest.onReady = async () => void (await heard);
  await client.callTool({ name: 'start_vm', arguments: { vm_id: 'web' } }, undefined, {
    onprogress: ({ message }) => hear(message),
  });
  expect(await heard).toBe('start_vm has begun');
  const { contents } = await client.readResource({ uri: `flotilla://machines/${made.id.slice(3)}` });
  expect(JSON.parse((contents[0] as { text: string }).text)).toMatchObject({ name: 'web', state: 'running' });
});

test('a call after a restart of the daemon is answered, on a new session', async () => {
  const { client } = await connect();
  await call(client, 'create_vm', { name: 'web' });
  await restartDaemon();
  expect(await Promise.all([1, 2, 3].map(() => call(client, 'list_vms')))).toMatchObject([
    { total: 1 },
    { total: 1 },
    { total: 1 },
  ]);
});

test('a call whose connection is lost ends with an error', async () => {
  const { client } = await connect();
  await call(client, 'create_vm', { name: 'web' });
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  fake.guest.onReady = (signal) => {
    begin();
    const { promise, reject } = Promise.withResolvers<void>();
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    return promise;
  };
  const ended = call(client, 'start_vm', { vm_id: 'web' });
  const outcome = expect(ended).rejects.toThrow(/connection to the daemon was lost/);
  await begun;
  await server.close(0);
  await outcome;
});

test('a cancelled call ends its command', async () => {
  const { client } = await connect();
  await call(client, 'create_vm', { name: 'web' });
  await call(client, 'start_vm', { vm_id: 'web' });
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const { promise: aborted, resolve: abort } = Promise.withResolvers<void>();
  const exec = async (_target: unknown, _request: unknown, signal: AbortSignal) => {
    signal.addEventListener('abort', () => abort(), { once: true });
    begin();
    await aborted;
    throw signal.reason;
  };
  Object.assign(fake.guest, { exec });
  const cancel = new AbortController();
  const args = { vm_id: 'web', command: ['sleep', '60'] };
  const ended = client.callTool({ name: 'execute_command', arguments: args }, undefined, {
    signal: cancel.signal,
  });
  const outcome = expect(ended).rejects.toThrow('no longer needed');
  await begun;
  cancel.abort(new Error('no longer needed'));
  await outcome;
  await aborted;
});

test('a key that the daemon does not know: the client learns why it cannot connect', async () => {
  await expect(connect(`hf_${'x'.repeat(32)}`)).rejects.toThrow(/Invalid API key/);
});
