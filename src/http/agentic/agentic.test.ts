/**
 * What `/agentic` says, held against what the server does: every tool in the documents runs, every operation that a state
 * offers works in it and no other does, and the documents agree with each other. On a real server with fakes.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { World } from '../../../test/golden/conversation.ts';
import type { OpenWorld } from '../../../test/golden/replay.ts';
import { openWorld } from '../../../test/golden/world.ts';
import { type Scope, scopes } from '../../core/keys/caller.ts';
import { vmStates } from '../dialects/hypermachine/schema.ts';
import type { affordances } from './affordances.ts';
import type { agentCard, pluginManifest } from './manifests.ts';
import type { ontology } from './ontology.ts';
import type { ToolDocuments } from './tool-documents.ts';
import { tools } from './tools.ts';

type GivenState = World['machines'][number]['state'];

let world: OpenWorld | null = null;
afterEach(async () => {
  await world?.close();
  world = null;
});

/** A machine `web` in this state, and a key of each scope under its last word. */
async function open(state: GivenState | null = null): Promise<void> {
  const machines = state === null ? [] : [{ as: 'web', state, vcpu_count: 1, mem_size_mib: 256 }];
  const keys = scopes.filter((each) => each !== '*').map((scope) => ({ as: wordOf(scope), scopes: [scope] }));
  world = await openWorld({ machines, keys, environments: [] });
}

const wordOf = (scope: Scope) => scope.replace('machines:', '');

interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly body: T;
}

async function ask<T = Record<string, unknown>>(
  method: string,
  path: string,
  body?: unknown,
  key = 'key',
): Promise<Answer<T>> {
  if (world === null) throw new Error('there is no server yet');
  const answer = await fetch(`${world.url}${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${world.captures.get(key)}`,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as T };
}

const call = (tool: string, args: object = {}, key?: string) =>
  ask('POST', '/agentic/call', { tool, arguments: args }, key);

/** Calls that all succeed in this order, with a tool each; `web` is made by the first one. */
const story: readonly (readonly [tool: string, args: object, result: object])[] = [
  ['create_vm', { name: 'web', memory_mb: 512, disk_gb: 1 }, { name: 'web', state: 'creating' }],
  ['list_vms', {}, { total: 1, vms: [{ name: 'web' }] }],
  ['get_vm_status', { vm_id: 'web' }, { state: 'created' }],
  ['start_vm', { vm_id: 'web' }, { new_state: 'running' }],
  ['get_vm_metrics', { vm_id: 'web' }, { state: 'running', cpu_time_ms: 1500 }],
  ['execute_script', { vm_id: 'web', language: 'sh', code: 'true' }, { success: true, exit_code: 0 }],
  ['execute_command', { vm_id: 'web', command: ['true'] }, { success: true, exit_code: 0 }],
  ['write_file', { vm_id: 'web', path: '/srv/a', content: 'hello' }, { size: 5 }],
  ['read_file', { vm_id: 'web', path: '/srv/a' }, { content: 'hello', next_offset: null }],
  ['list_files', { vm_id: 'web', path: '/srv' }, { entries: [{ name: 'a', size: 5 }] }],
  ['read_console', { vm_id: 'web' }, { console: '' }],
  ['list_images', {}, { total: 2 }],
  ['create_snapshot', { vm_id: 'web', name: 'moment' }, { name: 'moment', has_memory: true }],
  ['list_snapshots', { vm_id: 'web' }, { total: 1, snapshots: [{ name: 'moment', status: 'ready' }] }],
  ['fork_vm', { vm_id: 'web', name: 'twin' }, { vms: [{ name: 'twin-1', state: 'running', error: null }] }],
  ['restore_snapshot', { snapshot: 'moment' }, { name: 'web', state: 'running' }],
  ['delete_snapshot', { snapshot: 'moment' }, { snapshot: 'moment', deleted: true }],
  ['pause_vm', { vm_id: 'web' }, { new_state: 'paused' }],
  ['resume_vm', { vm_id: 'web' }, { new_state: 'running' }],
  ['restart_vm', { vm_id: 'web' }, { new_state: 'running' }],
  ['stop_vm', { vm_id: 'web' }, { new_state: 'stopped' }],
  ['delete_vm', { vm_id: 'web' }, { deleted: true }],
];
const argsOf = (name: string) => story.find(([tool]) => tool === name)?.[1];

describe('every tool', () => {
  test('is in the story of these tests', () => {
    expect(story.map(([tool]) => tool).toSorted()).toEqual(tools.map(({ name }) => name).toSorted());
  });

  test('runs by POST /agentic/call, under each of its names; one that only reads changes nothing', async () => {
    await open();
    const everything = async () => [await ask('GET', '/machines'), await ask('GET', '/api/v1/operations')];
    for (const [name, args, result] of story) {
      const tool = tools.find((each) => each.name === name);
      const before = await everything();
      for (const word of [name, ...(tool?.aliases ?? [])]) {
        const { status, body } = await call(word, args);
        expect([status, body], word).toMatchObject([200, { success: true, tool: word, result, error: null }]);
      }
      if (tool?.isReadOnly) expect(await everything(), name).toEqual(before);
    }
    expect(tools.filter(({ isReadOnly, aliases }) => aliases.length > 0 && !isReadOnly)).toEqual([]);
  });

  test('needs its scope, and no other one', async () => {
    await open();
    for (const { name, scope } of tools) {
      for (const other of scopes.filter((each) => each !== '*')) {
        const { status } = await call(name, { ...argsOf(name), unknown: 1 }, wordOf(other));
        // Refused for its arguments: the scope was accepted.
        expect(status, `${name} with ${other}`).toBe(other === scope ? 400 : 403);
      }
    }
  });

  test('can be a step of a plan', async () => {
    await open();
    const steps = story.map(([operation_id, parameters]) => ({
      step_id: operation_id,
      operation_id,
      parameters,
    }));
    const plan = { name: 'all', steps, rollback_on_failure: true };
    const { body } = await ask('POST', '/agentic/plans/validate', plan);
    expect(body).toMatchObject({ valid: true, errors: [] });
    const lasting = tools.filter(({ isReadOnly, canUndo }) => !isReadOnly && !canUndo);
    expect(body.warnings).toHaveLength(lasting.length);
    const executed = await ask('POST', '/agentic/plans/execute', { plan });
    expect(executed.body).toMatchObject({ status: 'completed', rolled_back_steps: [] });
    expect((executed.body.step_results as readonly object[]).length).toBe(story.length);
  });
});

type Affordances = ReturnType<typeof affordances>;
/** The requests of the operations that a state may forbid. */
const attempts: Readonly<Record<string, readonly [method: string, path: string, body?: object]>> = {
  start_vm: ['POST', '/start'],
  stop_vm: ['POST', '/stop'],
  pause_vm: ['POST', '/pause'],
  resume_vm: ['POST', '/resume'],
  restart_vm: ['POST', '/restart'],
  execute_script: ['POST', '/script', { language: 'sh', code: 'true' }],
  delete_vm: ['DELETE', ''],
};
/** The state of machines that each word mostly stands for. */
const givenOf: Readonly<Record<(typeof vmStates)[number], GivenState>> = {
  creating: 'creating',
  created: 'created',
  starting: 'starting',
  running: 'running',
  paused: 'paused',
  stopping: 'stopping',
  stopped: 'stopped',
  error: 'failed',
};
const offered = async (state: string) =>
  (await ask<Affordances>('GET', `/agentic/affordances/vm/${state}`)).body;
const attempt = ([method, path, body]: readonly [string, string, object?]) =>
  ask(method, `/api/v1/vms/web${path}`, body);

describe.each(vmStates)('in the state %s', (state) => {
  test('each offered operation works, and leads where it is said to lead', async () => {
    await open(givenOf[state]);
    const { available_operations, possible_transitions } = await offered(state);
    const ids = available_operations.map(({ operation_id }) => operation_id);
    expect(ids).toEqual(expect.arrayContaining(['get_vm', 'get_metrics']));
    for (const id of ids) {
      if (attempts[id] === undefined) continue;
      await world?.close();
      await open(givenOf[state]);
      const { status, body } = await attempt(attempts[id]);
      expect(status, `${id}: ${JSON.stringify(body)}`).toBe(200);
      const targets = possible_transitions
        .filter(({ trigger_operation }) => trigger_operation === id)
        .map(({ target_state }) => target_state);
      if (typeof body.new_state !== 'string') continue;
      expect(targets, id).toHaveLength(1);
      const further = (await offered(targets[0] ?? '')).possible_transitions
        .filter(({ trigger_operation }) => trigger_operation === 'auto')
        .map(({ target_state }) => target_state);
      expect([...targets, ...further], id).toContain(body.new_state);
    }
  });

  test('no other operation works', async () => {
    await open(givenOf[state]);
    const ids = (await offered(state)).available_operations.map(({ operation_id }) => operation_id);
    for (const [id, request] of Object.entries(attempts)) {
      if (ids.includes(id)) continue;
      const { status, body } = await attempt(request);
      expect([status, body], id).toMatchObject([
        409,
        { error: { code: 'INVALID_STATE', details: { state } } },
      ]);
    }
    expect((await ask('GET', '/api/v1/vms/web')).body.state).toBe(state);
  });
});

describe('the documents', () => {
  type Ontology = ReturnType<typeof ontology>;

  test('all name the tools of the table', async () => {
    await open();
    const names = tools.map(({ name }) => name);
    const openai = (await ask<ToolDocuments['openai']>('GET', '/agentic/tools/openai')).body;
    const anthropic = (await ask<ToolDocuments['anthropic']>('GET', '/agentic/tools/anthropic')).body;
    const gemini = (await ask<ToolDocuments['gemini']>('GET', '/agentic/tools/gemini')).body;
    const card = (await ask<ReturnType<typeof agentCard>>('GET', '/.well-known/agent.json')).body;
    expect(openai.tools.map((tool) => tool.function.name)).toEqual(names);
    expect(anthropic.tools.map(({ name }) => name)).toEqual(names);
    expect(gemini.functionDeclarations.map(({ name }) => name)).toEqual(names);
    expect(card.skills.map(({ id }) => id)).toEqual(names);
  });

  test('are the same every time, and from every server', async () => {
    const paths = [
      ...['openai', 'anthropic', 'gemini'].map((name) => `/agentic/tools/${name}`),
      ...['/agentic/ontology', '/.well-known/ai-plugin.json', '/.well-known/agent.json'],
    ];
    const all = () => Promise.all(paths.map(async (path) => (await ask('GET', path)).body));
    await open();
    const first = await all();
    expect(await all()).toEqual(first);
    await world?.close();
    await open('running');
    expect(await all()).toEqual(first);
  });

  test('the ontology speaks of operations and states that there are', async () => {
    await open();
    const { body } = await ask<Ontology>('GET', '/agentic/ontology');
    const ids = body.operations.map(({ id }) => id);
    const callable = tools.flatMap(({ name, aliases }) => [name, ...aliases]);
    expect(callable).toEqual(expect.arrayContaining(ids));
    expect(body.capabilities.flatMap(({ operations }) => operations).toSorted()).toEqual(ids.toSorted());
    const [machine] = body.state_machines;
    expect(machine?.states.map(({ name }) => name)).toEqual(vmStates);
    for (const { from_state, to_state, trigger_operation } of machine?.transitions ?? []) {
      expect(vmStates).toEqual(expect.arrayContaining([from_state, to_state]));
      expect(['auto', ...ids]).toContain(trigger_operation);
    }
  });

  test('the plugin’s manifest leads to the document that the docs have', async () => {
    await open();
    const { api } = (await ask<ReturnType<typeof pluginManifest>>('GET', '/.well-known/ai-plugin.json')).body;
    const yaml = await fetch(`${world?.url}${api.url}`);
    expect(yaml.headers.get('content-type')).toBe('application/yaml');
    expect(parse(await yaml.text())).toEqual((await ask('GET', '/docs/json?dialect=hypermachine')).body);
  });
});
