/** The console of a real guest over HTTP, also after a restart of the daemon. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type DaemonProcess, makeStateDirectory, startDaemonProcess } from '../support/daemon.ts';

const waiting = { timeout: 60_000, interval: 200 };

let state: Awaited<ReturnType<typeof makeStateDirectory>>;
let daemon: DaemonProcess;
let key: string;

beforeAll(async () => {
  state = await makeStateDirectory();
  daemon = await startDaemonProcess(state.path);
  key = (await readFile(join(state.path, 'admin.key'), 'utf8')).trim();
  const spec = { name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' };
  await daemon.client.machines.create(spec);
});
afterAll(async () => {
  await daemon.client.machines.delete('web', { force: true });
  await daemon.terminate();
  await state.remove();
});

async function open(query = ''): Promise<Response> {
  const url = (await readFile(join(state.path, 'daemon.url'), 'utf8')).trim();
  const response = await fetch(`${url}/machines/web/console${query}`, {
    headers: { Authorization: `Bearer ${key}` },
  });
  expect(response.status).toBe(200);
  return response;
}
const consoleText = async (query = '') => (await open(query)).text();

/** Follows a console; the output is collected in `text`. */
function reading({ body }: Response) {
  if (!body) throw new Error('the answer has no body');
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  const more = async () => {
    const { done, value } = await reader.read();
    text += value ?? '';
    return !done;
  };
  return {
    /** Resolves when `wanted` was read; rejects when the console ends before. */
    async until(wanted: string): Promise<void> {
      while (!text.includes(wanted)) {
        if (!(await more())) throw new Error(`the console ended without ${wanted}: ${text}`);
      }
    },
    async toEnd(): Promise<string> {
      while (await more());
      return text;
    },
  };
}
const print = (word: string) =>
  daemon.client.machines.exec('web', { command: ['sh', '-c', `echo ${word} > /dev/console`] });

test('the console of a machine, from its first start until after its end', async () => {
  expect(await consoleText()).toBe('');
  await daemon.client.machines.start('web');
  expect(await consoleText('?lines=10000')).toMatch(/^\[ *\d+\.\d+\] /m);

  const following = reading(await open('?lines=1&follow=true'));
  await print('hello-one');
  await following.until('hello-one\r\n');

  await daemon.kill();
  await following.toEnd().catch(() => undefined);
  daemon = await startDaemonProcess(state.path);
  expect(await consoleText()).toContain('hello-one\r\n');

  const adopted = reading(await open('?lines=1&follow=true'));
  const left = reading(await open('?follow=true'));
  await print('hello-two');
  await adopted.until('hello-two\r\n');
  await left.until('hello-two\r\n');
  await daemon.client.machines.stop('web');
  const whole = await left.toEnd();
  expect((await adopted.toEnd()).split('hello-two\r\n')[1]).toBe(whole.split('hello-two\r\n')[1]);

  expect(await consoleText('?lines=10000')).toContain('hello-two\r\n');
  await daemon.terminate();
  daemon = await startDaemonProcess(state.path);
  expect(await consoleText('?lines=10000')).toContain('hello-two\r\n');
}, 300_000);

/** The console's file, which QEMU writes to without a daemon too. */
async function consoleFile(): Promise<string> {
  const [incarnation, ...others] = await readdir(join(state.path, 'run'));
  expect(others).toEqual([]);
  return await readFile(join(state.path, 'run', incarnation ?? '', 'console.log'), 'utf8');
}
const seen = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?:\[seen late, after ([^\]]+)\] )?(.*)\r$/;
/** Lines of the console with a counter: when they were seen, and after what time if late. */
async function counted(query = '') {
  const lines = (await consoleText(`?lines=10000&timestamps=true${query}`)).split('\n').slice(0, -1);
  return lines.flatMap((line) => {
    const [, at, after, text] = seen.exec(line) ?? [];
    if (at === undefined || text === undefined) throw new Error(`a line without a time: ${line}`);
    const count = /^count (\d+)$/.exec(text)?.[1];
    return count === undefined ? [] : [{ count: Number(count), at: Date.parse(at), after }];
  });
}

test('each line says when it was seen, and the previous boot stays', async () => {
  await daemon.client.machines.start('web');
  const startedMs = Date.now();
  const counter = 'i=0; while :; do i=$((i+1)); echo count $i > /dev/console; sleep 0.2; done';
  await startCommand(counter);
  await vi.waitFor(async () => expect((await counted()).length).toBeGreaterThan(5), waiting);
  await daemon.kill();
  const killedMs = Date.now();
  const before = (await consoleFile()).split('\n').length;
  // More than the time from which on a line counts as late.
  await vi.waitFor(async () => {
    expect((await consoleFile()).split('\n').length).toBeGreaterThan(before + 5);
    expect(Date.now() - killedMs).toBeGreaterThan(6_000);
  }, waiting);
  const restartedMs = Date.now();
  daemon = await startDaemonProcess(state.path);
  const lines = await counted();
  expect(lines.map(({ count }) => count)).toEqual(lines.map((_, index) => index + 1));
  const late = lines.filter(({ after }) => after !== undefined);
  expect(late.length).toBeGreaterThan(5);
  for (const { at, after } of late) {
    expect(at).toBeGreaterThanOrEqual(restartedMs);
    expect(Date.parse(after ?? '')).toBeGreaterThan(startedMs);
    expect(Date.parse(after ?? '')).toBeLessThanOrEqual(killedMs);
  }
  const [first] = lines;
  expect(first?.after).toBeUndefined();
  expect(first?.at).toBeGreaterThan(startedMs);
  expect(first?.at).toBeLessThan(killedMs);

  // A crash, its restart, and another daemon.
  await daemon.client.machines.exec('web', { command: ['sh', '-c', 'echo before the crash > /dev/console'] });
  process.kill(await vmmPid(), 'SIGKILL');
  await daemon.client.machines.wait('web', { status: 'failed' });
  expect(await consoleText('?lines=10000')).toContain('before the crash\r\n');
  await daemon.client.machines.start('web');
  expect(await consoleText('?lines=10000')).not.toContain('before the crash');
  const previous = await consoleText('?lines=10000&previous=true');
  expect(previous).toContain('before the crash\r\n');
  const times = await counted('&previous=true');
  expect(times.slice(0, lines.length)).toEqual(lines);
  await daemon.terminate();
  daemon = await startDaemonProcess(state.path);
  expect(await consoleText('?lines=10000&previous=true')).toBe(previous);
  expect(await counted('&previous=true')).toEqual(times);
}, 300_000);

/** Starts a command that outlives the daemon. */
async function startCommand(script: string): Promise<void> {
  const url = (await readFile(join(state.path, 'daemon.url'), 'utf8')).trim();
  const response = await fetch(`${url}/machines/web/exec`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ command: ['sh', '-c', script], detach: true }),
  });
  expect(response.ok).toBe(true);
}

async function vmmPid(): Promise<number> {
  const [incarnation] = await readdir(join(state.path, 'run'));
  const record = await readFile(join(state.path, 'run', incarnation ?? '', 'vmm.json'), 'utf8');
  return JSON.parse(record).pid;
}
