/**
 * A hostile guest agent, behind the real core and HTTP server: what it sends, omits or claims costs its own
 * machine its link or the call, and nobody else anything. While it attacks, another machine runs commands.
 */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { setTimeout as rest, setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GuestClient } from '../../src/guest/client.ts';
import { encodeFrame } from '../../src/guest/frames.ts';
import { encodeLine, parseLine, readLine } from '../../src/guest/lines.ts';
import { frameTypes } from '../../src/guest/protocol.ts';
import { MemoryCarriers } from '../../src/guest/testing/carriers.ts';
import { FakeGuest, fakeHello } from '../../src/guest/testing/fake-guest.ts';
import { encodeHeader, frameFlag, frameType } from '../../src/guest/yamux/frames.ts';
import type { YamuxStream } from '../../src/guest/yamux/stream.ts';
import type { HttpServer } from '../../src/http/server.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../support/fake.ts';
import { isQuick } from '../support/thoroughness.ts';

/** What one attack may cost the daemon, garbage excluded: a few windows and an answer. */
const heapGrowthBytesMax = 48 * 1024 * 1024;
const features = ['rekey', 'resync', 'commands', 'command_wait', 'terminal', 'files', 'logged'];
/** A bound for a busy host; each call takes two seconds or three. */
const deadlineMs = 50_000;
/** Of an answer, read before its reader leaves. */
const answerBytesMax = 4 * 1024 * 1024;

/** Between two commands of the good machine. */
const runRestMs = 10;

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let client: GuestClient;
let carriers: MemoryCarriers;
/** Who answers the evil machine's link; honest at first, so that it boots. */
let accept: (end: Duplex) => void;
let dials = 0;

beforeEach(async () => {
  carriers = new MemoryCarriers();
  const timings = {
    callMs: 1_000,
    linkWaitMs: 1_000,
    fileIdleMs: 1_000,
    execMarginMs: 500,
    execUnreadMs: 1_000,
  };
  client = new GuestClient({ secret: Buffer.alloc(32, 5), transports: carriers.transports, timings });
  const good = new FakeGuest();
  const honest = new FakeGuest();
  accept = (end) => void honest.accept(end);
  dials = 0;
  let launches = 0;
  fake = await startFake({
    guest: client,
    onLaunch: async (_, { incarnation }) => {
      launches += 1;
      const isGood = launches === 1;
      await carriers.listen(incarnation, (end) => {
        if (isGood) return void good.accept(end);
        dials += 1;
        accept(end);
      });
    },
  });
  ({ server, url } = await serveFake(fake));
  for (const name of ['good', 'evil']) {
    await fake.machines.create('default', { name, vcpuCount: 1, memoryMib: 128, image: 'busybox' });
    await fake.machines.start('default', name);
  }
  disarm = () => honest.cut();
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
  await client.close();
  await carriers.close();
});

/** Cuts the honest guest, so that the host dials again. */
let disarm: () => void;
/** Lets an evil agent take the machine's link over. */
function arm(evil: FakeGuest | ((end: Duplex) => void)): void {
  accept = typeof evil === 'function' ? evil : (end) => void evil.accept(end);
  disarm();
}

/** An agent that greets as it should, and does `evil` with every other call. */
function agent(evil: (stream: YamuxStream, call: string) => Promise<void>): FakeGuest {
  return new FakeGuest({
    serve: async (stream) => {
      const { call } = parseLine((await readLine(stream)).line);
      if (call === 'hello') {
        await stream.write(encodeLine({ ...fakeHello(null), features }));
        stream.close(performance.now());
      } else await evil(stream, String(call));
    },
  });
}

interface Answer {
  readonly status: number;
  readonly text: string;
}
/** The answer, of an endless one the beginning; `accept` asks for another form of it. */
async function ask(method: string, path: string, body?: unknown, accept = '*/*'): Promise<Answer> {
  try {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { Authorization: `Bearer ${testKey}`, 'Content-Type': 'application/json', Accept: accept },
      signal: AbortSignal.timeout(deadlineMs),
      ...(body === undefined ? {} : { body: body instanceof Uint8Array ? body : JSON.stringify(body) }),
    });
    let text = '';
    for await (const piece of answer.body ?? []) {
      text += Buffer.from(piece).toString('latin1', 0, answerBytesMax - text.length);
      if (text.length === answerBytesMax) break;
    }
    return { status: answer.status, text };
  } catch (error) {
    // A stream that the daemon cuts is an end too, but it must end in time.
    if (error instanceof DOMException) throw error;
    return { status: 0, text: String(error) };
  }
}
/** Everything that makes the daemon talk to a guest. */
const calls: readonly (readonly [string, () => Promise<Answer>])[] = [
  ['exec', () => ask('POST', '/machines/evil/exec', { command: ['id'], timeout: 2 })],
  [
    'a streamed exec',
    () => ask('POST', '/machines/evil/exec', { command: ['id'], timeout: 2 }, 'application/x-ndjson'),
  ],
  [
    'exec with input',
    () => ask('POST', '/machines/evil/exec', { command: ['cat'], timeout: 2, stdin: 'x'.repeat(1e5) }),
  ],
  ['a detached exec', () => ask('POST', '/machines/evil/exec', { command: ['id'], detach: true })],
  ['the list of commands', () => ask('GET', '/machines/evil/execs')],
  ['output of a command', () => ask('GET', '/machines/evil/execs/aaaaaaaaaaaa/output?follow=true&from=5')],
  ['reading a file', () => ask('GET', '/machines/evil/files/content?path=/x')],
  ['a list of files', () => ask('GET', '/machines/evil/files/list?path=/')],
  ['writing a file', () => ask('PUT', '/machines/evil/files/content?path=/x', randomBytes(4 << 20))],
];

function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
async function heldBytes(): Promise<number> {
  await turn();
  // Twice, because the memory of buffers is freed in the background, which the next collection waits for.
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Runs the calls, all at once, against the armed agent, while the good machine works. Returns the answers. */
async function endure(): Promise<readonly Answer[]> {
  const before = await heldBytes();
  const over = new AbortController();
  let peakBytes = 0;
  let runs = 0;
  const good = (async () => {
    while (!over.signal.aborted || runs === 0) {
      const { status, text } = await ask('POST', '/machines/good/exec', { command: ['echo', `run ${runs}`] });
      expect({ status, ...JSON.parse(text) }).toMatchObject({
        status: 200,
        exit_code: 0,
        stdout: `run ${runs}\n`,
      });
      runs += 1;
      // Its share of the daemon's turns, not all of them.
      await rest(runRestMs);
      // Collecting garbage takes longer than all else: after 1, 4, 16, … of them.
      if (Number.isInteger(Math.log2(runs) / 2)) peakBytes = Math.max(peakBytes, await heldBytes());
    }
  })();
  try {
    const answers = await Promise.all(calls.map(([, call]) => call()));
    over.abort();
    await good;
    peakBytes = Math.max(peakBytes, await heldBytes());
    expect(peakBytes - before).toBeLessThan(heapGrowthBytesMax);
    calls.forEach(([what], index) => {
      expect(answers[index]?.status, `${what}: ${answers[index]?.text}`).not.toBe(500);
    });
    return answers;
  } finally {
    over.abort();
    await good;
  }
}

async function link(): Promise<Record<string, unknown> | undefined> {
  return JSON.parse((await ask('GET', '/machines/evil')).text).guest_link;
}

/** Most of an attack's time goes into collecting garbage: `make check` tries each third, `make test` all. */
const isTried = (_: unknown, index: number) => !isQuick || index % 3 === 0;

/** Bytes that break the link itself, sent as soon as it is up. */
const linkAttacks: readonly (readonly [string, RegExp, (stream: YamuxStream) => Buffer])[] = [
  ['garbage', /broke the link's protocol: frame version/i, () => Buffer.alloc(4096, 0xa5)],
  ['an unknown type of frame', /frame type 9/, () => Buffer.from([0, 9, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0])],
  ['a frame of 4 GiB', /overran its window/, ({ id }) => encodeHeader(frameType.data, 0, id, 0xffff_ffff)],
  [
    'a window of 4 GiB',
    /window of stream \d+ too large/,
    ({ id }) =>
      Buffer.concat([
        encodeHeader(frameType.windowUpdate, 0, id, 0xffff_ffff),
        encodeHeader(frameType.windowUpdate, 0, id, 0xffff_ffff),
      ]),
  ],
  [
    'a stream that nobody opened',
    /stream 999, which nobody opened/,
    () => encodeHeader(frameType.data, 0, 999, 0),
  ],
  [
    'a stream with an id of ours',
    /opened stream 9999/,
    () => encodeHeader(frameType.windowUpdate, frameFlag.syn, 9999, 0),
  ],
  [
    'a flood of empty frames',
    /floods its link/,
    ({ id }) =>
      Buffer.concat(Array.from({ length: 20_000 }, () => encodeHeader(frameType.windowUpdate, 0, id, 0))),
  ],
];

describe('closes its link, with a reason that the machine shows:', () => {
  test.each(linkAttacks.filter(isTried))('%s', async (_, reason, bytes) => {
    expect(await link()).toBeUndefined();
    const evil: FakeGuest = agent(async (stream) => void (await evil.sendRaw(bytes(stream))));
    arm(evil);
    await endure();
    await expect.poll(link).toMatchObject({ reason: expect.stringMatching(reason) });
    expect(await link()).toEqual({
      status: expect.stringMatching(/^(up|down)$/),
      reason: expect.stringMatching(reason),
      lost_at: expect.stringMatching(/^\d{4}-.*Z$/),
      lost_count: expect.any(Number),
    });
    const { text } = await ask('GET', '/machines/good');
    expect(JSON.parse(text).guest_link).toBeUndefined();
  });

  test('a storm of reconnections', async () => {
    const evil = agent(async () => evil.cut());
    arm(evil);
    await endure();
    expect(await link()).toMatchObject({ reason: expect.stringMatching(/lost|ended the link/i) });
    // A waiting call has the link redialled ten times a second at most, after the first few.
    expect(dials).toBeLessThan(200);
  });

  test('noise in place of the preamble', async () => {
    arm((end) => {
      end.on('error', () => undefined).resume();
      const noise = randomBytes(65_536);
      const more = () => {
        while (!end.destroyed && end.write(noise));
      };
      end.on('drain', more);
      more();
    });
    await endure();
    expect(await link()).toMatchObject({ status: 'down', reason: expect.any(String), lost_count: 1 });
  });
});

/** Writes until the host ends the stream. */
async function flood(stream: YamuxStream, bytes: Buffer): Promise<void> {
  for (;;) {
    await stream.write(bytes);
    await turn();
  }
}
const stdout = (text: string | Buffer) => encodeFrame(frameTypes.stdout, Buffer.from(text));
const number = (type: number, value: bigint) => {
  const payload = Buffer.alloc(8);
  payload.writeBigUInt64BE(value);
  return encodeFrame(type, payload);
};
const header = (type: number, length: number) => {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt32BE(length, 1);
  return bytes;
};
const command = {
  ...{ command: 'aaaaaaaaaaaa', program: 'sh', pid: 2, started_ms: 0, ended_ms: null, argc: 1 },
  ...{ first_offset: 0, next_offset: Number.MAX_SAFE_INTEGER, outcome: null },
};
const entry = {
  ...{ name: 'x', type: 'file', size: 5, mode: 0o644, uid: 0, gid: 0, modified_ns: '1', version: 'v' },
};

/** An answer to every call. */
const yes = { ok: true, pid: 1, entry, length: 5, stdin_offset: 0, commands: [command] };

/** Answers that cost the call only. */
const callAttacks: readonly (readonly [string, (stream: YamuxStream, call: string) => Promise<void>])[] = [
  [
    'endless output',
    async (stream) => {
      await stream.write(encodeLine({ ...yes, length: -1 }));
      await flood(
        stream,
        Buffer.concat([stdout('x'.repeat(60_000)), encodeFrame(frameTypes.stderr, Buffer.alloc(9, 'y'))]),
      );
    },
  ],
  ['endless lines', (stream) => flood(stream, Buffer.alloc(60_000, 'a'))],
  [
    'endless data of files',
    async (stream) => {
      await stream.write(encodeLine(yes));
      await flood(stream, encodeFrame(5, Buffer.alloc(60_000, '\n')));
    },
  ],
  [
    'lengths that do not come',
    async (stream) => {
      await stream.write(encodeLine({ ...yes, length: 2 ** 52 }));
      await stream.write(header(frameTypes.stdout, 65_536));
      stream.close(performance.now());
    },
  ],
  [
    'frames of 4 GiB',
    async (stream) => {
      await stream.write(encodeLine(yes));
      await stream.write(header(frameTypes.stdout, 0xffff_ffff));
    },
  ],
  [
    'impossible offsets',
    async (stream, call) => {
      const offsets = {
        first_offset: 2 ** 53 - 1,
        next_offset: 2 ** 53 - 1,
        stdout_offset: 2 ** 53 - 1,
        stderr_offset: 5,
      };
      await stream.write(
        encodeLine({ ok: true, pid: 1, stdin_offset: 2 ** 53 - 1, commands: [command], ...offsets }),
      );
      if (call === 'attach') {
        await stream.write(number(frameTypes.lost, 2n ** 53n - 1n));
        await stream.write(number(frameTypes.lost, 2n ** 64n - 1n));
      }
      stream.close(performance.now());
    },
  ],
  [
    'offsets that go backwards',
    async (stream) => {
      const offsets = { first_offset: 9, next_offset: 3, stdout_offset: -1, stderr_offset: 0 };
      await stream.write(encodeLine({ ok: true, pid: -5, stdin_offset: -1, ...offsets }));
      stream.close(performance.now());
    },
  ],
  [
    'ids of other commands',
    async (stream) => {
      const commands = Array.from({ length: 64 }, () => ({ ...command, command: '../../etc' }));
      await stream.write(
        encodeLine({ ok: true, pid: 1, command: 'cccccccccccc', commands, stdin_offset: 0 }),
      );
      stream.close(performance.now());
    },
  ],
  [
    'more commands than there can be',
    async (stream) => {
      await stream.write(
        encodeLine({ ok: true, pid: 1, commands: Array.from({ length: 300 }, () => command) }),
      );
      stream.close(performance.now());
    },
  ],
  [
    'another incarnation',
    async (stream) => {
      await stream.write(encodeLine({ ...fakeHello('somebody else'), features }));
      stream.close(performance.now());
    },
  ],
  ['silence', () => Promise.withResolvers<void>().promise],
  [
    'slow reads, a byte at a time',
    async (stream) => {
      await stream.write(encodeLine(yes));
      // Never reads what the host sends: its window stays closed.
      for (;;) {
        await stream.write(Buffer.from([1]));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
  ],
];

test.each(callAttacks.filter(isTried))('costs the call only: %s', async (_, attack) => {
  arm(agent((stream, call) => attack(stream, call).catch(() => undefined)));
  await endure();
});
