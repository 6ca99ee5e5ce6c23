/** Commands with a log through the real guest agent, run outside a VM, and through guests that are older or lie. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { GuestTarget } from '../core/ports/guest.ts';
import type { LoggedCommand, LoggedRequest } from '../core/ports/guest-logged.ts';
import { GuestClient } from './client.ts';
import { encodeFrame } from './frames.ts';
import { encodeLine, parseLine, readLine } from './lines.ts';
import { frameTypes } from './protocol.ts';
import { FakeGuest, fakeHello } from './testing/fake-guest.ts';
import { GoPrograms, type RunningProgram } from './testing/go-programs.ts';
import { MemoryTransport } from './transports/memory.ts';
import { dialVirtioSerial } from './transports/virtio-serial.ts';

const never = new AbortController().signal;
const secret = Buffer.alloc(32, 3);

async function collect(command: LoggedCommand) {
  let output = '';
  for await (const event of command) {
    if (event.type === 'output') output += Buffer.from(event.data).toString();
    else return { output, ...(event.type === 'end' ? event.end : event) };
  }
  return { output };
}

describe('the real agent', () => {
  let programs: GoPrograms;
  let agent: RunningProgram;
  let client: GuestClient;
  let target: GuestTarget;
  let directory: string;

  beforeAll(async () => {
    programs = await GoPrograms.build('guest-agent');
  });
  afterAll(() => programs?.close());
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'logged-'));
    agent = await programs.start('guest-agent', (path) => ['serve', '--socket', path]);
    const address = { transport: 'virtio-serial' as const, path: agent.path };
    target = { machineId: 'm1', incarnation: 'i1', address };
    client = new GuestClient({ secret, transports: { 'virtio-serial': dialVirtioSerial } });
  });
  afterEach(async () => {
    await client.close();
    await agent.stop();
    await rm(directory, { recursive: true });
  });

  const start = (script: string, request: Partial<LoggedRequest> = {}, signal = never) =>
    client.logged.start(
      target,
      {
        argv: ['sh', '-c', script],
        log: { name: 'log', directories: [directory] },
        outputBytesMax: 1_000_000,
        ...request,
      },
      signal,
    );

  test('output comes in its order, and the end with what became of the log', async () => {
    const command = await start('echo $WHO; echo b >&2; exit 3', { env: { WHO: 'a' } });
    expect(command).toMatchObject({ logPath: join(directory, 'log'), pid: expect.any(Number) });
    expect(await collect(command)).toEqual({
      ...{ output: 'a\nb\n', outcome: 'exited', exitCode: 3, log: 'removed', isFull: false },
    });
    expect(existsSync(command.logPath)).toBe(false);
    const large = await start('head -c 3000000 /dev/zero | tr "\\0" x; kill -9 $$');
    const { output, ...end } = await collect(large);
    expect(output).toBe('x'.repeat(1_000_000));
    expect(end).toEqual({ outcome: 'signalled', signal: 'KILL', log: 'kept', isFull: false });
    expect((await readFile(large.logPath)).length).toBe(3_000_000);
  });

  test('a command that is let go, or detached, outlives its call and the link', async () => {
    const command = await start('echo begun; exec sleep 1000');
    while (!(await readFile(command.logPath, 'utf8')).includes('begun'));
    command.letGo();
    command.letGo();
    expect(await collect(command)).toMatchObject({ output: 'begun\n', outcome: 'running', log: 'kept' });
    const detached = await start('exec sleep 1000', {
      ...{ isDetached: true, log: { name: 'other', directories: [directory] } },
    });
    expect(await collect(detached)).toEqual({ output: '' });
    await client.release('i1');
    await client.waitReady(target, never);
    for (const { pid } of [command, detached]) expect(process.kill(pid, 'SIGKILL')).toBe(true);
  });

  test('a caller who leaves ends the command', async () => {
    const leaving = new AbortController();
    const command = await start('exec sleep 1000', {}, leaving.signal);
    leaving.abort(new Error('gone'));
    expect(await collect(command)).toMatchObject({ type: 'lost' });
    while (existsSync(command.logPath)) await client.waitReady(target, never);
    expect(() => process.kill(command.pid, 0)).toThrow('ESRCH');
  });

  test('what cannot be started is refused with its reason', async () => {
    await expect(start('true', { argv: ['/no/sh'] })).rejects.toMatchObject({ code: 'invalid' });
    const log = { name: 'log', directories: ['/nowhere'] };
    await expect(start('true', { log })).rejects.toMatchObject({
      ...{ code: 'invalid', message: 'no log can be written to any of: /nowhere' },
    });
  });
});

describe('another guest', () => {
  const address = { transport: 'memory' as const, key: 'm1' };
  const target: GuestTarget = { machineId: 'm1', incarnation: 'i1', address };
  const request: LoggedRequest = {
    ...{ argv: ['true'], log: { name: 'log', directories: ['/tmp'] }, outputBytesMax: 4 },
  };
  let client: GuestClient;
  afterEach(() => client.close());

  /** A guest that answers `start_logged` with this line and these frames. */
  function serve(answer: object, frames: readonly Buffer[] = [], features: readonly string[] = ['logged']) {
    const memory = new MemoryTransport();
    const guest = new FakeGuest({
      async serve(stream) {
        const { call } = parseLine((await readLine(stream)).line);
        const isHello = call === 'hello';
        await stream.write(encodeLine(isHello ? { ...fakeHello(null), features } : answer));
        if (!isHello) await stream.write(Buffer.concat(frames));
        if (isHello || frames.length > 0) stream.close(performance.now());
      },
    });
    memory.listen('m1', (end) => void guest.accept(end));
    const timings = { callMs: 200 };
    client = new GuestClient({ secret, transports: { memory: memory.dial }, timings });
  }
  const started = { ok: true, pid: 7, log: '/tmp/log' };
  const end = (words: object) => encodeFrame(frameTypes.outcome, Buffer.from(JSON.stringify(words)));
  const collected = async () => collect(await client.logged.start(target, request, never));

  test('an older agent: unsupported', async () => {
    serve(started, [], []);
    await expect(collected()).rejects.toMatchObject({ code: 'unsupported' });
  });

  test.each([
    ['without a pid', { ok: true, log: '/tmp/log' }],
    ['without a path', { ok: true, pid: 7, log: 'log' }],
  ])('an answer %s: guest', async (_, answer) => {
    serve(answer);
    await expect(collected()).rejects.toMatchObject({ code: 'guest' });
  });

  test.each([
    ['more output than asked', [encodeFrame(frameTypes.stdout, Buffer.from('12345'))]],
    ['another kind of frame', [encodeFrame(frameTypes.stderr, Buffer.from('x'))]],
    ['an end without what became of the log', [end({ outcome: 'exited', exit_code: 0 })]],
    ['no end', [encodeFrame(frameTypes.stdout, Buffer.from('1'))]],
  ])('%s: nobody knows how it ended', async (_, frames) => {
    serve(started, frames);
    expect(await collected()).toMatchObject({ type: 'lost', reason: expect.stringMatching(/guest/) });
  });

  test('one that does not let go in time: nobody knows', async () => {
    serve(started);
    const command = await client.logged.start(target, request, never);
    command.letGo();
    expect(await collect(command)).toMatchObject({ type: 'lost', reason: expect.stringContaining('let go') });
  });
});
