/**
 * A machine made in one dialect is seen in all of them, each with its own word for the machine's state. One machine is
 * led through every stable state, and all views are compared there.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { MachineState } from '../../src/core/machines/states.ts';
import type { HttpServer } from '../../src/http/server.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../support/fake.ts';

/** The word for each state; null where the dialect does not show such a machine. */
interface Words {
  readonly flotilla: string;
  readonly hatch: string;
  readonly hypermachine: string;
  readonly ttstack: string;
}

const words: Readonly<Partial<Record<MachineState, Words>>> = {
  created: { flotilla: 'pending', hatch: 'stopped', hypermachine: 'created', ttstack: 'stopped' },
  running: { flotilla: 'running', hatch: 'running', hypermachine: 'running', ttstack: 'running' },
  paused: { flotilla: 'paused', hatch: 'stopped', hypermachine: 'paused', ttstack: 'paused' },
  stopped: { flotilla: 'stopped', hatch: 'stopped', hypermachine: 'stopped', ttstack: 'stopped' },
  failed: { flotilla: 'failed', hatch: 'error', hypermachine: 'error', ttstack: 'failed' },
};

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
beforeAll(async () => {
  fake = await startFake();
  fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
  ({ server, url } = await serveFake(fake));
});
afterAll(async () => {
  await server.close(0);
  await fake.close();
});

type Json = Readonly<Record<string, unknown>>;

async function ask(method: string, path: string, body?: object): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${testKey}`, ...(body ? { 'Content-Type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? null : JSON.parse(text) };
}

const get = async (path: string): Promise<Json> => (await ask('GET', path)).body as Json;

/** What each dialect says of the machine. */
async function views(id: string) {
  const flotilla = await get(`/machines/${id}`);
  const hatch = await get(`/vms/vm_${id}`);
  const hypermachine = await get(`/api/v1/vms/vm-${id}`);
  const ttstack = (await get(`/api/vms/${id}`)).data as Json;
  return {
    states: {
      flotilla: flotilla.status,
      hatch: hatch.state,
      hypermachine: hypermachine.state,
      ttstack: ttstack.state,
    },
    memory: [flotilla.mem_size_mib, hatch.mem_mib, hypermachine.memory_mb, ttstack.mem],
    cpus: [flotilla.vcpu_count, hatch.vcpu_count, hypermachine.cpus, ttstack.cpu],
  };
}

async function expectState(id: string, state: MachineState): Promise<void> {
  expect((await fake.machines.get('default', id)).state).toBe(state);
  const { states, memory, cpus } = await views(id);
  expect(states).toEqual(words[state]);
  expect([memory, cpus]).toEqual([Array(4).fill(512), Array(4).fill(2)]);
}

async function lead(id: string): Promise<void> {
  await expectState(id, 'created');
  await ask('POST', `/machines/${id}/start`);
  await expectState(id, 'running');
  await ask('POST', `/api/v1/vms/${id}/pause`);
  await expectState(id, 'paused');
  await ask('POST', `/api/v1/vms/vm-${id}/resume`);
  await expectState(id, 'running');
  await ask('POST', `/vms/vm_${id}/stop`);
  await expectState(id, 'stopped');
  fake.guest.onReady = () => Promise.reject(new AppError('guest', 'it never came up'));
  await ask('POST', `/machines/${id}/start`);
  fake.guest.onReady = async () => undefined;
  await expectState(id, 'failed');
}

test('a machine of our own API is the same in every dialect, in every state', async () => {
  const made = await ask('POST', '/machines', { name: 'ours', vcpu_count: 2, mem_size_mib: 512 });
  const { id } = made.body as { id: string };
  await lead(id);
  expect((await ask('DELETE', `/vms/vm_${id}`)).status).toBe(200);
  const gone = [`/machines/${id}`, `/vms/vm_${id}`, `/api/v1/vms/vm-${id}`, `/api/vms/${id}`];
  expect(await Promise.all(gone.map(async (path) => (await ask('GET', path)).status))).toEqual([
    404, 404, 404, 404,
  ]);
});

test('a machine of HyperMachine’s API is the same in every dialect, in every state', async () => {
  const made = await ask('POST', '/api/v1/vms', { name: 'theirs', cpus: 2, memory_mb: 512 });
  const { id } = made.body as { id: string };
  expect(id).toMatch(/^vm-/);
  await lead(id.slice('vm-'.length));
});

test('a machine of Hatch’s API is listed by all', async () => {
  const made = await ask('POST', '/vms', { vcpu_count: 2, mem_mib: 512 });
  const { id } = made.body as { id: string };
  expect([made.status, id]).toEqual([201, expect.stringMatching(/^vm_/)]);
  const bare = id.slice('vm_'.length);
  await expectState(bare, 'running');
  const lists = [
    ((await get('/machines')).machines as readonly Json[]).map((each) => each.id),
    ((await ask('GET', '/vms')).body as readonly Json[]).map((each) => String(each.id).slice('vm_'.length)),
    ((await get('/api/v1/vms')).vms as readonly Json[]).map((each) => String(each.id).slice('vm-'.length)),
  ];
  for (const ids of lists) expect(ids).toContain(bare);
});

test('machines of TTstack’s environments are seen by all', async () => {
  const vms = [{ image: 'busybox', cpu: 2, mem: 512, disk: 1024 }];
  const made = await ask('POST', '/api/envs', { id: 'one-truth', ssh_keys: [], vms });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  const [vm] = (made.body as { data: { vms: readonly Json[] } }).data.vms;
  await expectState(String(vm?.id), 'running');
});
