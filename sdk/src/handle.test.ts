import { expect, onTestFinished, test, vi } from 'vitest';
import { FlotillaClient } from './client.ts';
import { CommandError } from './handle.ts';
import { Machine } from './machine.ts';
import { bodyOf, sendJson, serve } from './testing/server.ts';

const b64 = (text: string) => Buffer.from(text).toString('base64');
const machine = { id: 'm1', name: 'web' };

/** A server with one machine; `asked` lists what it was asked for. */
async function machineServer({ startStatus = 200, lines = [] as readonly object[] } = {}) {
  const asked: [string, unknown][] = [];
  const server = await serve(async (request, response) => {
    const hasBody = request.headers['content-type'] !== undefined;
    asked.push([`${request.method} ${request.url}`, hasBody ? await bodyOf(request) : null]);
    if (request.url?.endsWith('/exec')) {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      return void response.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    }
    if (request.url?.endsWith('/start') && startStatus !== 200)
      return sendJson(response, startStatus, { error: { code: 'TIMEOUT', message: 'no answer' } });
    if (request.method === 'DELETE') return void response.writeHead(204).end();
    sendJson(response, 200, machine);
  });
  return { ...server, asked };
}

test('launches, runs, and removes the machine at the end of the block', async () => {
  const lines = [
    { type: 'stdout', offset: 0, data: b64('hel') },
    { type: 'stderr', offset: 0, data: b64('oops') },
    { type: 'stdout', offset: 3, data: b64('lo') },
    { type: 'outcome', outcome: 'exited', exit_code: 3 },
  ];
  await using server = await machineServer({ lines });
  const { machines } = new FlotillaClient({ url: server.url });
  const seen: string[] = [];
  {
    await using handle = await machines.launch({ image: 'busybox', name: 'web' });
    const result = await handle.run('echo hello', {
      env: { A: '1' },
      onStdout: (data) => seen.push(Buffer.from(data).toString()),
    });
    expect(result).toEqual({
      ...{ outcome: { outcome: 'exited', exit_code: 3 }, exitCode: 3, isTruncated: false },
      ...{ stdout: 'hello', stderr: 'oops' },
    });
  }
  expect(seen).toEqual(['hel', 'lo']);
  expect(server.asked).toEqual([
    ['POST /machines', { image: 'busybox', name: 'web', vcpu_count: 1, mem_size_mib: 512 }],
    ['POST /machines/m1/start', null],
    ['POST /machines/m1/exec', { command: ['sh', '-c', 'echo hello'], env: { A: '1' } }],
    ['DELETE /machines/m1?force=true', null],
  ]);
});

test('check throws what failed, with its output', async () => {
  const lines = [
    { type: 'stderr', offset: 0, data: b64('warning\nno such file\n') },
    { type: 'outcome', outcome: 'exited', exit_code: 2 },
  ];
  await using server = await machineServer({ lines });
  const handle = await new FlotillaClient({ url: server.url }).machines.handle('web');
  const failure = await handle.run('cat x', { check: true }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(CommandError);
  expect(failure).toMatchObject({
    message: 'the command exited with 2: no such file',
    result: { exitCode: 2, stderr: 'warning\nno such file\n' },
  });
  const done = [{ type: 'outcome', outcome: 'exited', exit_code: 0 }];
  await using good = await machineServer({ lines: done });
  const other = await new FlotillaClient({ url: good.url }).machines.handle('web');
  expect(await other.run('true', { check: true })).toMatchObject({ exitCode: 0 });
});

test.each([
  [{ outcome: 'signalled', signal: 'KILL', exit_code: 137 }, 'the command was ended by KILL'],
  [{ outcome: 'timed_out' }, 'the command took too long'],
  [{ outcome: 'unknown', reason: 'the machine has stopped' }, 'the command ended in a way that nobody knows'],
])('check: %j', async (outcome, message) => {
  await using server = await machineServer({ lines: [{ type: 'outcome', ...outcome }] });
  const handle = await new FlotillaClient({ url: server.url }).machines.handle('web');
  await expect(handle.run('x', { check: true })).rejects.toMatchObject({ message });
});

test('Machine takes the daemon and the key from the environment, or from its options', async () => {
  await using server = await machineServer({ lines: [] });
  vi.stubEnv('FLOTILLA_URL', server.url);
  onTestFinished(() => void vi.unstubAllEnvs());
  {
    await using made = await Machine.create({ image: 'busybox', name: 'web' });
    expect(made).toMatchObject({ id: 'm1', name: 'web' });
  }
  vi.stubEnv('FLOTILLA_URL', 'http://127.0.0.1:1');
  expect((await Machine.connect('web', { url: server.url })).id).toBe('m1');
  await expect(Machine.connect('web')).rejects.toMatchObject({ code: 'UNREACHABLE' });
  expect(server.asked.map(([request]) => request)).toEqual([
    'POST /machines',
    'POST /machines/m1/start',
    'DELETE /machines/m1?force=true',
    'GET /machines/web',
  ]);
});

test('a machine that does not start is removed, and the start says why', async () => {
  await using server = await machineServer({ startStatus: 504 });
  const { machines } = new FlotillaClient({ url: server.url });
  await expect(machines.launch({ image: 'busybox' })).rejects.toMatchObject({ message: 'no answer' });
  expect(server.asked.at(-1)?.[0]).toBe('DELETE /machines/m1?force=true');
});

test('a command that was lost is a result, too', async () => {
  await using server = await machineServer({ lines: [{ type: 'stdout', offset: 0, data: b64('half') }] });
  const { machines } = new FlotillaClient({ url: server.url });
  const handle = await machines.launch({});
  expect(await handle.run(['cat', '/x'])).toMatchObject({
    ...{ outcome: { outcome: 'unknown' }, exitCode: null, stdout: 'half' },
  });
});

test('snapshots and forks itself; a launch from a snapshot has its sizes', async () => {
  const asked: [string, unknown][] = [];
  await using server = await serve(async (request, response) => {
    const hasBody = request.headers['content-type'] !== undefined;
    asked.push([`${request.method} ${request.url}`, hasBody ? await bodyOf(request) : null]);
    if (!request.url?.endsWith('/fork')) return sendJson(response, 200, { id: 'm9', name: 'before' });
    const children = ['a-1', 'a-2'].map((name) => ({ name, machine: { id: name, name }, error: null }));
    sendJson(response, 201, { machines: children });
  });
  const { machines } = new FlotillaClient({ url: server.url });
  const handle = await machines.launch({
    name: 'web',
    source: { kind: 'snapshot', snapshot: 'before' },
  });
  expect(await handle.snapshot({ name: 'before' })).toMatchObject({ name: 'before' });
  const children = await handle.fork({ count: 2, name: 'a' });
  expect(children.map(({ id, name }) => [id, name])).toEqual([
    ['a-1', 'a-1'],
    ['a-2', 'a-2'],
  ]);
  expect(asked).toEqual([
    ['POST /machines', { name: 'web', source: { kind: 'snapshot', snapshot: 'before' } }],
    ['POST /machines/m9/start', null],
    ['POST /machines/m9/snapshots', { name: 'before' }],
    ['POST /machines/m9/fork', { count: 2, name: 'a' }],
  ]);
});

test('a fork of which one is missing is no fork: the others are removed', async () => {
  const removed: (string | undefined)[] = [];
  await using server = await serve(async (request, response) => {
    request.resume();
    if (request.method === 'DELETE') {
      removed.push(request.url);
      return void response.writeHead(204).end();
    }
    if (request.method === 'GET') return sendJson(response, 200, machine);
    const error = { code: 'GUEST_ERROR', message: 'The guest did not answer', retryable: true };
    const failed = { name: 'web-2', machine: { id: 'm3', name: 'web-2' }, error };
    const absent = { name: 'web-3', machine: null, error: { code: 'UNAVAILABLE', message: 'No space' } };
    const made = { name: 'web-1', machine: { id: 'm2', name: 'web-1' }, error: null };
    sendJson(response, 201, { machines: [made, failed, absent] });
  });
  const handle = await new FlotillaClient({ url: server.url }).machines.handle('web');
  await expect(handle.fork({ count: 3 })).rejects.toMatchObject({
    code: 'GUEST_ERROR',
    message: 'web-2: The guest did not answer',
    retryable: true,
  });
  expect(removed.sort()).toEqual(['/machines/m2?force=true', '/machines/m3?force=true']);
});
