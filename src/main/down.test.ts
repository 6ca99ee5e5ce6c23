import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { FlotillaClient } from '../../sdk/src/index.ts';
import { readConfig } from './config.ts';
import { down, stopMachines } from './down.ts';

const exitCodeBefore = process.exitCode;
afterEach(() => {
  process.exitCode = exitCodeBefore;
  vi.restoreAllMocks();
});

/** A daemon of these machines that lists at most two on a page. */
function daemonOf(machines: { readonly id: string; readonly name: string; status: string }[]) {
  const fail = (status: number, message: string) =>
    Response.json({ error: { code: 'X', message } }, { status });
  return new FlotillaClient({
    url: 'http://daemon',
    fetch: async (address) => {
      const { pathname, searchParams } = new URL(address);
      const [, , id, verb] = pathname.split('/');
      if (id === undefined) {
        const found = machines.filter(({ status }) => status === searchParams.get('status'));
        const offset = Number(searchParams.get('offset'));
        return Response.json({ machines: found.slice(offset, offset + 2), total: found.length });
      }
      const machine = machines.find((each) => each.id === id);
      if (!machine) return fail(404, 'gone');
      if (verb !== 'stop') return Response.json(machine);
      if (machine.id === 'stuck') return fail(500, 'it\u001b does not');
      const wasLive = machine.id !== 'ended' && machine.id !== 'restoring';
      machine.status = machine.id === 'restoring' ? 'suspended' : 'stopped';
      return wasLive ? Response.json(machine) : fail(400, "Cannot stop machine in 'stopped' state");
    },
  });
}

test('stops running, starting and paused machines of all pages', async () => {
  const machines = ['running', 'running', 'running', 'starting', 'paused', 'stopped', 'failed'].map(
    (status, index) => ({ id: `m${index}`, name: `n${index}`, status }),
  );
  const told: string[] = [];
  expect(await stopMachines(daemonOf(machines), (text) => told.push(text))).toBe(true);
  expect(told.sort()).toEqual(['n0', 'n1', 'n2', 'n3', 'n4'].map((name) => `Stopped ${name}`));
  expect(machines.at(-1)?.status).toBe('failed');
});

test('a machine that ended by itself counts as stopped, also one whose restoring was cancelled; one that does not stop is a failure, printed without escape sequences', async () => {
  const told: string[] = [];
  const machines = [
    { id: 'ended', name: 'a', status: 'running' },
    { id: 'restoring', name: 'c', status: 'starting' },
    { id: 'stuck', name: 'b\u009b2J', status: 'running' },
  ];
  expect(await stopMachines(daemonOf(machines), (text) => told.push(text))).toBe(false);
  expect(told.sort()).toEqual(['Could not stop b\ufffd2J: it\ufffd does not', 'Stopped a', 'Stopped c']);
});

test('without a daemon, stopping machines fails and stopping the daemon succeeds', async () => {
  const written: unknown[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(text) > 0);
  const stateDir = await mkdtemp(join(tmpdir(), 'f-'));
  try {
    const config = readConfig({ FLOTILLA_STATE_DIR: stateDir });
    process.exitCode = 0;
    await down(config, { stopMachines: false });
    expect(process.exitCode).toBe(0);
    await down(config, { stopMachines: true });
    expect(process.exitCode).toBe(1);
    expect(written).toContainEqual(expect.stringContaining('No daemon answers'));
  } finally {
    await rm(stateDir, { recursive: true });
  }
});
