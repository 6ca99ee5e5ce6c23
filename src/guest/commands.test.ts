/** Commands of the real guest agent, run outside a VM: they outlive the link. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { GuestTarget } from '../core/ports/guest.ts';
import type { CommandEvent, CommandRequest } from '../core/ports/guest-commands.ts';
import { testGuestCommands } from '../core/testing/guest-commands.contract.ts';
import { GuestClient } from './client.ts';
import { GoPrograms, type RunningProgram } from './testing/go-programs.ts';
import { dialVirtioSerial } from './transports/virtio-serial.ts';

const never = new AbortController().signal;

let programs: GoPrograms;
let agent: RunningProgram;
let client: GuestClient;
let target: GuestTarget;

beforeAll(async () => {
  programs = await GoPrograms.build('guest-agent');
});
afterAll(() => programs?.close());
beforeEach(async () => {
  agent = await programs.start('guest-agent', (path) => ['serve', '--socket', path]);
  target = { machineId: 'm1', incarnation: 'i1', address: { transport: 'virtio-serial', path: agent.path } };
  client = new GuestClient({
    secret: Buffer.alloc(32, 3),
    transports: { 'virtio-serial': dialVirtioSerial },
  });
});
afterEach(async () => {
  await client.close();
  await agent.stop();
});

testGuestCommands(async () => ({ commands: client.commands, target }));

const start = (id: string, script: string, request: Partial<CommandRequest> = {}) =>
  client.commands.start(target, { id, argv: ['/bin/sh', '-c', script], ...request }, never);
const attach = (id: string, offset = 0) => client.commands.attach(target, id, offset, never);

async function collect(id: string, offset = 0) {
  const result = { stdout: '', stderr: '', lost: 0, outcome: null as unknown };
  let next = offset;
  for await (const event of await attach(id, offset)) {
    if (event.type === 'outcome') result.outcome = event.outcome;
    else if (event.type === 'lost') {
      result.lost += event.bytes;
      next += event.bytes;
    } else {
      expect(event.offset).toBe(next);
      next += event.data.length;
      result[event.type] += Buffer.from(event.data).toString();
    }
  }
  return result;
}

/** Reads events up to the first that `isLast`, then detaches. */
async function upTo(id: string, isLast: (event: CommandEvent) => boolean): Promise<void> {
  for await (const event of await attach(id)) if (isLast(event)) return;
}

test('starts a command, attaches to it twice and forgets it', async () => {
  expect((await start('c1', 'echo out; echo err >&2; exit 5')).pid).toBeGreaterThan(1);
  const whole = { stdout: 'out\n', stderr: 'err\n', lost: 0, outcome: { outcome: 'exited', exitCode: 5 } };
  expect(await collect('c1')).toEqual(whole);
  expect(await collect('c1', 2)).toMatchObject({ outcome: whole.outcome });
  expect(await client.commands.list(target, never)).toMatchObject([
    {
      ...{ id: 'c1', program: '/bin/sh', argc: 3, hasTerminal: false, outcome: whole.outcome },
      ...{ firstOffset: 0, nextOffset: 8, stdoutBytes: 4, stderrBytes: 4 },
      words: ['/bin/sh', '-c', 'echo out; echo err >&2; exit 5'],
      endedAtMs: expect.any(Number),
    },
  ]);
  expect((await attach('c1', 4)).bounds).toMatchObject({ firstOffset: 0, nextOffset: 8 });
  await client.commands.forget(target, 'c1', never);
  expect(await client.commands.list(target, never)).toEqual([]);
  await expect(attach('c1')).rejects.toMatchObject({ code: 'not_found' });
});

test('waits for a command without reading its output', async () => {
  await start('c1', 'read go; head -c 3000000 /dev/zero; exit 4', { hasStdin: true });
  const waiting = client.commands.wait(target, 'c1', never);
  const stop = new AbortController();
  const stopped = client.commands.wait(target, 'c1', stop.signal);
  stop.abort();
  await expect(stopped).rejects.toMatchObject({ code: 'timeout' });
  await client.commands.feed(target, 'c1', Buffer.from('go\n'), false, never);
  const outcome = { outcome: 'exited', exitCode: 4 };
  expect(await waiting).toEqual(outcome);
  expect(await client.commands.wait(target, 'c1', never)).toEqual(outcome);
  await expect(client.commands.signal(target, 'c1', 'TERM', never)).rejects.toMatchObject({
    code: 'conflict',
  });
});

test('a program that cannot be run is refused with the exit code of a shell', async () => {
  const argv = ['no-such-program'];
  await expect(client.commands.start(target, { id: 'c1', argv }, never)).rejects.toMatchObject({
    code: 'invalid',
    details: { exitCode: 127 },
  });
});

test('losing the link ends no command, and lost bytes are reported', async () => {
  await start('c1', 'read go; head -c 3000000 /dev/zero | tr "\\0" x; exit 7', { hasStdin: true });
  let taken = 0;
  const reading = (async () => {
    for await (const event of await attach('c1')) {
      if (event.type === 'stdout') taken += event.data.length;
      if (taken > 400_000) await client.release('i1');
    }
  })();
  await client.commands.feed(target, 'c1', Buffer.from('go\n'), false, never);
  await expect(reading).rejects.toMatchObject({ code: 'guest' });
  const { stdout, lost, outcome } = await collect('c1', taken);
  // More output than the ring holds followed the loss of the link; all missing bytes must be reported.
  expect(stdout.length + lost).toBe(3_000_000 - taken);
  expect(outcome).toEqual({ outcome: 'exited', exitCode: 7 });
});

test('a signal does not wait behind unread standard input', async () => {
  await start('c1', 'exec sleep 1000', { hasStdin: true });
  const stop = new AbortController();
  const feeding = client.commands.feed(target, 'c1', Buffer.alloc(4_000_000), false, stop.signal);
  feeding.catch(() => undefined);
  await client.commands.signal(target, 'c1', 'INT', never);
  expect(await collect('c1')).toMatchObject({ outcome: { outcome: 'signalled', signal: 'INT' } });
  stop.abort();
});

test('neither does a signal for a command of exec', async () => {
  async function* endless() {
    for (;;) yield Buffer.alloc(65_536);
  }
  const session = await client.exec(
    target,
    { argv: ['sleep', '1000'], timeoutMs: 30_000, stdin: endless() },
    never,
  );
  session.kill('INT');
  const events = [];
  for await (const event of session) events.push(event);
  expect(events).toEqual([{ type: 'outcome', outcome: { outcome: 'signalled', signal: 'INT' } }]);
});

test('standard input arrives in pieces and ends', async () => {
  await start('c1', 'cat', { hasStdin: true });
  await client.commands.feed(target, 'c1', Buffer.from('one '), false, never);
  await client.commands.feed(target, 'c1', Buffer.alloc(200_000, 'y'), false, never);
  await client.commands.feed(target, 'c1', Buffer.from(' end'), true, never);
  expect(await collect('c1')).toMatchObject({ stdout: `one ${'y'.repeat(200_000)} end`, lost: 0 });
  const late = client.commands.feed(target, 'c1', Buffer.from('x'), false, never);
  await expect(late).rejects.toMatchObject({ code: 'conflict' });
});

test('a slow reader slows the command down and loses nothing', async () => {
  await start('c1', 'read go; head -c 2000000 /dev/zero', { hasStdin: true, bufferBytes: 131_200 });
  const output = await attach('c1');
  await client.commands.feed(target, 'c1', Buffer.from('go\n'), true, never);
  let bytes = 0;
  for await (const event of output) {
    if (event.type === 'lost') expect.fail('bytes are lost');
    if (event.type === 'stdout') bytes += event.data.length;
    const [info] = await client.commands.list(target, never);
    expect((info?.nextOffset ?? 0) - bytes).toBeLessThanOrEqual(131_200 + 65_536);
  }
  expect(bytes).toBe(2_000_000);
});

test('many small writes to both outputs do not block it', async () => {
  const script = 'i=0; while [ $i -lt 2000 ]; do echo o; echo e >&2; i=$((i+1)); done';
  await start('c1', script, { bufferBytes: 131_200 });
  const { stdout, stderr, lost, outcome } = await collect('c1');
  expect(stdout.length + stderr.length + lost).toBe(8_000);
  expect(outcome).toEqual({ outcome: 'exited', exitCode: 0 });
});

test('a terminal has a size that can be changed', async () => {
  const script = 'stty size; trap "stty size; exit 0" WINCH; echo ready; while :; do sleep 0.05; done';
  await start('c1', script, { terminal: { rows: 24, columns: 80 } });
  let seen = '';
  await upTo('c1', (event) => {
    if (event.type === 'stdout') seen += Buffer.from(event.data).toString();
    return seen.includes('ready');
  });
  await client.commands.resize(target, 'c1', { rows: 40, columns: 100 }, never);
  expect((await collect('c1')).stdout).toBe('24 80\r\nready\r\n40 100\r\n');
});

test.each<readonly [string, string, () => Promise<unknown>]>([
  ['an id twice', 'conflict', () => start('taken', 'true')],
  ['a bad id', 'invalid', () => start('a b', 'true')],
  ['no program', 'invalid', () => client.commands.start(target, { id: 'x', argv: [] }, never)],
  [
    'a missing program',
    'invalid',
    () => client.commands.start(target, { id: 'x', argv: ['no-such'] }, never),
  ],
  ['a missing directory', 'invalid', () => start('x', 'true', { cwd: '/no/such' })],
  ['a signal that is none', 'invalid', () => client.commands.signal(target, 'taken', 'KILL; rm', never)],
  ['a signal to nobody', 'not_found', () => client.commands.signal(target, 'nobody', 'TERM', never)],
  ['an offset ahead of the output', 'invalid', () => attach('taken', 100)],
  ['an offset that is none', 'invalid', () => attach('taken', -1)],
  [
    'a size without a terminal',
    'conflict',
    () => client.commands.resize(target, 'taken', { rows: 1, columns: 1 }, never),
  ],
  [
    'input that it does not take',
    'conflict',
    () => client.commands.feed(target, 'taken', Buffer.of(1), false, never),
  ],
])('refuses %s', async (_what, code, act) => {
  await start('taken', 'exec sleep 1000');
  await expect(act()).rejects.toMatchObject({ code });
});

test('accepts arguments and environment up to the kernel’s limit, and refuses larger ones', async () => {
  const words = Array.from({ length: 10 }, () => 'a'.repeat(100_000));
  const big = await client.exec(
    target,
    { argv: ['sh', '-c', 'echo $#', 'sh', ...words], env: { BIG: 'b'.repeat(100_000) }, timeoutMs: 30_000 },
    never,
  );
  const events = [];
  for await (const event of big) events.push(event.type === 'stdout' ? String(event.data) : event);
  expect(events).toEqual(['10\n', { type: 'outcome', outcome: { outcome: 'exited', exitCode: 0 } }]);
  const tooMany = client.exec(
    target,
    { argv: ['true', ...Array(30).fill('a'.repeat(100_000))], timeoutMs: 30_000 },
    never,
  );
  await expect(tooMany).rejects.toMatchObject({
    code: 'invalid',
    message: expect.stringMatching(
      /larger than the guest's kernel takes: \d+ bytes in all, .* 131071 in one/,
    ),
  });
});

test('the longest argument that a kernel takes arrives whole, whatever its characters; a longer one is refused with its length', async () => {
  for (const word of ['"'.repeat(131_071), 'é'.repeat(65_535), '\u0001\n'.repeat(65_535)]) {
    const argv = ['sh', '-c', 'printf %s "$1" | wc -c; printf %s "$WORD" | wc -c', 'sh', word];
    const env = { WORD: word.slice(0, 65_000) };
    const events = [];
    for await (const event of await client.exec(target, { argv, env, timeoutMs: 30_000 }, never))
      events.push(event.type === 'stdout' ? String(event.data) : event);
    expect(events.at(-1)).toMatchObject({ outcome: { outcome: 'exited', exitCode: 0 } });
    expect(events.slice(0, -1).join('')).toBe(`${Buffer.byteLength(word)}\n${Buffer.byteLength(env.WORD)}\n`);
  }
  for (const [request, message] of [
    [
      { argv: ['true', 'é'.repeat(65_536)] },
      'argument 1 is 131072 bytes long; a kernel takes at most 131071',
    ],
    [
      { argv: ['true'], env: { WORD: 'a'.repeat(131_067) } },
      'the environment variable WORD with its value is 131072 bytes long; a kernel takes at most 131071',
    ],
  ] as const)
    await expect(client.exec(target, { ...request, timeoutMs: 30_000 }, never)).rejects.toMatchObject({
      code: 'invalid',
      message,
    });
});
