/**
 * Every example of docs/agents.md, as it is printed there but for the daemon's address and the key: settings of
 * clients are read and connected with, programs are run against a stand-in for the provider of the model.
 */
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import type { Caller } from '../../src/core/keys/caller.ts';
import type { HttpServer } from '../../src/http/server.ts';
import { type Example, readExamples } from '../support/examples.ts';
import { type FakeFlotilla, serveFake, startFake } from '../support/fake.ts';
import { repository, runCommand } from '../support/host.ts';

let examples: readonly Example[];
beforeAll(async () => {
  examples = await readExamples(join(repository, 'docs/agents.md'));
});

const operatorCaller: Caller = {
  ...{ tenant: 'default', keyName: 'admin', keyId: null, expiresAt: null },
  ...{ scopes: ['*'], tier: null, isOperator: true },
};

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let key: string;
let directory: string;
const clients: Client[] = [];
beforeEach(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake));
  const scopes = ['machines:read', 'machines:write', 'machines:exec'] as const;
  key = (await fake.apiKeys.create(operatorCaller, { name: 'my-agent', scopes, tenant: 'default' })).secret;
  directory = await mkdtemp(join(tmpdir(), 'agents-'));
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await rm(directory, { recursive: true });
  await server.close(0);
  await fake.close();
});

/** The examples below a heading, with this daemon's address and key. */
function examplesOf(heading: string): readonly string[] {
  return examples
    .filter((example) => example.heading === heading)
    .map(({ code }) =>
      code
        .replaceAll('http://127.0.0.1:3000', url)
        .replaceAll('https://flotilla.example', url)
        .replaceAll('/path/to/flotilla', join(repository, 'flotilla'))
        .replace(/\bKEY(?=["'])/g, key),
    );
}

async function connect(transport: StdioClientTransport | StreamableHTTPClientTransport): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' });
  clients.push(client);
  await client.connect(transport);
  return client;
}

function overHttp(address: string, headers: Readonly<Record<string, string>>) {
  return connect(
    new StreamableHTTPClientTransport(new URL(address), { requestInit: { headers: { ...headers } } }),
  );
}

async function makesMachine(client: Client): Promise<void> {
  await client.callTool({ name: 'create_vm', arguments: { name: 'web' } });
  expect((await fake.machines.get('default', 'web')).state).toBe('created');
}

test('every example is one that a test runs', () => {
  const counts = Object.entries(Object.groupBy(examples, ({ heading }) => heading)).map(
    ([heading, all = []]) => `${heading}: ${all.map(({ language }) => language).join(' ')}`,
  );
  expect(counts).toEqual([
    '# AI agents: sh',
    'Claude Code: sh',
    'Claude Desktop: json',
    'Cursor: json',
    'OpenAI: js js',
    'LangChain: js',
  ]);
});

test('the key', async () => {
  const [command = ''] = examplesOf('# AI agents');
  const program = join(repository, 'flotilla');
  const { secret } = await fake.apiKeys.create(operatorCaller, {
    name: 'maker',
    scopes: ['*'],
    tenant: 'default',
  });
  const env = { ...process.env, FLOTILLA_URL: url, FLOTILLA_KEY: secret, FLOTILLA_STATE_DIR: directory };
  const made = await runCommand('sh', ['-c', command.replace('flotilla', program)], { env });
  expect(made, made.stderr).toMatchObject({ exitCode: 0 });
  await makesMachine(
    await overHttp(`${url}/mcp`, { Authorization: `Bearer ${made.stdout.toString().trim()}` }),
  );
});

test('Claude Code', async () => {
  const [command = ''] = examplesOf('Claude Code');
  // A stand-in that prints its arguments, as `sh` gives them to it.
  const program = join(directory, 'claude');
  await writeFile(program, '#!/bin/sh\nprintf "%s\\n" "$@"\n');
  await chmod(program, 0o755);
  const { stdout } = await runCommand('sh', ['-c', command], {
    env: { PATH: `${directory}:${process.env.PATH}` },
  });
  const [mcp, add, option, transport, name, address = '', flag, header = ''] = stdout.toString().split('\n');
  expect([mcp, add, option, transport, name, flag]).toEqual([
    ...['mcp', 'add', '--transport', 'http', 'flotilla', '--header'],
  ]);
  const [field = '', value = ''] = header.split(': ');
  await makesMachine(await overHttp(address, { [field]: value }));
});

test('Claude Desktop', async () => {
  const [settings = ''] = examplesOf('Claude Desktop');
  const started = z.strictObject({
    command: z.string(),
    args: z.array(z.string()),
    env: z.record(z.string(), z.string()),
  });
  const { flotilla } = z
    .strictObject({ mcpServers: z.strictObject({ flotilla: started }) })
    .parse(JSON.parse(settings)).mcpServers;
  const { PATH = '' } = process.env;
  await makesMachine(
    await connect(
      new StdioClientTransport({ ...flotilla, env: { PATH, ...flotilla.env }, stderr: 'ignore' }),
    ),
  );
});

test('Cursor', async () => {
  const [settings = ''] = examplesOf('Cursor');
  const remote = z.strictObject({ url: z.string(), headers: z.record(z.string(), z.string()) });
  const { flotilla } = z
    .strictObject({ mcpServers: z.strictObject({ flotilla: remote }) })
    .parse(JSON.parse(settings)).mcpServers;
  await makesMachine(await overHttp(flotilla.url, flotilla.headers));
});

const parameters = z.looseObject({ type: z.literal('object') });
/** What the stand-in for OpenAI's API is asked: chat completions, or responses with functions or with an MCP server. */
const asked = z.object({
  messages: z.array(z.looseObject({ role: z.string(), content: z.unknown() })).optional(),
  input: z.union([z.string(), z.array(z.looseObject({ output: z.unknown().optional() }))]).optional(),
  tools: z.array(
    z.union([
      z.strictObject({
        type: z.literal('function'),
        function: z.looseObject({ name: z.string(), parameters }),
      }),
      z.object({ type: z.literal('function'), name: z.string(), parameters }),
      z.strictObject({
        ...{ type: z.literal('mcp'), server_label: z.string(), server_url: z.string() },
        ...{ headers: z.record(z.string(), z.string()), require_approval: z.literal('never') },
      }),
    ]),
  ),
});
type Asked = z.infer<typeof asked>;

/** Answers like a model that calls create_vm for `web` once, and then says what came of it. */
async function answer({ messages, input = [], tools }: Asked): Promise<object> {
  const [first] = tools;
  if (first?.type === 'mcp') {
    await makesMachine(await overHttp(first.server_url, first.headers));
    return responseOf(saying('Done by the provider.'));
  }
  const names = tools.map((tool) =>
    'function' in tool ? tool.function.name : 'name' in tool ? tool.name : '',
  );
  expect(names).toContain('create_vm');
  const call = { name: 'create_vm', arguments: '{"name":"web"}' };
  if (messages === undefined) {
    const result = typeof input === 'string' ? undefined : input.find(({ output }) => output !== undefined);
    if (result !== undefined)
      return responseOf(saying(`The model has read ${JSON.stringify(result.output)}`));
    return responseOf({ type: 'function_call', id: 'f1', call_id: 'c1', status: 'completed', ...call });
  }
  const message = {
    role: 'assistant',
    content: null,
    tool_calls: [{ id: 'c1', type: 'function', function: call }],
  };
  return { id: 'x', object: 'chat.completion', created: 1, model: 'gpt-5', choices: [{ index: 0, message }] };
}

function saying(words: string) {
  const content = [{ type: 'output_text', text: words, annotations: [] }];
  return { type: 'message', id: 'm1', role: 'assistant', status: 'completed', content };
}

function responseOf(item: object) {
  // Clients treat answers of one id as versions of one message.
  return { id: `r_${randomUUID()}`, object: 'response', model: 'gpt-5', status: 'completed', output: [item] };
}

let provider: Server;
let failure: unknown = null;
beforeAll(async () => {
  provider = createServer(async (request, response) => {
    try {
      const body = await answer(asked.parse(JSON.parse(await text(request))));
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    } catch (error) {
      failure = error;
      response.writeHead(400, { 'Content-Type': 'application/json' }).end('{"error":{"message":"refused"}}');
    }
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  provider.listen(0, '127.0.0.1', resolve);
  await promise;
});
afterAll(() => provider.close());

/** Runs a program that speaks to the stand-in for OpenAI's API; returns what it printed. */
async function run(code: string): Promise<string> {
  const address = provider.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const env = {
    ...{ PATH: process.env.PATH, HOME: directory, OPENAI_API_KEY: 'none' },
    OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`,
  };
  failure = null;
  const ended = await runCommand(process.execPath, ['--input-type=module', '-e', code], { env });
  if (failure !== null) throw failure;
  expect(ended.exitCode, ended.stderr).toBe(0);
  return ended.stdout.toString();
}

test('OpenAI calls the daemon', async () => {
  const [code = ''] = examplesOf('OpenAI');
  expect(await run(code)).toBe('Done by the provider.\n');
});

test('OpenAI’s calls are made by the program', async () => {
  const [, code = ''] = examplesOf('OpenAI');
  expect(await run(code)).toContain("tool: 'create_vm'");
  expect((await fake.machines.get('default', 'web')).state).toBe('created');
});

test('LangChain', async () => {
  const [code = ''] = examplesOf('LangChain');
  expect(await run(code)).toMatch(/^The model has read .*vm-/);
  expect((await fake.machines.get('default', 'web')).state).toBe('created');
});
