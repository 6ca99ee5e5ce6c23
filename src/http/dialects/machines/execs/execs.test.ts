/** Commands as a resource over HTTP, on the fake guest: detached and streamed ones, their output, and what ends them. */
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../../test/support/fake.ts';
import { AppError } from '../../../../core/errors.ts';
import type { FakeCommand } from '../../../../core/testing/fake-commands.ts';
import type { HttpServer } from '../../../server.ts';

const ndjson = 'application/x-ndjson';
const exited = (exitCode: number) => ({ outcome: 'exited', exitCode }) as const;
let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let id: string;
/** The latest command. */
let command: FakeCommand;

beforeEach(async () => {
  fake = await startFake();
  fake.guest.commands.program = (started) => {
    command = started;
  };
  ({ server, url } = await serveFake(fake));
  const created = await call('POST', '/machines', { name: 'web', vcpu_count: 1, mem_size_mib: 128 });
  ({ id } = (await created.json()) as { id: string });
  await call('POST', `/machines/${id}/start`);
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

interface Extra {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

const call = (method: string, path: string, body?: unknown, { headers = {}, signal }: Extra = {}) =>
  fetch(`${url}${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${testKey}`,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
const exec = (body: object, extra?: Extra) =>
  call('POST', `/machines/${id}/exec`, { command: ['x'], ...body }, extra);
const detach = async (body = {}) => {
  const answer = await exec({ detach: true, ...body });
  expect(answer.status).toBe(201);
  return (await answer.json()) as { id: string; machine_id: string; pid: number };
};
const of = (eid: string, rest = '') => `/machines/${id}/execs/${eid}${rest}`;
const json = async (answer: Promise<Response>) => (await answer).json();
const lines = (body: string) =>
  body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('a detached command', () => {
  test('answers with its id at once, and has no time limit unless one is asked for', async () => {
    const started = await detach();
    expect(started).toEqual({
      id: expect.stringMatching(/^[a-z0-9]{12}$/),
      machine_id: id,
      pid: command.pid,
    });
    expect(command.request).not.toHaveProperty('timeoutMs');
    expect(command.outcome).toBeNull();
    await detach({ timeout: 100_000_000, cwd: '/tmp', user: 'me', env: { A: 'b' } });
    expect(command.request).toMatchObject({
      ...{ timeoutMs: 86_400_000, cwd: '/tmp', user: 'me', env: { A: 'b' }, argv: ['x'] },
    });
  });

  test('tells where it is', async () => {
    const answer = await exec({ detach: true });
    const { id: eid } = (await answer.json()) as { id: string };
    expect(answer.headers.get('location')).toBe(of(eid));
  });

  test('is listed and shown until it is deleted, and then has ended', async () => {
    const { id: eid } = await detach({ command: ['make', 'all'] });
    const shown = {
      ...{ id: eid, machine_id: id, pid: command.pid, state: 'running', command: ['make', 'all'] },
      ...{ command_truncated: false, tty: false, started_at: expect.any(String), ended_at: null },
      ...{ outcome: null, exit_code: null, signal: null, reason: null },
      ...{ stdout_bytes: 0, stderr_bytes: 0, first_cursor: 0, next_cursor: 0 },
    };
    expect(await json(call('GET', `/machines/web/execs`))).toEqual({ execs: [shown] });
    command.write('stdout', 'out');
    command.write('stderr', 'er');
    command.end({ outcome: 'signalled', signal: 'TERM' });
    expect(await json(call('GET', of(eid)))).toEqual({
      ...{ ...shown, state: 'ended', ended_at: expect.any(String), outcome: 'signalled', exit_code: 143 },
      ...{ signal: 'TERM', stdout_bytes: 3, stderr_bytes: 2, next_cursor: 5 },
    });
    const other = await detach();
    expect((await call('DELETE', of(other.id))).status).toBe(204);
    expect(command.outcome).toEqual({ outcome: 'signalled', signal: 'KILL' });
    expect((await call('DELETE', of(other.id))).status).toBe(404);
  });

  test('gets its input, signals and terminal sizes', async () => {
    const got: string[] = [];
    fake.guest.commands.program = (started) => {
      command = started;
      command.onInput = (data) => got.push(Buffer.from(data).toString());
      command.onInputEnd = () => got.push('end');
    };
    const { id: eid } = await detach({ stdin: 'b25l', stdin_open: true, tty: { rows: 50 } });
    expect(command.request).toMatchObject({ terminal: { rows: 50, columns: 80 }, hasStdin: true });
    const feed = (query: string, body: string) =>
      fetch(`${url}${of(eid, `/stdin${query}`)}`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${testKey}`, 'Content-Type': 'application/octet-stream' },
        body,
      });
    expect((await feed('', 'two')).status).toBe(204);
    expect((await call('POST', of(eid, '/stdin?end=true'))).status).toBe(204);
    expect(got).toEqual(['one', 'two', 'end']);
    expect((await feed('', 'late')).status).toBe(409);
    expect((await call('POST', of(eid, '/resize'), { rows: 5, columns: 7 })).status).toBe(204);
    expect(command.size).toEqual({ rows: 5, columns: 7 });
    expect((await call('POST', of(eid, '/signal'), { signal: 'SIGUSR1' })).status).toBe(204);
    expect((await call('POST', of(eid, '/signal'), { signal: 'INT' })).status).toBe(204);
    expect(command.signals).toEqual(['USR1', 'INT']);
    expect((await call('POST', of(eid, '/signal'), { signal: 'TERM' })).status).toBe(409);
    await detach();
    expect((await call('POST', of(command.request.id, '/resize'), { rows: 5, columns: 7 })).status).toBe(409);
  });

  test('is waited for', async () => {
    const { id: eid } = await detach();
    expect((await call('GET', of(eid, '/wait?timeout=1'))).status).toBe(504);
    const waiting = json(call('GET', of(eid, '/wait')));
    command.end(exited(3));
    expect(await waiting).toMatchObject({ id: eid, state: 'ended', outcome: 'exited', exit_code: 3 });
  });

  test('a program that cannot be run is refused', async () => {
    const refusal = new AppError('invalid', 'x: not found', { details: { exitCode: 127 } });
    fake.guest.commands.failures.set('start', refusal);
    const answer = await exec({ detach: true });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({
      error: { message: 'x: not found', details: { exit_code: 127 } },
    });
  });

  test('the error about a start whose answer was lost names the id', async () => {
    fake.guest.commands.failures.set('start', new AppError('guest', 'lost', { isMaybeDone: true }));
    const answer = await exec({ detach: true });
    expect(answer.status).toBe(502);
    expect(await answer.json()).toMatchObject({
      error: { retryable: false, details: { exec_id: expect.stringMatching(/^[a-z0-9]{12}$/) } },
    });
  });
});

describe('output', () => {
  beforeEach(async () => {
    await detach();
    command.write('stdout', 'one ');
    command.write('stderr', 'two ');
  });
  const output = (query: string, headers: Record<string, string> = {}) =>
    call('GET', of(command.request.id, `/output${query}`), undefined, { headers });

  test('as bytes, with the cursor to continue with', async () => {
    const first = await output('');
    expect(first.headers.get('content-type')).toBe('application/octet-stream');
    expect([first.headers.get('x-output-next'), first.headers.get('x-exec-state')]).toEqual(['8', 'running']);
    expect(await first.text()).toBe('one two ');
    expect(await (await output('?stream=stderr')).text()).toBe('two ');
    command.write('stdout', 'three');
    command.end(exited(0));
    const rest = await output('?from=8');
    expect([rest.headers.get('x-output-next'), rest.headers.get('x-exec-state')]).toEqual(['13', 'ended']);
    expect(await rest.text()).toBe('three');
    const head = await fetch(`${url}${of(command.request.id, '/output?follow=true')}`, {
      method: 'HEAD',
      headers: { Authorization: `Bearer ${testKey}` },
    });
    expect(head.status).toBe(200);
    expect(command.readers).toBe(0);
  });

  test('as lines of JSON', async () => {
    const answer = await output('', { Accept: ndjson });
    expect(answer.headers.get('content-type')).toBe(ndjson);
    expect(lines(await answer.text())).toEqual([
      { type: 'stdout', offset: 0, data: 'b25lIA==', cursor: 4 },
      { type: 'stderr', offset: 0, data: 'dHdvIA==', cursor: 8 },
      { type: 'caught_up', cursor: 8 },
    ]);
  });

  test('as server-sent events, whose ids are cursors to continue with', async () => {
    const answer = output('?follow=true', { Accept: 'text/event-stream', 'Last-Event-ID': '4' });
    command.end(exited(0));
    expect(await (await answer).text()).toBe(
      [
        'event: stderr\nid: 8\ndata: {"type":"stderr","offset":0,"data":"dHdvIA==","cursor":8}\n\n',
        'event: outcome\ndata: {"type":"outcome","outcome":"exited","exit_code":0,"signal":null,"reason":null}\n\n',
      ].join(''),
    );
    expect(await (await output('?from=6', { 'Last-Event-ID': '4' })).text()).toBe('o ');
  });

  test('a cursor that has expired is 410, and names the first one that is kept', async () => {
    command.write('stdout', Buffer.alloc(2 * 1024 * 1024));
    const expired = await output('?from=1');
    expect(expired.status).toBe(410);
    expect(await expired.json()).toMatchObject({
      error: {
        code: 'CURSOR_EXPIRED',
        retryable: false,
        details: { from: 1, first_cursor: 1024 * 1024 + 8 },
      },
    });
    expect((await output('?from=999999999')).status).toBe(400);
  });

  test('a client that leaves makes room, and the command goes on', async () => {
    const leave = new AbortController();
    const answer = await call('GET', of(command.request.id, '/output?follow=true'), undefined, {
      signal: leave.signal,
    });
    await answer.body?.getReader().read();
    expect(command.readers).toBe(1);
    leave.abort();
    await expect.poll(() => command.readers).toBe(0);
    expect(command.outcome).toBeNull();
  });
});

describe('a streamed command', () => {
  test('names itself first, and goes on to its timeout when its client leaves', async () => {
    const leave = new AbortController();
    const answer = await exec({ timeout: 60 }, { headers: { Accept: ndjson }, signal: leave.signal });
    const reader = answer.body?.getReader();
    const first = lines(Buffer.from((await reader?.read())?.value ?? '').toString())[0];
    expect(first).toEqual({ type: 'started', id: command.request.id, machine_id: id, pid: command.pid });
    command.write('stdout', 'one');
    await reader?.read();
    leave.abort();
    await expect.poll(() => command.readers).toBe(0);
    expect(command).toMatchObject({ outcome: null, request: { timeoutMs: 60_000 } });
    command.write('stdout', 'two');
    command.end(exited(4));
    const again = await call('GET', of(first.id, '/output?from=3&follow=true'), undefined, {
      headers: { Accept: ndjson },
    });
    expect(lines(await again.text())).toMatchObject([
      { type: 'stdout', offset: 3, data: 'dHdv', cursor: 6 },
      { type: 'outcome', exit_code: 4 },
    ]);
  });

  test('as server-sent events', async () => {
    const answer = exec({}, { headers: { Accept: 'text/html, text/event-stream;q=0.9' } });
    await expect.poll(() => fake.guest.commands.all()).toHaveLength(1);
    command.write('stdout', 'x');
    command.end(exited(0));
    expect((await answer).headers.get('content-type')).toBe('text/event-stream');
    const events = (await (await answer).text()).split('\n\n');
    expect(events.map((event) => event.split('\n')[0])).toEqual([
      ...['event: started', 'event: stdout', 'event: outcome', ''],
    ]);
    expect(command.request.timeoutMs).toBe(30_000);
  });

  test('a buffered one ends with its client', async () => {
    const { promise: isRunning, resolve: runs } = Promise.withResolvers<void>();
    const { promise: hasEnded, resolve: ends } = Promise.withResolvers<void>();
    fake.guest.exec = async (...given: readonly unknown[]) => {
      const signal = given[2] as AbortSignal;
      signal.addEventListener('abort', () => ends(), { once: true });
      runs();
      return {
        kill: () => undefined,
        async *[Symbol.asyncIterator]() {
          await hasEnded;
          yield { type: 'outcome', outcome: { outcome: 'unknown', reason: 'left' } } as const;
        },
      };
    };
    const leave = new AbortController();
    const answer = exec({}, { signal: leave.signal });
    answer.catch(() => undefined);
    await isRunning;
    leave.abort();
    await hasEnded;
  });
});

test.each([
  ['BAD_REQUEST', { tty: {} }, {}],
  ['BAD_REQUEST', { stdin_open: true }, {}],
  ['BAD_REQUEST', { encoding: 'base64', detach: true }, {}],
  ['BAD_REQUEST', { encoding: 'utf8' }, { Accept: ndjson }],
  ['VALIDATION_ERROR', { detach: true, tty: { rows: 0 } }, {}],
  ['VALIDATION_ERROR', { detach: true, tty: true }, {}],
  ['VALIDATION_ERROR', { detach: 'yes' }, {}],
])('%s: %j', async (code, body, headers) => {
  const answer = await exec(body, { headers });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ error: { code } });
});

test('a body of standard input that is slow or cut reaches the command as far as it came', async () => {
  let got = '';
  fake.guest.commands.program = (started) => {
    command = started;
    command.onInput = (data) => {
      got += Buffer.from(data).toString();
    };
  };
  const { id: eid } = await detach({ stdin_open: true });
  const headers = { Authorization: `Bearer ${testKey}`, 'Transfer-Encoding': 'chunked' };
  const request = httpRequest(`${url}${of(eid, '/stdin?end=true')}`, { method: 'POST', headers });
  request.write('first ');
  await expect.poll(() => got).toBe('first ');
  request.end('last');
  const [response] = await once(request, 'response');
  expect([response.statusCode, await text(response), got]).toEqual([204, '', 'first last']);
});
