/**
 * HyperMachine's API on a daemon that runs as users run it, with real guests: the quickstart's examples as they are
 * printed, in development mode without and with a key and then with keys required; what agents do with the same
 * virtual machine; and the golden conversations that a guest can have.
 */
import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { readContract } from '../contract/document.ts';
import { readGolden } from '../golden/golden.contract.ts';
import { HostWorlds } from '../golden/host-worlds.ts';
import { replay } from '../golden/replay.ts';
import { type BridgeHost, makeBridgeHost } from '../support/bridge.ts';
import { type DaemonProcess, launchDaemon, makeStateDirectory } from '../support/daemon.ts';
import { type Example, readExamples } from '../support/examples.ts';
import { repository, runCommand } from '../support/host.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

type Answer = Readonly<Record<string, unknown>>;

const name = 'my-first-vm';
const toolNames = [
  ...['create_vm', 'list_vms', 'get_vm_status', 'start_vm', 'stop_vm', 'pause_vm', 'resume_vm', 'restart_vm'],
  ...['delete_vm', 'execute_script', 'execute_command', 'read_console', 'get_vm_metrics', 'list_images'],
];

let state: Awaited<ReturnType<typeof makeStateDirectory>>;
let daemon: DaemonProcess;
let bridge: BridgeHost;
let examples: readonly Example[];
/** The id that the quickstart's create has answered. */
let id = 'vm-abc123';

beforeAll(async () => {
  examples = await readExamples(join(repository, 'test/fixtures/quickstarts/hypermachine.md'));
  state = await makeStateDirectory();
  bridge = await makeBridgeHost();
  daemon = await launchDaemon(state.path, { ...bridge.env, DISABLE_AUTH: 'true' });
});
afterAll(async () => {
  await daemon.terminate();
  await state.remove();
  await bridge.close();
});

/** An example's code for this daemon and the virtual machine. */
function here(code: string): string {
  return code.replaceAll('http://localhost:8080', daemon.url).replaceAll('vm-abc123', id);
}

/** Runs a command of the quickstart; `key`: sent with it, though it is not printed. */
async function shell(code: string, key: string | null = null): Promise<Answer> {
  const command = here(code);
  const sent = key === null ? command : command.replace('curl ', `curl -H "Authorization: Bearer ${key}" `);
  const { exitCode, stdout, stderr } = await runCommand('sh', ['-c', sent], { env: process.env });
  expect(exitCode, stderr).toBe(0);
  return JSON.parse(stdout.toString()) as Answer;
}

const commandsOf = (page: readonly Example[]) => page.filter(({ language }) => language === 'sh');
const refused = (code: string) => ({ error: { code } });
const hasTools = (nameOf: (tool: Answer) => unknown) => (tools: readonly Answer[]) =>
  expect(tools.map(nameOf)).toEqual(expect.arrayContaining(toolNames));

/** What each example shows, by its heading; `isFirst`: when the virtual machine is not there yet. */
const shows: Readonly<Record<string, (answer: Answer, isFirst: boolean) => void>> = {
  'Verify the connection': (answer) =>
    expect(answer).toMatchObject({
      ...{ status: 'healthy', version: expect.any(String), uptime_seconds: expect.any(Number) },
    }),
  'Create a VM': (answer, isFirst) => {
    if (!isFirst) return expect(answer).toMatchObject(refused('CONFLICT'));
    expect(answer).toMatchObject({
      ...{ id: expect.stringMatching(/^vm-[a-z0-9]{12}$/), name, state: 'creating', disk_gb: 20 },
      ...{ created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/), image: 'debian-12' },
      image_note: expect.stringContaining('ubuntu-22.04'),
    });
    id = String(answer.id);
  },
  'Start it': (answer, isFirst) =>
    expect(answer).toMatchObject(
      isFirst ? { success: true, new_state: 'running' } : refused('INVALID_STATE'),
    ),
  'Check its status': (answer) =>
    expect(answer).toMatchObject({ id, name, state: 'running', cpus: 2, memory_mb: 2048, error: null }),
  'Execute a script': (answer) =>
    expect(answer).toMatchObject({ success: true, output: 'Hello from HyperMachine!\n', error: null }),
  OpenAI: ({ tools }) => hasTools((tool) => (tool.function as Answer).name)(tools as readonly Answer[]),
  Anthropic: ({ tools }) => hasTools((tool) => tool.name)(tools as readonly Answer[]),
  Gemini: (answer) => hasTools((tool) => tool.name)(answer.functionDeclarations as readonly Answer[]),
  Ontology: (answer) =>
    expect(answer).toMatchObject({ '@context': expect.any(Object), system: { api_base_url: '/api/v1' } }),
};

async function walk(isFirst: boolean, key: string | null = null): Promise<void> {
  for (const { heading, code } of commandsOf(examples)) {
    const check = shows[heading];
    if (check === undefined) throw new Error(`nobody says what '${heading}' shows`);
    check(await shell(code, key), isFirst);
  }
}

describe('the quickstart as it is printed', () => {
  test('without a key, in development mode', async () => {
    await walk(true);
  });

  test('with a key, in development mode, where none is looked at', async () => {
    await walk(false, daemon.key);
    await walk(false, 'anything');
  });

  const python = join(repository, '.toolchain/quickstarts');
  test.skipIf(!existsSync(join(python, 'installed')))(
    'its Python, with the providers’ own clients',
    async () => {
      const provider = await startProvider();
      const env = {
        ...{
          PATH: process.env.PATH,
          PYTHONDONTWRITEBYTECODE: '1',
          OPENAI_API_KEY: 'none',
          ANTHROPIC_API_KEY: 'none',
        },
        ...{ OPENAI_BASE_URL: `${provider.url}/openai`, ANTHROPIC_BASE_URL: `${provider.url}/anthropic` },
      };
      try {
        const programs = examples.filter(({ language }) => language === 'python');
        for (const { code } of programs) {
          const ended = await runCommand(join(python, 'bin/python'), ['-c', here(code)], { env });
          expect(ended.exitCode, ended.stderr).toBe(0);
        }
        expect(provider.asked.map(({ model }) => model)).toEqual(['gpt-4', 'claude-3-opus']);
        for (const { tools } of provider.asked)
          expect(tools).toHaveLength(provider.asked[0]?.tools.length ?? 0);
        const offered = await shell(`curl ${daemon.url}/agentic/tools/anthropic`);
        expect(provider.asked[1]?.tools).toEqual(offered.tools);
      } finally {
        await provider.close();
      }
    },
  );

  test('with keys required, on the same guest', async () => {
    await daemon.terminate();
    daemon = await launchDaemon(state.path, bridge.env);
    for (const { heading, code } of commandsOf(examples)) {
      const isOpen = heading === 'Verify the connection' || code.includes('/agentic/');
      const answer = await shell(code);
      if (isOpen) shows[heading]?.(answer, false);
      else expect(answer, heading).toMatchObject(refused('UNAUTHORIZED'));
    }
    await walk(false, daemon.key);
  });
});

interface Asked {
  readonly model: string;
  readonly tools: readonly unknown[];
}

/** A stand-in for the APIs of OpenAI and Anthropic, which keeps what it is asked. */
async function startProvider() {
  const asked: Asked[] = [];
  const server: Server = createServer(async (request, response) => {
    asked.push(JSON.parse(await text(request)));
    const answer = request.url?.startsWith('/openai')
      ? { id: 'x', object: 'chat.completion', created: 1, model: 'm', choices: [] }
      : { id: 'x', type: 'message', role: 'assistant', content: [], model: 'm', usage: {} };
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const address = server.address();
  const closed = () => {
    server.closeAllConnections();
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    server.close(() => end());
    return ended;
  };
  return { asked, url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, close: closed };
}

test('figures, a tool, and a plan that ends it', async () => {
  const ask = (method: string, path: string, body?: object) => {
    const sent = body === undefined ? '' : `-H 'Content-Type: application/json' -d '${JSON.stringify(body)}'`;
    return shell(`curl -sS -X ${method} ${daemon.url}${path} ${sent}`, daemon.key);
  };
  const metrics = await ask('GET', `/api/v1/vms/${id}/metrics`);
  expect(metrics).toMatchObject({ vcpu_count: 2, network_rx_bytes: expect.any(Number) });
  for (const figure of [
    'cpu_time_ms',
    'cpu_usage_percent',
    'memory_used_bytes',
    'memory_usage_percent',
    'disk_read_bytes',
  ])
    expect(metrics[figure], figure).toBeGreaterThan(0);
  const script = { language: 'bash', code: 'echo "$BASH_VERSION" | grep -q . && nproc' };
  expect(await ask('POST', `/api/v1/vms/${id}/script`, script)).toMatchObject({
    success: true,
    stdout: '2\n',
  });

  const command = { tool: 'execute_command', arguments: { vm_id: name, command: ['uname', '-s'] } };
  expect(await ask('POST', '/agentic/call', command)).toMatchObject({
    ...{ success: true, result: { stdout: 'Linux\n', exit_code: 0 } },
  });
  const steps = ['pause_vm', 'get_vm', 'resume_vm', 'stop_vm', 'delete_vm'].map((operation, index, all) => ({
    ...{ step_id: operation, operation_id: operation, parameters: { vm_id: id } },
    depends_on: all.slice(Math.max(0, index - 1), index),
  }));
  const executed = await ask('POST', '/agentic/plans/execute', { plan: { name: 'end', steps } });
  expect(executed).toMatchObject({ status: 'completed' });
  expect(executed.step_results).toMatchObject([
    { output: { state: 'paused' } },
    { output: { state: 'paused' } },
    { output: { state: 'running' } },
    { output: { state: 'stopped' } },
    { output: { deleted: true } },
  ]);
  expect(await ask('GET', `/api/v1/vms/${id}`)).toMatchObject({
    error: { code: 'VM_NOT_FOUND', message: `Virtual machine '${id}' not found`, details: {} },
  });
});

describe('the golden conversations, with real guests', () => {
  const contract = readContract('hypermachine');
  const files = readGolden(join(repository, 'src/http/dialects/hypermachine/golden')).filter(
    ({ conversation }) => conversation.onRealGuests,
  );
  let worlds: HostWorlds;
  beforeAll(async () => {
    worlds = await HostWorlds.of(daemon);
  });
  afterAll(() => worlds.close());

  test.each(files)('$path: $conversation.title', ({ conversation }) =>
    replay(conversation, worlds.open, { contract }),
  );
});
