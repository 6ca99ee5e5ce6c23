/** `/mcp` on a real server, spoken to by the official client: tools, resources, progress, cancellation, and sessions. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import {
  StreamableHTTPClientTransport,
  StreamableHTTPError,
} from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, fakeDeps, serveFake, startFake, testKey } from '../../../test/support/fake.ts';
import { AppError } from '../../core/errors.ts';
import type { Caller } from '../../core/keys/caller.ts';
import { tools } from '../agentic/tools.ts';
import type { HttpServer } from '../server.ts';
import { McpSessions } from './sessions.ts';

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

async function connect(key = testKey): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' });
  const headers = { Authorization: `Bearer ${key}` };
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }),
  );
  clients.push(client);
  return client;
}

const never = new AbortController().signal;
const operator: Caller = {
  ...{ tenant: 'default', keyName: 'operator', keyId: null, expiresAt: null },
  ...{ scopes: ['*'], tier: null, isOperator: true },
};

interface Answer {
  readonly isError?: boolean;
  readonly structuredContent?: Record<string, unknown>;
}

const call = async (client: Client, name: string, args: Record<string, unknown> = {}) =>
  (await client.callTool({ name, arguments: args })) as Answer;

const initialize = {
  ...{ jsonrpc: '2.0', id: 1, method: 'initialize' },
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
};

function post(message: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(`${url}/mcp`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${testKey}`,
      'Content-Type': 'application/json',
      Accept: 'application/json, text/event-stream',
      ...headers,
    },
    body: JSON.stringify(message),
  });
}

describe('tools', () => {
  test('an error names no directory of the host', async () => {
    const client = await connect();
    const made = await call(client, 'create_vm', { name: 'web' });
    fake.driver.failNext('launch', new AppError('engine', "cannot launch QEMU: open '/srv/secret/run/log'"));
    const answer = await call(client, 'start_vm', { vm_id: made.structuredContent?.id });
    expect(answer.isError).toBe(true);
    expect(JSON.stringify(answer)).toMatch(/open 'log'/);
    expect(JSON.stringify(answer)).not.toContain('secret');
  });

  test('are those of the table, with the schema of their arguments', async () => {
    const client = await connect();
    const listed = await client.listTools();
    expect(listed.tools.map(({ name }) => name)).toEqual(tools.map(({ name }) => name));
    const createVm = listed.tools.find(({ name }) => name === 'create_vm');
    expect(createVm?.inputSchema).toMatchObject({
      type: 'object',
      required: ['name'],
      additionalProperties: false,
      properties: { name: { type: 'string' } },
    });
    const hints = (wanted: string) => listed.tools.find(({ name }) => name === wanted)?.annotations;
    expect(hints('delete_vm')).toMatchObject({ readOnlyHint: false });
    expect(hints('list_vms')).toMatchObject({ readOnlyHint: true });
  });

  test('a machine is created, started, listed, stopped and deleted', async () => {
    const client = await connect();
    const made = await call(client, 'create_vm', { name: 'web' });
    expect(made.structuredContent).toMatchObject({ id: expect.stringMatching(/^vm-/), name: 'web' });
    expect((await call(client, 'list_vms')).structuredContent).toMatchObject({
      vms: [{ name: 'web' }],
      total: 1,
    });
    for (const [name, state] of [
      ['start_vm', 'running'],
      ['pause_vm', 'paused'],
      ['resume_vm', 'running'],
      ['get_vm_status', 'running'],
      ['stop_vm', 'stopped'],
    ] as const) {
      expect((await call(client, name, { vm_id: 'web' })).structuredContent, name).toMatchObject({ state });
    }
    expect((await call(client, 'delete_vm', { vm_id: 'web' })).structuredContent).toMatchObject({
      deleted: true,
    });
    expect((await call(client, 'list_vms')).structuredContent).toMatchObject({ total: 0 });
  });

  test.each([
    ['get_vm_status', { vm_id: 'nope' }, 'NOT_FOUND', "Machine with id 'nope' not found"],
    ['get_vm_status', {}, 'VALIDATION_ERROR', 'vm_id is required'],
    ['get_vm_status', { vm_id: 'a', force: 1 }, 'VALIDATION_ERROR', /Unknown field 'force'/],
    ['list_vms', { limit: 0 }, 'VALIDATION_ERROR', 'limit must be at least 1'],
    ['execute_command', { vm_id: 'nope', command: [] }, 'VALIDATION_ERROR', 'command must not be empty'],
  ])('a failed call of %s with %j is a result that the model can read', async (name, args, code, message) => {
    const result = await call(await connect(), name, args);
    expect(result.isError).toBe(true);
    expect(result.structuredContent).toMatchObject({
      error: { code, message: typeof message === 'string' ? message : expect.stringMatching(message) },
    });
  });

  test('an unknown tool is an error of the protocol', async () => {
    await expect(call(await connect(), 'nope')).rejects.toMatchObject({ code: -32_602 });
  });

  test('a key without the scope is refused, and may use the others', async () => {
    const reader = { name: 'reader', scopes: ['machines:read'], tenant: 'readers' } as const;
    const { secret } = await fake.apiKeys.create(operator, reader);
    const client = await connect(secret);
    expect((await call(client, 'list_vms')).structuredContent).toMatchObject({ vms: [], total: 0 });
    expect((await call(client, 'create_vm', { name: 'web' })).structuredContent).toMatchObject({
      error: { code: 'FORBIDDEN' },
    });
  });
});

describe('progress and cancellation', () => {
  test('a client that asks for progress sees the steps of the operation', async () => {
    const client = await connect();
    await call(client, 'create_vm', { name: 'web' });
    const { promise: seen, resolve: see } = Promise.withResolvers<void>();
    // The guest answers only when the client has been told that it is waited for.
    fake.guest.onReady = () => seen;
    const steps: { readonly progress: number; readonly message?: string | undefined }[] = [];
    await client.callTool({ name: 'start_vm', arguments: { vm_id: 'web' } }, undefined, {
      onprogress(step) {
        steps.push(step);
        if (step.message === 'machine.start: ready') see();
      },
    });
    expect(steps.at(0)).toEqual({ progress: 0, message: 'start_vm has begun' });
    expect(steps.at(-1)).toMatchObject({ message: 'machine.start: ready' });
    expect(steps.map(({ progress }) => progress)).toEqual(steps.map((_, index) => index));
  });

  test('a cancelled call ends its command', async () => {
    const client = await connect();
    await call(client, 'create_vm', { name: 'web' });
    await call(client, 'start_vm', { vm_id: 'web' });
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: aborted, resolve: onAborted } = Promise.withResolvers<void>();
    const exec = async (_target: unknown, _request: unknown, signal: AbortSignal) => {
      signal.addEventListener('abort', () => onAborted(), { once: true });
      begin();
      await aborted;
      throw signal.reason;
    };
    Object.assign(fake.guest, { exec });
    const cancel = new AbortController();
    const ended = client.callTool(
      { name: 'execute_command', arguments: { vm_id: 'web', command: ['sleep', '60'] } },
      undefined,
      { signal: cancel.signal },
    );
    await begun;
    cancel.abort(new Error('no longer needed'));
    await expect(ended).rejects.toThrow('no longer needed');
    await aborted;
  });

  test('a cancelled call ends the start that it began', async () => {
    const client = await connect();
    await call(client, 'create_vm', { name: 'web' });
    const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
    fake.guest.onReady = () => ready;
    const cancel = new AbortController();
    const start = { name: 'start_vm', arguments: { vm_id: 'web' } };
    const { promise: waiting, resolve: see } = Promise.withResolvers<void>();
    const ended = client.callTool(start, undefined, {
      signal: cancel.signal,
      onprogress: ({ message }) => message === 'machine.start: ready' && see(),
    });
    await waiting;
    cancel.abort(new Error('no longer needed'));
    await expect(ended).rejects.toThrow('no longer needed');
    await fake.machines.wait('default', 'web', { states: ['stopped'], timeoutMs: 10_000 }, never);
    becomeReady();
    const { operations } = await fake.operations.list('default', { machine: 'web', limit: 1, offset: 0 });
    expect(operations).toMatchObject([{ kind: 'machine.start', state: 'cancelled' }]);
  });

  test('a lost connection ends no start, the end of its session does', async () => {
    const client = await connect();
    await call(client, 'create_vm', { name: 'web' });
    const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>();
    fake.guest.onReady = () => ready;
    const starting = client.callTool({ name: 'start_vm', arguments: { vm_id: 'web' } });
    starting.catch(() => undefined);
    await fake.machines.wait('default', 'web', { states: ['starting'], timeoutMs: 10_000 }, never);
    const transport = client.transport as StreamableHTTPClientTransport;
    const { sessionId = '' } = transport;
    await client.close();
    expect((await fake.machines.get('default', 'web')).state).toBe('starting');
    const headers = { Authorization: `Bearer ${testKey}`, 'Mcp-Session-Id': sessionId };
    expect((await fetch(`${url}/mcp`, { method: 'DELETE', headers })).status).toBe(200);
    await fake.machines.wait('default', 'web', { states: ['stopped'], timeoutMs: 10_000 }, never);
    becomeReady();
  });
});

describe('files', () => {
  async function running(key?: string): Promise<Client> {
    const client = await connect(key);
    await call(client, 'create_vm', { name: 'web' });
    await call(client, 'start_vm', { vm_id: 'web' });
    return client;
  }
  const read = async (client: Client, args: object) =>
    (await call(client, 'read_file', { vm_id: 'web', path: '/a', ...args })).structuredContent;

  test('are written, listed and read back, as text and as bytes', async () => {
    const client = await running();
    const text = { vm_id: 'web', path: '/root/a', content: 'žluť 🙂\n', mode: '0755' };
    expect((await call(client, 'write_file', text)).structuredContent).toMatchObject({ size: 12 });
    const bytes = { vm_id: 'web', path: '/root/b', content: '//79', encoding: 'base64' };
    expect((await call(client, 'write_file', bytes)).structuredContent).toMatchObject({ size: 3 });
    expect(await read(client, { path: '/root/a' })).toMatchObject({
      content: 'žluť 🙂\n',
      next_offset: null,
    });
    expect(await read(client, { path: '/root/b', encoding: 'base64' })).toMatchObject({ content: '//79' });
    expect(
      (await call(client, 'list_files', { vm_id: 'web', path: '/root' })).structuredContent,
    ).toMatchObject({
      entries: [
        { name: 'a', type: 'file', size: 12 },
        { name: 'b', type: 'file', size: 3 },
      ],
      truncated: false,
    });
  });

  test('a long text is read in parts that end between characters', async () => {
    const client = await running();
    const whole = 'aé🙂'.repeat(10);
    fake.guest.files.contents.set('/a', Buffer.from(whole));
    let content = '';
    for (let offset: unknown = 0; offset !== null; ) {
      const part = await read(client, { offset, max_bytes: 6 });
      content += part?.content;
      offset = part?.next_offset ?? null;
    }
    expect(content).toBe(whole);
  });

  test.each([
    ['read_file', { path: '/none' }, 'NOT_FOUND', '/none: no such file or directory'],
    ['read_file', { path: 'a' }, 'VALIDATION_ERROR', "path must be absolute, not 'a'"],
    ['read_file', { path: '/bytes' }, 'VALIDATION_ERROR', 'The file is not UTF-8 text'],
    [
      'write_file',
      { path: '/x', content: '*', encoding: 'base64' },
      'VALIDATION_ERROR',
      'content is not base64',
    ],
    ['write_file', { path: '/x', content: '', mode: '9' }, 'VALIDATION_ERROR', /octal digits/],
    ['list_files', { path: '/', limit: 1001 }, 'VALIDATION_ERROR', 'limit must be at most 1000'],
  ])('a refused call of %s with %j says why', async (name, args, code, message) => {
    const client = await running();
    fake.guest.files.contents.set('/bytes', Buffer.from([0xff, 0xfe]));
    const { isError, structuredContent } = await call(client, name, { vm_id: 'web', ...args });
    expect(isError).toBe(true);
    expect(structuredContent).toMatchObject({
      error: { code, message: typeof message === 'string' ? message : expect.stringMatching(message) },
    });
  });

  test('need the scope for commands, and a machine that runs', async () => {
    const client = await running();
    fake.guest.files.contents.set('/a', Buffer.from('secret'));
    const scopes = ['machines:read', 'machines:write'] as const;
    const { secret } = await fake.apiKeys.create(operator, { name: 'b', scopes, tenant: 'default' });
    const weak = await connect(secret);
    for (const name of ['read_file', 'list_files']) {
      const refused = await call(weak, name, { vm_id: 'web', path: '/a' });
      expect(refused.structuredContent, name).toMatchObject({ error: { code: 'FORBIDDEN' } });
    }
    await call(client, 'pause_vm', { vm_id: 'web' });
    expect(await read(client, {})).toMatchObject({ error: { code: 'CONFLICT' } });
  });

  test('of more than 1 MiB are refused', async () => {
    const content = 'A'.repeat(1_048_577);
    const answer = await call(await running(), 'write_file', { vm_id: 'web', path: '/x', content });
    expect(answer.structuredContent).toMatchObject({
      error: { code: 'VALIDATION_ERROR', message: expect.stringContaining('at most 1048576 bytes') },
    });
  });
});

describe('resources', () => {
  test('each machine and its console', async () => {
    const client = await connect();
    const { id } = await fake.machines.create('default', { name: 'web', vcpuCount: 1, memoryMib: 128 });
    await fake.machines.start('default', id);
    const uri = `flotilla://machines/${id}`;
    const { resources } = await client.listResources();
    expect(resources.map((each) => each.uri)).toEqual([uri, `${uri}/console`]);
    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual([
      'flotilla://machines/{id}',
      'flotilla://machines/{id}/console',
    ]);
    const [machine] = (await client.readResource({ uri })).contents;
    expect(JSON.parse((machine as { text: string }).text)).toMatchObject({ name: 'web', state: 'running' });
    const [console] = (await client.readResource({ uri: `${uri}/console` })).contents;
    expect(console).toMatchObject({ mimeType: 'text/plain', text: expect.any(String) });
  });

  test('pages of 100 machines', async () => {
    const client = await connect();
    for (let i = 0; i < 101; i += 1) {
      await fake.machines.create('default', { name: `m${i}`, vcpuCount: 1, memoryMib: 128 });
    }
    const first = await client.listResources();
    expect(first).toMatchObject({ nextCursor: '100' });
    expect(first.resources).toHaveLength(200);
    const rest = await client.listResources({ cursor: '100' });
    expect(rest.resources).toHaveLength(2);
    expect(rest.nextCursor).toBeUndefined();
  });

  test.each([
    ['flotilla://machines/nope', -32_002],
    ['flotilla://machines/nope/console', -32_002],
    ['flotilla://images/busybox', -32_002],
    ['file:///etc/passwd', -32_002],
    ['flotilla://machines/%ff', -32_602],
  ])('%s: error %d', async (uri, code) => {
    await expect((await connect()).readResource({ uri })).rejects.toMatchObject({ code });
  });
});

describe('the connection', () => {
  test.each([
    ['without a key', { Authorization: '' }, 401],
    ['with a wrong key', { Authorization: `Bearer hf_${'x'.repeat(32)}` }, 401],
    ['from a page of another origin', { Origin: 'https://evil.example' }, 403],
    ['that accepts no stream', { Accept: 'application/json' }, 406],
    ['of an unknown session', { 'Mcp-Session-Id': 'nope' }, 404],
  ])('a request %s: refused', async (_, headers, status) => {
    const response = await post(initialize, headers);
    expect(response.status).toBe(status);
    await response.body?.cancel();
  });

  test('a page of this daemon’s own origin may use it', async () => {
    const response = await post(initialize, { Origin: url });
    expect(response.status).toBe(200);
    await response.text();
  });

  test('a request without a session, a body that is not JSON, or one too large: refused', async () => {
    const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' };
    expect((await post(list)).status).toBe(400);
    expect((await post('x'.repeat(3 * 2 ** 20))).status).toBe(413);
    const headers = { Authorization: `Bearer ${testKey}`, 'Content-Type': 'application/json' };
    expect((await fetch(`${url}/mcp`, { method: 'POST', headers, body: '{' })).status).toBe(400);
    expect((await fetch(`${url}/mcp`, { method: 'PUT', headers, body: '{}' })).status).toBe(404);
    expect((await fetch(`${url}/mcp`, { method: 'HEAD', headers })).status).toBe(405);
  });

  test('another key cannot use a session', async () => {
    const response = await post(initialize);
    await response.text();
    const id = response.headers.get('mcp-session-id') ?? '';
    const { secret } = await fake.apiKeys.create(operator, { name: 'b', scopes: ['*'], tenant: 'b' });
    const list = { jsonrpc: '2.0', id: 2, method: 'tools/list' };
    const session = { 'Mcp-Session-Id': id };
    expect((await post(list, { ...session, Authorization: `Bearer ${secret}` })).status).toBe(404);
    expect((await post(list, session)).status).toBe(200);
  });

  test('a session ends when the client says so, and with its key', async () => {
    const made = await fake.apiKeys.create(operator, { name: 'b', scopes: ['*'], tenant: 'b' });
    const client = await connect(made.secret);
    const transport = client.transport as StreamableHTTPClientTransport;
    const { sessionId } = transport;
    await transport.terminateSession();
    const list = { jsonrpc: '2.0', id: 2, method: 'tools/list' };
    const headers = { Authorization: `Bearer ${made.secret}`, 'Mcp-Session-Id': sessionId ?? '' };
    expect((await post(list, headers)).status).toBe(404);
    const other = await connect(made.secret);
    await fake.apiKeys.revoke(operator, made.key.id);
    await expect(other.listTools()).rejects.toBeInstanceOf(StreamableHTTPError);
  });
});

describe('sessions', () => {
  const limits = { perHolder: 2, total: 3, idleMs: 1000, ageMs: 5000 };
  const callerOf = (tenant: string) => ({ ...operator, tenant, isOperator: false });
  let nowMs = 0;
  let sessions: McpSessions;
  beforeEach(() => {
    nowMs = 0;
    sessions = new McpSessions(fakeDeps(fake), tools, limits, () => nowMs);
  });
  const request = () =>
    new Request('http://x/mcp', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' },
      body: JSON.stringify(initialize),
    });

  test('end when they are idle or old', async () => {
    const one = await sessions.open(callerOf('a'));
    nowMs = 900;
    await (await sessions.handle(one, request(), initialize, () => undefined)).text();
    nowMs = 1800;
    expect(await sessions.find(callerOf('a'), one.id)).toBe(one);
    nowMs = 3000;
    await expect(sessions.find(callerOf('a'), one.id)).rejects.toMatchObject({ code: 'not_found' });
    const two = await sessions.open(callerOf('a'));
    for (nowMs = 3500; nowMs < 8000; nowMs += 500)
      await sessions.handle(two, request(), initialize, () => undefined);
    await expect(sessions.find(callerOf('a'), two.id)).resolves.toBe(two);
    nowMs = 8001;
    await expect(sessions.find(callerOf('a'), two.id)).rejects.toMatchObject({ code: 'not_found' });
    expect(sessions.count).toBe(0);
  });

  test('one more of a tenant replaces its longest idle one', async () => {
    const first = await sessions.open(callerOf('a'));
    const second = await sessions.open(callerOf('a'));
    await sessions.open(callerOf('a'));
    expect(sessions.count).toBe(2);
    await expect(sessions.find(callerOf('a'), first.id)).rejects.toMatchObject({ code: 'not_found' });
    expect(await sessions.find(callerOf('a'), second.id)).toBe(second);
  });

  test('are refused when all are in use, and one tenant’s never give way to another’s', async () => {
    for (const tenant of ['a', 'a', 'b']) {
      const session = await sessions.open(callerOf(tenant));
      // Its answer is not read, so that the session stays in use.
      await sessions.handle(session, request(), initialize, () => undefined);
    }
    await expect(sessions.open(callerOf('a'))).rejects.toMatchObject({ code: 'exhausted' });
    await expect(sessions.open(callerOf('c'))).rejects.toMatchObject({ code: 'exhausted' });
    expect(sessions.count).toBe(3);
  });
});
