/** Requests over kept connections, with programs that answer in bytes: what passes unchanged, and what hostile ones reach. */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setImmediate as turnOfLoop } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { connectionsMax } from './ports.ts';
import { type ProxyWorld, startProxyWorld, suffix, tenant } from './testing.ts';

let world: ProxyWorld;
/** The program’s ends of connections that have carried a request. */
let used: Set<Duplex>;
beforeEach(async () => {
  world = await startProxyWorld();
  used = new Set();
});
afterEach(() => world.close());

const path = (rest = '/') => `/proxy/${world.id}/80${rest}`;
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const badGateway = { status: 502, body: JSON.stringify({ error: 'Failed to connect to upstream' }) };

/** What the program does with each head of a request that has no body. */
function serve(answer: (connection: Duplex, head: string) => void): void {
  world.fake.guest.connections.programs.set(80, (connection) => {
    connection.on('error', () => undefined);
    let received = '';
    connection.on('data', (bytes: Buffer) => {
      used.add(connection);
      received += bytes.toString('latin1');
      for (let end = received.indexOf('\r\n\r\n'); end >= 0; end = received.indexOf('\r\n\r\n')) {
        const head = received.slice(0, end);
        received = received.slice(end + 4);
        answer(connection, head);
      }
    });
  });
}

/** Sends the head of a request in latin1, whose lines end with LF here, on a connection of its own. */
function sendHead(head: string): Socket {
  const socket = connect(world.server.port, '127.0.0.1');
  socket.on('error', () => undefined);
  const lines = head.replace('HOST', `Host: ${world.id}-80${suffix}`).replaceAll('\n', '\r\n');
  socket.write(`${lines}\r\n\r\n`, 'latin1');
  return socket;
}

const answerTo = (head: string) => text(sendHead(`${head}\nConnection: close`).setEncoding('latin1'));

describe('passes on unchanged', () => {
  test('names, values, order and repetitions of a request’s headers, and its path', async () => {
    let seen = '';
    serve((connection, head) => {
      seen = head;
      connection.write(ok);
    });
    const lines = [
      ...['x-lower: 1', 'X-UPPER: 2', 'X-Twice: a', 'x-twice: b', 'Cookie: a=1; b=2', 'X-Empty: '],
      ...['X-Latin: caf\u00e9', 'Accept: */*', 'Accept-Encoding: gzip, br', 'If-None-Match: W/"x"'],
    ];
    await answerTo(`DELETE /a//b/../%2e?q=%00&r=%C3 HTTP/1.1\nHOST\n${lines.join('\n')}`);
    const [first, ...rest] = seen.split('\r\n');
    expect(first).toBe('DELETE /a//b/../%2e?q=%00&r=%C3 HTTP/1.1');
    expect(rest.filter((line) => lines.includes(line))).toEqual(lines);
    expect(rest.filter((line) => /^host:/i.test(line))).toEqual([`host: ${world.id}-80${suffix}`]);
    expect(rest.map((line) => line.replace(/:.*/, '').toLowerCase()).sort()).toEqual(
      [
        ...lines.map((line) => line.replace(/:.*/, '').toLowerCase()),
        ...['host', 'connection', 'x-forwarded-for', 'x-machine-id', 'x-forwarded-host', 'x-forwarded-proto'],
      ].sort(),
    );
  });

  test('status, reason, names, values and order of an answer’s headers', async () => {
    const lines = [
      'x-lower: 1',
      'X-UPPER: 2',
      'Set-Cookie: a',
      'set-cookie: b',
      'X-Empty: ',
      'X-Latin: \u00e9',
    ];
    serve((connection) => {
      const head = `HTTP/1.1 299 Caf\u00c3\u00a9 ok\r\n${lines.join('\r\n')}\r\nContent-Length: 4\r\n\r\n`;
      connection.write(Buffer.from(`${head}\u0000\u00ff\r\n`, 'latin1'));
    });
    const answer = await answerTo('GET / HTTP/1.1\nHOST');
    const [head = '', body] = answer.split('\r\n\r\n');
    expect(head.split('\r\n').slice(0, 8)).toEqual([
      'HTTP/1.1 299 Caf\u00c3\u00a9 ok',
      ...lines,
      'Content-Length: 4',
    ]);
    expect(`${body}`).toBe('\u0000\u00ff\r\n');
    expect(head).not.toMatch(/^date:/im);
  });

  test.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1000'],
    ['GET', 'HTTP/1.1 204 No Content\r\nX-A: 1'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: "x"'],
  ])('the head of an answer to %s that has no body: %s', async (method, head) => {
    serve((connection) => connection.write(`${head}\r\n\r\n`));
    const answer = await answerTo(`${method} / HTTP/1.1\nHOST`);
    expect(answer.startsWith(`${head}\r\n`)).toBe(true);
    expect(answer.slice(answer.indexOf('\r\n\r\n'))).toBe('\r\n\r\n');
    expect(await answerTo(`${method} / HTTP/1.1\nHOST`)).toBe(answer);
  });

  test('an answer in pieces of one byte, with trailers', async () => {
    const whole = 'HTTP/1.1 200 Well\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n';
    serve(async (connection) => {
      for (const byte of `${whole}5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n`) {
        connection.write(byte);
        await turnOfLoop();
      }
    });
    expect(await world.send(path())).toMatchObject({
      status: 200,
      body: 'hello',
      trailers: { 'x-sum': '7' },
    });
  });

  test('an answer that ends with its connection', async () => {
    serve((connection) => connection.end('HTTP/1.1 200 OK\r\n\r\nall of it'));
    expect(await world.send(path())).toMatchObject({ status: 200, body: 'all of it' });
  });

  test('early hints, and drops what has no links', async () => {
    serve((connection) => {
      const hints = ['103 Early Hints\r\nLink: </a.css>; rel=preload', '103 Early Hints', '102 Processing'];
      connection.write(`${hints.map((each) => `HTTP/1.1 ${each}\r\n\r\n`).join('')}${ok}`);
    });
    const answer = await answerTo('GET / HTTP/1.1\nHOST');
    expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 103', 'HTTP/1.1 102', 'HTTP/1.1 200']);
    expect(answer).toContain('</a.css>; rel=preload');
  });

  test('a short body with its length, and a POST without one as an empty one', async () => {
    const seen: (string | undefined)[][] = [];
    world.program = async (incoming, outgoing) => {
      const body = await text(incoming);
      seen.push([
        incoming.method,
        incoming.headers['content-length'],
        incoming.headers['transfer-encoding'],
        body,
      ]);
      outgoing.end();
    };
    await world.send(path(), { method: 'POST', body: '{"a":1}' });
    await world.send(path(), { method: 'DELETE', body: 'x', headers: { 'content-length': '1' } });
    await world.send(path(), { method: 'POST', headers: { 'content-length': '0' } });
    await answerTo('POST / HTTP/1.1\nHOST');
    expect(seen).toEqual([
      ['POST', '7', undefined, '{"a":1}'],
      ['DELETE', '1', undefined, 'x'],
      ...[
        ['POST', '0', undefined, ''],
        ['POST', '0', undefined, ''],
      ],
    ]);
    // One more was to see that the port accepts.
    expect(world.accepted()).toBe(2);
  });

  test('a long body as it comes, and an answer that comes before its end', async () => {
    world.program = (incoming, outgoing) => {
      incoming.once('data', (piece: Buffer) => outgoing.writeHead(413).end(piece.subarray(0, 4)));
    };
    const headers = { 'content-length': '100000' };
    const sent = request({ port: world.server.port, path: path(), method: 'PUT', headers });
    sent.on('error', () => undefined).write('some');
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    expect([answer.statusCode, await text(answer)]).toEqual([413, 'some']);
    sent.destroy();
  });
});

describe('of a body that the client does not send to its end', () => {
  test.each([
    ['short', 100, 0],
    ['long', 100_000, 1],
  ])(
    'the program gets nothing of a %s one, and never takes a part for the whole',
    async (_, length, begun) => {
      const ends: unknown[] = [];
      let heads = 0;
      world.program = (incoming, outgoing) => {
        if (incoming.method !== 'POST') return void outgoing.end();
        heads += 1;
        incoming.resume().once('end', () => ends.push('end'));
        incoming.once('error', (error: NodeJS.ErrnoException) => ends.push(error.code));
      };
      await world.send(path());
      const socket = sendHead(`POST / HTTP/1.1\nHOST\nContent-Length: ${length}`);
      socket.write('part');
      if (begun > 0) await expect.poll(() => heads).toBe(begun);
      socket.destroy();
      if (begun > 0) await expect.poll(() => ends).toEqual(['ECONNRESET']);
      await world.send(path());
      expect([heads, ends]).toEqual([begun, begun === 0 ? [] : ['ECONNRESET']]);
    },
  );
});

describe('a hostile program', () => {
  const endless = (start: string, piece: string) => (connection: Duplex) => {
    connection.write(start);
    const more = () => {
      while (!connection.destroyed && connection.write(piece));
    };
    connection.on('drain', more);
    more();
  };
  const says = (bytes: string) => (connection: Duplex) => void connection.write(Buffer.from(bytes, 'latin1'));

  test.each<[string, (connection: Duplex) => void]>([
    ['no HTTP', says('hello\r\n\r\n')],
    ['another protocol', says('SSH-2.0-OpenSSH_9.2\r\n')],
    ['lines that end with LF', says('HTTP/1.1 200 OK\nContent-Length: 2\n\nok')],
    ['a header without a colon', says('HTTP/1.1 200 OK\r\nX-A\r\n\r\n')],
    ['a space before the colon', says('HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n')],
    ['a folded header', says('HTTP/1.1 200 OK\r\nX-A: 1\r\n b\r\nContent-Length: 0\r\n\r\n')],
    ['a control character in a value', says('HTTP/1.1 200 OK\r\nX-A: a\u0000b\r\n\r\n')],
    [
      'a length and chunks',
      says('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n'),
    ],
    ['two lengths', says('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok')],
    ['a negative length', says('HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok')],
    ['a length beyond 64 bits', says(`HTTP/1.1 200 OK\r\nContent-Length: ${'9'.repeat(40)}\r\n\r\nok`)],
    [
      'another protocol that nobody asked for',
      says('HTTP/1.1 101 Hi\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
    ],
    ['a status of two digits', says('HTTP/1.1 20 OK\r\n\r\n')],
    ['a header of 32 KiB', says(`HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(32 * 1024)}\r\n\r\n`)],
    ['headers without end', endless('HTTP/1.1 200 OK\r\n', 'X-A: 1\r\n'.repeat(1000))],
    ['a header without end', endless('HTTP/1.1 200 OK\r\nX-A: ', 'a'.repeat(8000))],
    ['nothing, and ends', (connection) => void connection.end()],
    ['half a head, and ends', (connection) => void connection.end('HTTP/1.1 200 OK\r\nX-A')],
    [
      'half a head, and breaks',
      (connection) => void connection.write('HTTP/1.1 2', () => connection.destroy()),
    ],
  ])('that answers %s: the client gets a 502, and the connection is not used again', async (_, answer) => {
    serve(answer);
    expect(await world.send(path())).toMatchObject(badGateway);
    await expect.poll(() => [...used].every(({ destroyed }) => destroyed)).toBe(true);
    serve((connection) => connection.write(ok));
    expect(await world.send(path())).toMatchObject({ status: 200, body: 'ok' });
  });

  test.each([
    ['a bad size of a chunk', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n'],
    ['a bad end of a chunk', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX'],
    [
      'trailers without end',
      `Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n${'X-A: 1\r\n'.repeat(9000)}`,
    ],
  ])('that goes on with %s: the client does not take what it got for the whole', async (_, rest) => {
    serve(says(`HTTP/1.1 200 OK\r\n${rest}`));
    await expect(world.send(path())).rejects.toThrow(/aborted|hang up|RESET/i);
    await expect.poll(() => [...used].every(({ destroyed }) => destroyed)).toBe(true);
  });

  test('that breaks in the middle of a body: the client does not take it for the whole', async () => {
    serve((connection) => {
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf', () => connection.destroy());
    });
    await expect(world.send(path())).rejects.toThrow(/aborted|hang up|RESET/i);
  });

  test.each([
    ['says two answers at once', `${ok}${ok.replace('ok', 'no')}`],
    ['says more than its length', `${ok}more`],
    ['answers a HEAD with a body', ok],
  ])('that %s: nothing of that becomes the answer to another request', async (_, bytes) => {
    serve((connection, head) => connection.write(head.includes('/evil') ? bytes : ok.replace('ok', 'me')));
    const method = bytes === ok ? 'HEAD' : 'GET';
    for (let count = 0; count < 3; count += 1) {
      await world.send(path('/evil'), { method });
      expect(await world.send(path())).toMatchObject({ status: 200, body: 'me' });
    }
  });

  test('that speaks before it is asked: nothing of that becomes an answer', async () => {
    serve((connection) => connection.write(ok.replace('ok', 'me')));
    await world.send(path());
    const [connection] = used;
    connection?.write(ok.replace('ok', 'no'));
    expect(await world.send(path())).toMatchObject({ status: 200, body: 'me' });
  });

  test('that sends early hints without end to a client that does not read: it waits, or they are dropped', async () => {
    const hint = `HTTP/1.1 103 Early Hints\r\nLink: </${'a'.repeat(8000)}>; rel=preload\r\n\r\n`;
    let count = 0;
    serve(async (connection) => {
      for (; count < 4000 && !connection.destroyed; count += 1) {
        if (!connection.write(hint)) await once(connection, 'drain');
      }
      connection.write(ok);
    });
    const socket = sendHead('GET / HTTP/1.1\nHOST\nConnection: close').pause();
    const before = process.memoryUsage.rss();
    await expect.poll(() => count, { timeout: 20_000 }).toBe(4000);
    // All of them are 31 MiB, and the sockets of this host hold some.
    const answer = await text(socket);
    expect(answer.endsWith('ok')).toBe(true);
    expect(answer.length).toBeLessThan(16 * 2 ** 20);
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 2 ** 20);
  });

  test('that sends early hints for longer than an answer may take: the client is told that it is late', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      serve(async (connection) => {
        connection.write('HTTP/1.1 103 Early Hints\r\n\r\n');
        await turnOfLoop();
        vi.advanceTimersByTime(300_001);
        connection.write('HTTP/1.1 103 Early Hints\r\n\r\n');
      });
      expect(await world.send(path())).toMatchObject({ status: 504 });
    } finally {
      vi.useRealTimers();
    }
    await expect.poll(() => [...used].every(({ destroyed }) => destroyed)).toBe(true);
  });
});

describe('connections', () => {
  test('that were all closed while they waited are made again', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => world.send(path())));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
    serve((connection, head) => {
      if (used.size > 1 || /two/.test(head)) connection.write(ok);
      else connection.destroy();
    });
    world.programs.closeAllConnections();
    expect(await world.send(path('/two'))).toMatchObject({ status: 200 });
  });

  test.each([
    ['Connection: close', 'that the program wants closed'],
    ['Keep-Alive: timeout=1', 'that it keeps for a second only'],
  ])('are not used again with %s', async (header) => {
    serve((connection) => connection.write(ok.replace('\r\n', `\r\n${header}\r\n`)));
    for (let count = 0; count < 3; count += 1)
      expect(await world.send(path())).toMatchObject({ status: 200, body: 'ok' });
    expect(used.size).toBe(3);
  });

  test('are used again after a HEAD, a 304 and an error of the program', async () => {
    const heads = ['200 OK\r\nContent-Length: 9', '304 Not Modified', '500 No\r\nContent-Length: 0'];
    serve((connection, head) => {
      connection.write(`HTTP/1.1 ${heads[Number(/\/(\d)/.exec(head)?.[1])]}\r\n\r\n`);
    });
    await world.send(path('/0'), { method: 'HEAD' });
    await world.send(path('/1'));
    await world.send(path('/2'));
    await world.send(path('/0'), { method: 'HEAD' });
    expect(used.size).toBe(1);
  });

  test('end when the machine stops, and the next request wakes it', async () => {
    const { machines } = world.fake;
    await world.send(path());
    const closed = once(world.programs, 'connection').then(([socket]) => once(socket, 'close'));
    await Promise.all([world.send(path()), world.send(path())]);
    await machines.stop(tenant, 'web', {});
    expect(await world.send(path())).toMatchObject({ status: 200 });
    await closed;
  });

  test('are bounded: requests beyond the bound wait for their turn', async () => {
    const asked: Duplex[] = [];
    serve((connection) => asked.push(connection));
    const open = Array.from({ length: connectionsMax + 2 }, () => sendHead('GET / HTTP/1.1\nHOST'));
    await expect.poll(() => asked.length, { timeout: 20_000 }).toBe(connectionsMax);
    let answers = 0;
    for (const socket of open) socket.on('data', () => (answers += 1));
    for (const connection of asked.splice(0)) connection.write(ok);
    await expect.poll(() => asked.length).toBe(2);
    for (const connection of asked) connection.write(ok);
    await expect.poll(() => answers).toBe(connectionsMax + 2);
    expect(used.size).toBe(connectionsMax);
    for (const socket of open) socket.destroy();
  });

  test.each([
    ['before the head', ''],
    ['in a body with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'],
    ['in a body that ends with its connection', 'HTTP/1.1 200 OK\r\n\r\nhalf'],
    ['after early hints', 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n'],
  ])('end when their client leaves %s', async (_, bytes) => {
    serve((connection) => connection.write(bytes));
    const socket = sendHead('GET / HTTP/1.1\nHOST');
    if (bytes === '') await expect.poll(() => used.size).toBe(1);
    else await once(socket, 'data');
    socket.destroy();
    await expect.poll(() => [...used].every(({ destroyed }) => destroyed)).toBe(true);
  });

  test('may end at the moment when their client leaves', async () => {
    serve((connection) => connection.write('HTTP/1.1 200 OK\r\n\r\nhalf'));
    const { connections } = world.fake.guest;
    const made = vi.spyOn(connections, 'connect');
    const served = vi.spyOn(world.proxy, 'serve');
    const socket = sendHead('GET / HTTP/1.1\nHOST');
    await once(socket, 'data');
    const stream = await made.mock.results.at(-1)?.value;
    // Both are known before either has ended.
    stream.destroy();
    served.mock.calls[0]?.[1].emit('close');
    socket.destroy();
    await once(stream, 'close');
    serve((connection) => connection.write(ok));
    expect(await world.send(path())).toMatchObject({ status: 200, body: 'ok' });
  });
});

test('a client that does not read stops the program, and gets all of it in the end', async () => {
  const bytes = 64 * 2 ** 20;
  let written = 0;
  serve(async (connection) => {
    connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`);
    const piece = Buffer.alloc(64 * 1024, 'x');
    for (; written < bytes; written += piece.length) {
      if (!connection.write(piece)) await once(connection, 'drain');
    }
  });
  const sent = request({ port: world.server.port, path: path(), agent: false });
  sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  answer.pause();
  let before = -1;
  await expect
    .poll(
      () => {
        const isStill = written === before;
        before = written;
        return isStill;
      },
      { interval: 300, timeout: 20_000 },
    )
    .toBe(true);
  // What the sockets of this host hold.
  expect(written).toBeLessThan(16 * 2 ** 20);
  let received = 0;
  for await (const piece of answer) received += piece.length;
  expect(received).toBe(bytes);
});
