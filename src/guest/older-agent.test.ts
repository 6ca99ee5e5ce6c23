/** A guest with an agent older than this daemon, as after an upgrade: a recorded agent of protocol 1. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ExecRequest, GuestTarget } from '../core/ports/guest.ts';
import { GuestClient } from './client.ts';
import { FakeGuest } from './testing/fake-guest.ts';
import { RecordedAgent } from './testing/recorded-agent.ts';
import { MemoryTransport } from './transports/memory.ts';

const never = new AbortController().signal;
const target: GuestTarget = {
  machineId: 'm1',
  incarnation: 'i1',
  address: { transport: 'memory', key: 'm1' },
};
const identity = { hostname: 'web', machineId: '0'.repeat(32) };

let agent: RecordedAgent;
let guest: FakeGuest;
let client: GuestClient;

beforeEach(() => {
  const memory = new MemoryTransport();
  agent = new RecordedAgent('agent-v1/calls.json');
  guest = new FakeGuest({ serve: agent.serve });
  memory.listen('m1', (end) => void guest.accept(end));
  client = new GuestClient({
    secret: Buffer.alloc(32, 7),
    transports: { memory: memory.dial },
    timings: { backoffMs: 1, backoffMaxMs: 5, linkWaitMs: 5_000, callMs: 5_000 },
  });
});
afterEach(() => client.close());

async function run(request: Partial<ExecRequest> & Pick<ExecRequest, 'argv'>, signal?: string) {
  const session = await client.exec(target, { timeoutMs: 30_000, ...request }, never);
  if (signal !== undefined) session.kill(signal);
  const result = { stdout: '', stderr: '', outcome: null as unknown };
  for await (const event of session) {
    if (event.type === 'outcome') result.outcome = event.outcome;
    else result[event.type] += Buffer.from(event.data).toString();
  }
  return result;
}

test('gets hello, identity and time in its own protocol', async () => {
  expect(await client.waitReady(target, never)).toMatchObject({
    agentVersion: '0.1.0',
    protocolVersion: 1,
    features: [],
    incarnation: null,
  });
  await client.identify(target, identity, never);
  await client.resync(target, identity, never);
  expect(await client.waitReady(target, never)).toMatchObject({ incarnation: 'i1' });
  expect(agent.made).toEqual(['hello before identify', 'identify', 'identify', 'hello']);
});

test('runs commands for a daemon that adopts it without a hello', async () => {
  expect(await run({ argv: ['sh', '-c', 'echo out; echo err >&2; exit 3'] })).toEqual({
    stdout: 'out\n',
    stderr: 'err\n',
    outcome: { outcome: 'exited', exitCode: 3 },
  });
  async function* input() {
    yield Buffer.from('fed\n');
  }
  expect(await run({ argv: ['cat'], stdin: input() })).toMatchObject({ stdout: 'fed\n' });
  expect(await run({ argv: ['no-such-program'] })).toMatchObject({
    outcome: { outcome: 'exited', exitCode: 127 },
  });
  expect(await run({ argv: ['sleep', '1000'], timeoutMs: 50 })).toMatchObject({
    outcome: { outcome: 'timed_out' },
  });
  await expect(run({ argv: ['true'], cwd: '/no/such' })).rejects.toMatchObject({
    code: 'invalid',
    message: 'no such directory: /no/such',
  });
});

test('gets signals as frames of its stream', async () => {
  const ended = await run({ argv: ['sleep', '1000'] }, 'TERM');
  expect(ended.outcome).toEqual({ outcome: 'signalled', signal: 'TERM' });
});

test('refuses more arguments than fit into its line', async () => {
  await expect(run({ argv: ['true', 'x'.repeat(65_536)] })).rejects.toMatchObject({ code: 'invalid' });
});

test('can be asked to power off', async () => {
  await client.shutdown(target, 8_000, never);
  expect(agent.made).toEqual(['shutdown']);
  expect(await guest.announce('poweroff')).toBe(true);
  expect(client.announcement('i1')).toBe('poweroff');
});

test('reports that it supports neither owned commands nor another token', async () => {
  const start = client.commands.start(target, { id: 'c1', argv: ['true'] }, never);
  await expect(start).rejects.toMatchObject({
    code: 'unsupported',
    message: 'the guest agent (0.1.0) has no commands',
  });
  await client.release('i1');
  const copy = { ...target, incarnation: 'i2' };
  await expect(client.rekey(copy, 'i1', never)).rejects.toMatchObject({ code: 'unsupported' });
  await expect(client.adopt(target, { ...identity, mac: null }, never)).rejects.toMatchObject({
    code: 'unsupported',
    message: 'the guest agent (0.1.0) cannot make a copy of its guest another machine',
  });
});
