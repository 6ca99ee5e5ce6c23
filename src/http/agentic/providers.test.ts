/**
 * The documents of tools, given to the providers' own clients. Each client sends them to a server of this test, which
 * shows that it accepts them as they are; the compiler holds them against the clients' types.
 */
import { createServer, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import Anthropic from '@anthropic-ai/sdk';
import { type FunctionDeclaration, GoogleGenAI } from '@google/genai';
import { Ajv2020 } from 'ajv/dist/2020.js';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toolDocuments } from './tool-documents.ts';
import { tools } from './tools.ts';

const documents = toolDocuments(tools, '1.0');
/** As a client gets them over HTTP. */
const received = JSON.parse(JSON.stringify(documents)) as typeof documents;

const answers = [
  ['/openai', { id: 'x', object: 'chat.completion', created: 1, model: 'm', choices: [] }],
  ['/anthropic', { id: 'x', type: 'message', role: 'assistant', content: [], model: 'm', usage: {} }],
  ['/gemini', { candidates: [] }],
] as const;

let server: Server;
let url: string;
let sent: { readonly tools?: unknown };
beforeAll(async () => {
  server = createServer(async (request, response) => {
    sent = JSON.parse(await text(request));
    const answer = answers.find(([prefix]) => request.url?.startsWith(prefix))?.[1] ?? {};
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
});
afterAll(() => server.close());

const messages = [{ role: 'user' as const, content: 'List all running VMs' }];

test('OpenAI’s client sends them', async () => {
  const client = new OpenAI({ apiKey: 'none', baseURL: `${url}/openai`, maxRetries: 0 });
  const given: OpenAI.ChatCompletionTool[] = received.openai.tools.map(({ type, function: fn }) => ({
    type,
    function: { ...fn, parameters: { ...fn.parameters } },
  }));
  await client.chat.completions.create({ model: 'm', messages, tools: given });
  expect(sent.tools).toEqual(received.openai.tools);
});

test('Anthropic’s client sends them', async () => {
  const client = new Anthropic({ apiKey: 'none', baseURL: `${url}/anthropic`, maxRetries: 0 });
  const given: Anthropic.Tool[] = received.anthropic.tools.map((tool) => ({
    ...tool,
    input_schema: { ...tool.input_schema, required: [...(tool.input_schema.required ?? [])] },
  }));
  await client.messages.create({ model: 'm', max_tokens: 16, messages, tools: given });
  expect(sent.tools).toEqual(given);
});

test('Google’s client sends them', async () => {
  const client = new GoogleGenAI({ apiKey: 'none', httpOptions: { baseUrl: `${url}/gemini` } });
  const functionDeclarations: FunctionDeclaration[] = received.gemini.functionDeclarations.map((each) => ({
    ...each,
  }));
  await client.models.generateContent({
    model: 'm',
    contents: 'List all running VMs',
    config: { tools: [{ functionDeclarations }] },
  });
  expect(sent.tools).toEqual([{ functionDeclarations: received.gemini.functionDeclarations }]);
});

describe('every tool', () => {
  test.each(tools)(
    '$name has a name that all providers accept, and no other tool has it',
    ({ name, aliases }) => {
      const names = tools.flatMap((tool) => [tool.name, ...tool.aliases]);
      for (const each of [name, ...aliases]) {
        expect(each).toMatch(/^[a-zA-Z][a-zA-Z0-9_-]{0,63}$/);
        expect(names.filter((other) => other === each)).toHaveLength(1);
      }
    },
  );

  test.each(received.anthropic.tools)(
    '$name has a valid JSON Schema, whose examples fit',
    ({ input_schema }) => {
      const ajv = new Ajv2020({ strict: false });
      const validate = ajv.compile(input_schema);
      const examples = Object.entries(input_schema.properties).flatMap(([field, schema]) =>
        ((schema as { examples?: unknown[] }).examples ?? []).map((example) => [field, example] as const),
      );
      const rest = Object.fromEntries(
        (input_schema.required ?? []).map((field) => [field, field === 'command' ? ['ls'] : 'web']),
      );
      for (const [field, example] of examples)
        expect(validate({ ...rest, [field]: example }), `${field}: ${ajv.errorsText(validate.errors)}`).toBe(
          true,
        );
      expect(validate({ ...rest, unknown: 1 })).toBe(false);
    },
  );

  test('that the examples of HyperMachine call by name exists', () => {
    const names = [
      'create_vm',
      'list_vms',
      'start_vm',
      'stop_vm',
      'delete_vm',
      'get_vm_status',
      'execute_script',
    ];
    expect(tools.map(({ name }) => name)).toEqual(expect.arrayContaining(names));
  });

  test('describes every argument of its own', () => {
    const silent = received.anthropic.tools.flatMap(({ name, input_schema }) =>
      Object.entries(input_schema.properties)
        .filter(([, schema]) => typeof (schema as { description?: unknown }).description !== 'string')
        .map(([field]) => `${name}.${field}`),
    );
    expect(silent).toEqual([]);
  });
});
