/** An AI agent's work through MCP on a real guest: over HTTP, and over the standard streams of `flotilla mcp`. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { processesNaming, startTestHost, type TestHost } from '../support/host.ts';

vi.setConfig({ testTimeout: 300_000 });
const bootMs = 240_000;

let host: TestHost;
const clients: Client[] = [];
beforeAll(async () => {
  host = await startTestHost();
});
afterAll(async () => {
  for (const client of clients) await client.close();
  await host.close();
});

async function connect(transport: StdioClientTransport | StreamableHTTPClientTransport): Promise<Client> {
  const client = new Client({ name: 'agent', version: '1' });
  clients.push(client);
  await client.connect(transport);
  return client;
}

const overHttp = () =>
  new StreamableHTTPClientTransport(new URL('/mcp', host.url), {
    requestInit: { headers: { Authorization: `Bearer ${host.key}` } },
  });
const overStdio = () =>
  new StdioClientTransport({ command: './flotilla', args: ['mcp'], env: host.env as Record<string, string> });

async function call(client: Client, name: string, args: Record<string, unknown>) {
  const result = await client.callTool({ name, arguments: args }, undefined, { timeout: bootMs });
  expect(result.isError, JSON.stringify(result.content)).not.toBe(true);
  return result.structuredContent;
}

test('an agent runs Python in debian-12, with files in and out, and a start that it cancels leaves nothing', async () => {
  const client = await connect(overHttp());
  await call(client, 'create_vm', { name: 'snake', image: 'debian-12', memory_mb: 512 });
  const start = { name: 'start_vm', arguments: { vm_id: 'snake' } };
  const cancel = new AbortController();
  const cancelled = client.callTool(start, undefined, {
    ...{ timeout: bootMs, signal: cancel.signal },
    onprogress: ({ message }) => message === 'machine.start: ready' && cancel.abort('changed its mind'),
  });
  await expect(cancelled).rejects.toThrow('changed its mind');
  await host.client.machines.wait('snake', { status: 'stopped' });
  // The launch shim ends after its VMM, of which alone the machine's state speaks.
  await expect.poll(() => processesNaming(`${host.config.stateDir}/`)).toEqual([]);
  await client.callTool(start, undefined, { timeout: bootMs });

  const script = "import json\nnumbers = json.load(open('/data/in.json'))\nprint(sum(numbers))\n";
  const file = { vm_id: 'snake', path: '/data/in.json', content: '[1, 2, 39]' };
  expect(await call(client, 'write_file', file)).toMatchObject({ size: 10 });
  const program = {
    vm_id: 'snake',
    path: '/data/sum.py',
    content: `#!/usr/bin/python3\n${script}`,
    mode: '0755',
  };
  await call(client, 'write_file', program);
  const python = {
    vm_id: 'snake',
    language: 'python',
    code: `${script}open('/data/out', 'w').write('žluť')`,
  };
  expect(await call(client, 'execute_script', python)).toMatchObject({ success: true, stdout: '42\n' });
  const run = { vm_id: 'snake', command: ['/data/sum.py'] };
  expect(await call(client, 'execute_command', run)).toMatchObject({ exit_code: 0, stdout: '42\n' });
  const read = { vm_id: 'snake', path: '/data/out' };
  expect(await call(client, 'read_file', read)).toMatchObject({
    content: 'žluť',
    size: 6,
    next_offset: null,
  });
  const { entries } = (await call(client, 'list_files', { vm_id: 'snake', path: '/data' })) as {
    entries: { name: string; mode: string }[];
  };
  expect(entries.map(({ name, mode }) => `${mode} ${name}`)).toEqual([
    '0644 in.json',
    '0644 out',
    '0755 sum.py',
  ]);
  const wrong = await client.callTool({ name: 'execute_script', arguments: { ...python, code: 'x(' } });
  expect(wrong.structuredContent).toMatchObject({
    success: false,
    error: expect.stringContaining('SyntaxError'),
  });
  await call(client, 'stop_vm', { vm_id: 'snake' });
  expect(await call(client, 'delete_vm', { vm_id: 'snake' })).toMatchObject({ deleted: true });
});

test('one client makes a machine and writes a file in it; the other reads it and deletes the machine', async () => {
  const web = await connect(overHttp());
  const shell = await connect(overStdio());
  const steps: (string | undefined)[] = [];
  await call(web, 'create_vm', { name: 'agent', image: 'busybox' });
  const start = { name: 'start_vm', arguments: { vm_id: 'agent' } };
  await web.callTool(start, undefined, { timeout: bootMs, onprogress: ({ message }) => steps.push(message) });
  expect(steps).toContain('machine.start: ready');
  const code = 'echo "6 * 7 = $((6 * 7))" > /root/answer; cat /root/answer';
  expect(await call(web, 'execute_script', { vm_id: 'agent', language: 'sh', code })).toMatchObject({
    success: true,
    stdout: '6 * 7 = 42\n',
  });
  const read = { vm_id: 'agent', command: ['cat', '/root/answer'] };
  expect(await call(shell, 'execute_command', read)).toMatchObject({ exit_code: 0, stdout: '6 * 7 = 42\n' });
  const rhai = { vm_id: 'agent', language: 'rhai', code: 'vm_name + " is " + vm_status()' };
  expect(await call(shell, 'execute_script', rhai)).toMatchObject({ result: 'agent is running' });
  const { resources } = await shell.listResources();
  const console = resources.find(({ uri }) => uri.endsWith('/console'));
  const { contents } = await shell.readResource({ uri: console?.uri ?? '' });
  expect((contents[0] as { text: string }).text.length).toBeGreaterThan(0);
  await call(shell, 'stop_vm', { vm_id: 'agent' });
  expect(await call(shell, 'delete_vm', { vm_id: 'agent' })).toMatchObject({ deleted: true });
  expect((await web.listResources()).resources).toEqual([]);
});
