/** The guest agent's commands while their starter, and then the daemon, are killed and replaced. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { FlotillaClient } from '../../sdk/src/index.ts';
import { relay } from '../../sdk/src/testing/relay.ts';
import type { GuestClient } from '../../src/guest/client.ts';
import { StateLayout } from '../../src/storage/layout.ts';
import { type DaemonProcess, makeStateDirectory, startDaemonProcess } from '../support/daemon.ts';
import { repository } from '../support/host.ts';
import { commands, makeGuestClient, targetOf } from './owned-commands.ts';

vi.setConfig({ testTimeout: 400_000, hookTimeout: 400_000 });

const never = new AbortController().signal;
let directory: Awaited<ReturnType<typeof makeStateDirectory>>;
let daemon: DaemonProcess;
let incarnation: string;

beforeAll(async () => {
  directory = await makeStateDirectory();
  daemon = await startDaemonProcess(directory.path);
  const { id } = await daemon.client.machines.create({
    name: 'one',
    vcpu_count: 1,
    mem_size_mib: 128,
    image: 'busybox',
  });
  await daemon.client.machines.start(id);
  const [only] = await readdir(join(directory.path, 'run'));
  incarnation = only ?? '';
});

afterAll(async () => {
  await daemon.client.machines.delete('one', { force: true });
  await daemon.terminate();
  await directory.remove();
  // A killed daemon cannot remove the files of its engine probe.
  for (const name of await readdir(tmpdir()))
    if (name.startsWith('flotilla-probe-')) await rm(join(tmpdir(), name), { recursive: true });
});

/** Starts the commands in a process that holds the link, reads part of their output, and kills it. */
async function startAndBeKilled(): Promise<Readonly<Record<string, number>>> {
  const holder = spawn(process.execPath, [
    join(repository, 'test/crash/command-holder.ts'),
    directory.path,
    incarnation,
  ]);
  const exited = once(holder, 'exit');
  holder.stderr.pipe(process.stderr);
  const reported = Promise.race([
    once(createInterface(holder.stdout), 'line'),
    exited.then(([code]) => Promise.reject(new Error(`the holder ended with ${code}`))),
  ]);
  try {
    const [line] = await reported;
    return JSON.parse(String(line)) as Record<string, number>;
  } finally {
    holder.kill('SIGKILL');
    await exited;
  }
}

async function outputOf(client: GuestClient, id: string, offset: number) {
  const result = { stdout: '', stderr: '', lost: 0, outcome: null as unknown };
  const target = targetOf(new StateLayout(directory.path), incarnation);
  for await (const event of await client.commands.attach(target, id, offset, never)) {
    if (event.type === 'outcome') result.outcome = event.outcome;
    else if (event.type === 'lost') result.lost += event.bytes;
    else result[event.type] += Buffer.from(event.data).toString();
  }
  return result;
}

test('three commands outlive their starter and the daemon: all can be attached to again, with every byte and the right exit codes', async () => {
  await daemon.kill();
  const taken = await startAndBeKilled();
  // A daemon adopts the machine, runs its own command, and is also killed while it holds the link.
  daemon = await startDaemonProcess(directory.path);
  expect(await daemon.client.machines.exec('one', { command: ['echo', 'here'] })).toMatchObject({
    stdout: 'here\n',
  });
  await daemon.kill();

  const layout = new StateLayout(directory.path);
  const client = await makeGuestClient(layout);
  try {
    const target = targetOf(layout, incarnation);
    const listed = await client.commands.list(target, never);
    expect(listed.map(({ id, outcome }) => [id, outcome])).toEqual(commands.map(({ id }) => [id, null]));
    const go = await client.exec(target, { argv: ['touch', '/tmp/go'], timeoutMs: 30_000 }, never);
    for await (const event of go)
      if (event.type === 'outcome') expect(event.outcome).toEqual({ outcome: 'exited', exitCode: 0 });
    for (const { id, stdout, stderr, exitCode } of commands) {
      const offset = taken[id] ?? -1;
      expect(offset).toBeLessThan(stdout.length);
      expect(await outputOf(client, id, offset), id).toEqual({
        stdout: stdout.slice(offset),
        stderr,
        lost: 0,
        outcome: { outcome: 'exited', exitCode },
      });
      await client.commands.forget(target, id, never);
    }
    expect(await client.commands.list(target, never)).toEqual([]);
  } finally {
    await client.close();
  }
  daemon = await startDaemonProcess(directory.path);
});

const sh = async (script: string) => {
  const { stdout } = await daemon.client.machines.exec('one', { command: ['sh', '-c', script] });
  return stdout;
};

/** Sends a request about a command and returns what the answer tells. */
async function ask(method: string, path: string, body?: object, accept = 'application/json') {
  const answer = await fetch(`${daemon.url}/machines/one/${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${daemon.key}`,
      Accept: accept,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expect(answer.status, path).toBeLessThan(300);
  return answer;
}

interface Line {
  readonly type: string;
  readonly data?: string;
  readonly cursor?: number;
  readonly exit_code?: number;
}

/** Reads events until `isEnough`, then leaves. */
async function linesOf(answer: Response, isEnough: (lines: readonly Line[]) => boolean) {
  const lines: Line[] = [];
  const decoder = new TextDecoder();
  let text = '';
  // Leaving the loop cancels the body.
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    const whole = text.split('\n');
    text = whole.pop() ?? '';
    lines.push(...whole.map((line) => JSON.parse(line)));
    if (isEnough(lines)) break;
  }
  return lines;
}

const textOf = (lines: readonly Line[]) =>
  lines.map(({ data = '' }) => Buffer.from(data, 'base64').toString()).join('');

test('a detached counter outlives kill -9 of the daemon: attached to by its id, no number is missing or twice, and its exit code is true', async () => {
  const half = 'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo $i; done;';
  const script = `${half} read go; while [ $i -lt 4000 ]; do i=$((i+1)); echo $i; done; exit 42`;
  const request = { command: ['sh', '-c', script], detach: true, stdin_open: true };
  const { id } = (await (await ask('POST', 'exec', request)).json()) as { id: string };
  const ndjson = 'application/x-ndjson';
  const first = await linesOf(
    await ask('GET', `execs/${id}/output?follow=true`, undefined, ndjson),
    (lines) => textOf(lines).includes('\n1000\n'),
  );
  await daemon.kill();
  daemon = await startDaemonProcess(directory.path);
  expect(await (await ask('GET', `execs/${id}`)).json()).toMatchObject({ state: 'running', outcome: null });
  const rest = linesOf(
    await ask('GET', `execs/${id}/output?follow=true&from=${first.at(-1)?.cursor}`, undefined, ndjson),
    () => false,
  );
  const go = { method: 'POST', headers: { Authorization: `Bearer ${daemon.key}` }, body: 'go\n' };
  expect((await fetch(`${daemon.url}/machines/one/execs/${id}/stdin`, go)).status).toBe(204);
  const all = [...first, ...(await rest)];
  expect(textOf(all)).toBe(Array.from({ length: 4000 }, (_, i) => `${i + 1}\n`).join(''));
  expect(all.at(-1)).toMatchObject({ type: 'outcome', exit_code: 42 });
  expect(await (await ask('GET', `execs/${id}/wait`)).json()).toMatchObject({
    ...{ state: 'ended', outcome: 'exited', exit_code: 42 },
    stdout_bytes: textOf(all).length,
  });
  await ask('DELETE', `execs/${id}`);
});

test('a session over a WebSocket outlives kill -9 of the daemon: no byte of input or output is missing or twice', async () => {
  await using between = await relay(() => daemon.url);
  const { machines } = new FlotillaClient({ url: between.url, key: daemon.key });
  const session = await machines.terminal('one', { command: ['cat'], tty: false, timeout: 300 });
  const numbers = Array.from({ length: 20_000 }, (_, i) => `${i}\n`);
  const write = async () => {
    for (const [index, line] of numbers.entries()) {
      await session.write(line);
      if (index % 10_000 !== 5_000) continue;
      await daemon.kill();
      daemon = await startDaemonProcess(directory.path);
    }
    await session.endInput();
  };
  const writing = write();
  const decoder = new TextDecoder();
  let text = '';
  for await (const { data } of session) text += decoder.decode(data);
  await writing;
  expect(text).toBe(numbers.join(''));
  expect(await session.wait()).toEqual({ outcome: 'exited', exit_code: 0 });
});

test('a command has its own cgroup, and all its descendants are killed with it', async () => {
  expect(await sh('cat /proc/self/cgroup')).toMatch(/^0::\/flotilla\/\d+$/m);
  const runaway = 'setsid sh -c "(setsid sleep 4711 &)" & sleep 4711';
  await expect(
    daemon.client.machines.exec('one', { command: ['sh', '-c', runaway], timeout: 2 }),
  ).rejects.toMatchObject({ status: 504 });
  expect(await sh('ps | grep -c "[s]leep 4711"; true')).toBe('0\n');
});

test('the guest’s root propagates mounts', async () => {
  expect(await sh("grep ' / / ' /proc/self/mountinfo")).toMatch(/ shared:\d+ /);
});

test('the first process survives signals from other processes', async () => {
  await sh(
    'for s in HUP QUIT ILL TRAP ABRT BUS FPE SEGV PIPE ALRM STKFLT IO PROF SYS; do kill -s $s 1; done',
  );
  expect(await sh('echo alive')).toBe('alive\n');
});

test('a stop gives a program time to exit by itself', async () => {
  const layout = new StateLayout(directory.path);
  await daemon.terminate();
  const client = await makeGuestClient(layout);
  // Longer than the two seconds of a hasty guest, and well within the grace.
  const script = 'trap "sleep 3; echo saved > /saved; exit 0" TERM; echo ready; while :; do sleep 0.1; done';
  try {
    const target = targetOf(layout, incarnation);
    await client.commands.start(target, { id: 'saver', argv: ['sh', '-c', script] }, never);
    for await (const event of await client.commands.attach(target, 'saver', 0, never))
      if (event.type === 'stdout') break;
  } finally {
    await client.close();
  }
  daemon = await startDaemonProcess(directory.path);
  await daemon.client.machines.stop('one');
  await daemon.client.machines.start('one');
  expect(await sh('cat /saved')).toBe('saved\n');
});
