/** Commands and terminals over a WebSocket through the SDK, on the real server with fake guests. */
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket as WsWebSocket } from 'ws';
import { AppError } from '../../src/core/errors.ts';
import type { FakeCommand } from '../../src/core/testing/fake-commands.ts';
import { createApp } from '../../src/http/app.ts';
import { dialects } from '../../src/http/dialects.ts';
import { type HttpServer, listen } from '../../src/http/server.ts';
import { type FakeFlotilla, fakeDeps, serveFake, startFake, testKey } from '../../test/support/fake.ts';
import { FlotillaClient } from './client.ts';
import type { TerminalOptions, TerminalSession } from './terminal.ts';
import { relay } from './testing/relay.ts';
import { serve } from './testing/server.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let client: FlotillaClient;
/** The latest command. */
let command: FakeCommand;

beforeEach(async () => {
  fake = await startFake();
  fake.guest.commands.program = (started) => {
    command = started;
  };
  ({ server, url } = await serveFake(fake));
  client = new FlotillaClient({ url, key: testKey });
  await client.machines.create({ name: 'web', vcpu_count: 1, mem_size_mib: 128 });
  await client.machines.start('web');
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

const exited = (exitCode: number) => ({ outcome: 'exited', exitCode }) as const;
const textOf = (data: Uint8Array) => new TextDecoder().decode(data);
const open = (options: TerminalOptions = {}, at = client) => at.machines.terminal('web', options);
async function outputOf(terminal: TerminalSession): Promise<string> {
  let text = '';
  for await (const { data } of terminal) text += textOf(data);
  return text;
}
/** What the command reads. */
function inputOf(from: FakeCommand) {
  const input = { text: '', ended: false };
  from.onInput = (data) => {
    input.text += Buffer.from(data).toString('latin1');
  };
  from.onInputEnd = () => {
    input.ended = true;
  };
  return input;
}

test('a login shell in a terminal: what is typed, what it shows, its size, signals, and how it ended', async () => {
  const terminal = await open({ cols: 100, rows: 30, env: { A: 'b' }, cwd: '/tmp', user: 'me' });
  expect(terminal.id).toBe(command.request.id);
  expect(command.request).toMatchObject({
    ...{ argv: ['sh', '-c', expect.stringContaining('bash -l')], cwd: '/tmp', user: 'me' },
    ...{ terminal: { columns: 100, rows: 30 }, env: { A: 'b' }, hasStdin: true },
  });
  const input = inputOf(command);
  await terminal.write('ls ž\n');
  await terminal.write(new Uint8Array([4]));
  await vi.waitFor(() => expect(input.text).toBe('ls Å¾\n\u0004'));
  terminal.resize({ cols: 80, rows: 24 });
  await vi.waitFor(() => expect(command.size).toEqual({ columns: 80, rows: 24 }));
  await terminal.signal('WINCH');
  expect(command.signals).toEqual(['WINCH']);
  command.write('stdout', 'file\n');
  command.end(exited(3));
  expect(await outputOf(terminal)).toBe('file\n');
  expect(await terminal.wait()).toEqual({ outcome: 'exited', exit_code: 3 });
  await expect(terminal.write('x')).rejects.toMatchObject({ status: 409, code: 'CONFLICT' });
  await terminal.close();
});

test('without a terminal its streams are apart, and its input can end', async () => {
  const terminal = await open({ command: 'cat', tty: false, timeout: 60 });
  expect(command.request).toMatchObject({ argv: ['sh', '-c', 'cat'], timeoutMs: 60_000 });
  const input = inputOf(command);
  await terminal.write('all');
  await terminal.endInput();
  await vi.waitFor(() => expect(input).toEqual({ text: 'all', ended: true }));
  command.write('stdout', 'o');
  command.write('stderr', 'e');
  command.end({ outcome: 'signalled', signal: 'TERM' });
  const seen = [];
  for await (const { stream, data, cursor } of terminal) seen.push([stream, textOf(data), cursor]);
  expect(seen).toEqual([
    ['stdout', 'o', 1],
    ['stderr', 'e', 2],
  ]);
  expect(await terminal.wait()).toMatchObject({ outcome: 'signalled', exit_code: 143 });
});

test('leaving does not end the command, what was written arrives, and another attaches at the cursor', async () => {
  const first = await open();
  const input = inputOf(command);
  command.write('stdout', 'one ');
  let cursor = 0;
  for await (const piece of first) {
    ({ cursor } = piece);
    break;
  }
  void first.write('last words');
  await first.close();
  expect(input.text).toBe('last words');
  await expect(first.wait()).rejects.toMatchObject({ code: 'CLOSED' });
  expect(await outputOf(first)).toBe('');
  expect(command.outcome).toBeNull();
  command.write('stdout', 'two');
  const second = await client.execs.attach('web', command.request.id, { from: cursor });
  command.end(exited(0));
  expect(await outputOf(second)).toBe('two');
});

test('a program that cannot be run has no id, and the outcome of a shell', async () => {
  fake.guest.commands.program = () => {
    throw new AppError('invalid', 'x: not found', { details: { exitCode: 127 } });
  };
  const terminal = await open({ command: ['x'] });
  expect(terminal.id).toBeNull();
  expect(await outputOf(terminal)).toBe('x: not found\n');
  expect(await terminal.wait()).toMatchObject({ exit_code: 127 });
});

test('a slow reader stops the command’s output, and gets all of it', async () => {
  const terminal = await open();
  const sent = 3_000_000;
  for (let at = 0; at < sent; at += 100_000) command.write('stdout', Buffer.alloc(100_000, 120));
  command.end(exited(0));
  let received = 0;
  for await (const { data } of terminal) {
    received += data.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(received).toBe(sent);
});

test('long input waits for the command, and arrives whole', async () => {
  const terminal = await open({ tty: false });
  const waiting = Promise.withResolvers<void>();
  const feed = fake.guest.commands.feed.bind(fake.guest.commands);
  const held = vi.spyOn(fake.guest.commands, 'feed').mockImplementation(async (...args) => {
    await waiting.promise;
    await feed(...args);
  });
  const input = inputOf(command);
  const data = new Uint8Array(1_000_000).map((_, index) => 97 + (index % 26));
  let isSent = false;
  const writing = terminal.write(data).then(() => {
    isSent = true;
  });
  data.fill(0, 900_000);
  await vi.waitFor(() => expect(held).toHaveBeenCalled());
  expect(isSent).toBe(false);
  waiting.resolve();
  await writing;
  await terminal.endInput();
  await vi.waitFor(() => expect(input.ended).toBe(true));
  expect(input.text.length).toBe(1_000_000);
  expect(input.text.slice(0, 26)).toBe('abcdefghijklmnopqrstuvwxyz');
});

describe('a lost connection is made again', () => {
  test('without a byte of output or input missing or doubled', async () => {
    await using between = await relay(url);
    const terminal = await open({}, new FlotillaClient({ url: between.url, key: testKey }));
    const input = inputOf(command);
    let [text, losses, typed] = ['', 0, ''];
    command.write('stdout', '0 ');
    for await (const { data } of terminal) {
      text += textOf(data);
      if (losses === 10) command.end(exited(0));
      else {
        losses += 1;
        typed += `${losses},`;
        await terminal.write(`${losses},`);
        if (losses % 2 === 0) between.cut();
        await vi.waitFor(() => expect(input.text).toBe(typed));
        if (losses % 2 === 1) between.cut();
        command.write('stdout', `${losses} `);
      }
    }
    expect(text).toBe('0 1 2 3 4 5 6 7 8 9 10 ');
    expect(input.text).toBe('1,2,3,4,5,6,7,8,9,10,');
  });

  test('and input whose acknowledgement was lost is not sent again, but what was not taken is', async () => {
    await using between = await relay(url);
    const terminal = await open({}, new FlotillaClient({ url: between.url, key: testKey }));
    const input = inputOf(command);
    const feed = fake.guest.commands.feed.bind(fake.guest.commands);
    const feeding = vi.spyOn(fake.guest.commands, 'feed');
    feeding.mockImplementationOnce(async (...args) => {
      await feed(...args);
      between.cut();
    });
    await terminal.write('taken ');
    await vi.waitFor(() => expect(feeding).toHaveBeenCalledTimes(1));
    await terminal.write('not yet');
    await vi.waitFor(() => expect(input.text).toBe('taken not yet'));
    await terminal.close();
    expect(input.text).toBe('taken not yet');
  });

  test('when the daemon says that it shuts down, by the next one', async () => {
    await using between = await relay(url);
    const terminal = await open({}, new FlotillaClient({ url: between.url, key: testKey }));
    await server.close(1_000);
    terminal.resize({ cols: 10, rows: 5 });
    const port = Number(new URL(url).port);
    const app = createApp(dialects, fakeDeps(fake));
    server = await listen(app.fetch, { host: '127.0.0.1', port });
    await vi.waitFor(() => expect(command.size).toEqual({ columns: 10, rows: 5 }), 10_000);
    command.write('stdout', 'back');
    command.end(exited(0));
    expect(await outputOf(terminal)).toBe('back');
  });

  test('when the link to the guest is lost', async () => {
    const terminal = await open();
    fake.guest.commands.failures.set('feed', new AppError('guest', 'the link was lost'));
    const input = inputOf(command);
    await terminal.write('x');
    await vi.waitFor(() => expect(input.text).toBe('x'));
    command.end(exited(0));
    expect(await outputOf(terminal)).toBe('');
  });

  test('when the server falls silent', async () => {
    const terminal = await open({ silenceMs: 300 });
    await vi.waitFor(() => expect(command.readers).toBe(0), 5_000);
    await vi.waitFor(() => expect(command.readers).toBe(1), 5_000);
    await terminal.close();
  });

  test('not for ever', async () => {
    const between = await relay(url);
    const at = new FlotillaClient({ url: between.url, key: testKey });
    const terminal = await open({ reconnectMs: 200 }, at);
    await between[Symbol.asyncDispose]();
    await expect(outputOf(terminal)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(terminal.wait()).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(terminal.write('x')).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  test('not when the key has been revoked, or the output is gone', async () => {
    const { id, key } = await client.keys.create({ name: 'k', scopes: ['machines:exec'] });
    const terminal = await open({}, new FlotillaClient({ url, key }));
    await client.keys.revoke(id);
    await expect(outputOf(terminal)).rejects.toMatchObject({ status: 401, code: 'UNAUTHORIZED' });
    await vi.waitFor(() => expect(command.readers).toBe(0));
    for (let i = 0; i < 8; i++) command.write('stdout', Buffer.alloc(100_000));
    const attached = client.execs.attach('web', command.request.id);
    await expect(attached).rejects.toMatchObject({ status: 410, code: 'CURSOR_EXPIRED' });
  });
});

describe('a refusal is an error as of any call', () => {
  test('of the handshake, and of the first message', async () => {
    const wrong = new FlotillaClient({ url, key: 'hf_wrong' });
    await expect(open({}, wrong)).rejects.toMatchObject({ status: 401, code: 'UNAUTHORIZED' });
    await expect(client.machines.terminal('nope')).rejects.toMatchObject({ status: 404 });
    await client.machines.create({ name: 'idle', vcpu_count: 1, mem_size_mib: 128 });
    await expect(client.machines.terminal('idle')).rejects.toMatchObject({ code: 'BAD_REQUEST' });
    await expect(client.execs.attach('web', 'nope')).rejects.toMatchObject({ status: 404 });
    await expect(open({ cols: 0 })).rejects.toMatchObject({
      status: 400,
      message: expect.stringMatching(/tty/),
    });
    await expect(client.machines.terminal('..')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('where there is no server, or none that passes on WebSockets', async () => {
    const gone = new FlotillaClient({ url: 'http://127.0.0.1:9', key: testKey });
    await expect(open({}, gone)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await using proxy = await serve((_, response) => {
      response.writeHead(426).end();
    });
    await expect(open({}, new FlotillaClient({ url: proxy.url }))).rejects.toThrow(
      /a proxy may not pass them on/,
    );
    const silent = await serve(() => undefined);
    const late = open({ timeoutMs: 50 }, new FlotillaClient({ url: silent.url }));
    await expect(late).rejects.toMatchObject({ code: 'CLIENT_TIMEOUT' });
    await silent[Symbol.asyncDispose]();
  });

  test('the caller’s abort throws its reason', async () => {
    const abort = new AbortController();
    const terminal = await open({ signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(outputOf(terminal)).rejects.toThrow('enough');
    await expect(terminal.wait()).rejects.toThrow('enough');
    await expect(open({ signal: abort.signal })).rejects.toThrow('enough');
    expect(command.outcome).toBeNull();
  });
});

test('sockets of another make are used, also over a unix socket with a header', async () => {
  const path = join(tmpdir(), `flotilla-terminal-${process.pid}.sock`);
  const operator = await listen(createApp(dialects, fakeDeps(fake)).fetch, { path });
  const over = new FlotillaClient({
    ...{ url: 'http://flotilla', key: testKey },
    openSocket: ({ url: address, protocol, key }) => {
      const { pathname } = new URL(address);
      const headers = { authorization: `Bearer ${key}`, host: 'flotilla' };
      return new WsWebSocket(`ws+unix://${path}:${pathname}`, [protocol], { headers });
    },
  });
  const terminal = await open({}, over);
  command.write('stdout', 'hello');
  command.end(exited(0));
  expect(await outputOf(terminal)).toBe('hello');
  await operator.close(0);
  await rm(path, { force: true });
});

test('a launched machine has them, too', async () => {
  await using machine = await client.machines.launch({ image: 'busybox' });
  await using terminal = await machine.terminal();
  const attached = await machine.execs.attach(terminal.id ?? '');
  command.end(exited(0));
  expect(await attached.wait()).toMatchObject({ outcome: 'exited' });
});
