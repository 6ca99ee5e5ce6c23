/** A hostile guest must only get bounded memory and a clear error, without effects on others. */
import type { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ExecEvent, GuestTarget } from '../core/ports/guest.ts';
import { machineLogLimits } from '../lib/limited-log.ts';
import type { Logger } from '../lib/log.ts';
import { silentLog } from '../lib/log.ts';
import { GuestClient } from './client.ts';
import { encodeFrame } from './frames.ts';
import { encodeLine, parseLine, readLine } from './lines.ts';
import { type Carriers, MemoryCarriers, UnixCarriers } from './testing/carriers.ts';
import { FakeGuest, fakeHello } from './testing/fake-guest.ts';
import { encodeHeader } from './yamux/frames.ts';
import type { YamuxStream } from './yamux/stream.ts';

const never = new AbortController().signal;

describe.each([
  ['in memory', () => new MemoryCarriers()],
  ['on unix sockets', () => new UnixCarriers()],
])('%s', (_where, makeCarriers: () => Carriers) => {
  let carriers: Carriers;
  let client: GuestClient;
  let lines: { readonly facts: unknown; readonly event: string }[];

  function at(key: string): GuestTarget {
    return { machineId: key, incarnation: key, address: carriers.address(key) };
  }

  beforeEach(async () => {
    carriers = makeCarriers();
    lines = [];
    const log: Logger = {
      ...silentLog,
      info: (facts: unknown, event: string) => void lines.push({ facts, event }),
    };
    client = new GuestClient({
      secret: Buffer.alloc(32, 5),
      transports: carriers.transports,
      log,
      timings: {
        backoffMs: 1,
        backoffMaxMs: 5,
        callMs: 500,
        linkWaitMs: 500,
        preambleDiscardBytesMax: 1 << 20,
      },
    });
    await listen('good', new FakeGuest());
  });
  afterEach(async () => {
    expect((await client.waitReady(at('good'), never)).agentVersion).toBe('fake');
    await client.close();
    await carriers.close();
  });

  async function listen(key: string, guest: FakeGuest): Promise<FakeGuest> {
    await carriers.listen(key, (end: Duplex) => void guest.accept(end));
    return guest;
  }

  /** Sends until the host closes the stream. */
  async function flood(stream: YamuxStream, chunk: Buffer): Promise<void> {
    for (;;) {
      await stream.write(chunk);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** A guest that answers every call (after hello, if `isGreeted`) with these bytes. */
  async function answering(bytes: Buffer | string, isGreeted = false): Promise<void> {
    await listen(
      'evil',
      new FakeGuest({
        serve: async (stream) => {
          const { line } = await readLine(stream);
          const isHello = parseLine(line).call === 'hello';
          await stream.write(isHello && isGreeted ? encodeLine(fakeHello(null)) : Buffer.from(bytes));
          stream.end();
        },
      }),
    );
  }

  describe('answers', () => {
    test.each([
      ['no JSON', 'hello\n'],
      ['no object', '[1]\n'],
      ['neither yes nor no', '{"agent_version":"1"}\n'],
      ['a yes without the rest', '{"ok":true}\n'],
      ['fields of other types', '{"ok":true,"agent_version":[],"protocol_version":"x"}\n'],
      [
        'a version of tomorrow',
        '{"ok":true,"agent_version":"9","protocol_version":9,"kernel_release":"","incarnation":null}\n',
      ],
      ['depth without end', `${'['.repeat(60_000)}\n`],
      ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x0a])],
      ['nothing', ''],
      ['half a line', '{"ok":tr'],
    ])('%s', async (_what, answer) => {
      await answering(answer);
      await expect(client.waitReady(at('evil'), never)).rejects.toMatchObject({ code: 'guest' });
    });

    test('a line without end', async () => {
      await listen('evil', new FakeGuest({ serve: (stream) => flood(stream, Buffer.alloc(1000, 'a')) }));
      await expect(client.waitReady(at('evil'), never)).rejects.toThrow('a line of over');
    });

    test('control characters in messages are removed', async () => {
      await answering(
        encodeLine({ ok: false, code: 'invalid', message: `\u001b[31mred\n${'x'.repeat(1000)}` }),
      );
      const refused = client.waitReady(at('evil'), never);
      await expect(refused).rejects.toMatchObject({ code: 'invalid' });
      const { message } = await refused.then(
        () => new Error('accepted'),
        (error: Error) => error,
      );
      expect(message).toMatch(/^\[31mred x+$/);
      expect(message.length).toBeLessThanOrEqual(500);
    });

    test('no answer at all', async () => {
      await listen('evil', new FakeGuest({ serve: () => Promise.withResolvers<void>().promise }));
      const started = client.exec(at('evil'), { argv: ['true'], timeoutMs: 1000 }, never);
      await expect(started).rejects.toMatchObject({
        code: 'timeout',
        message: 'the guest did not answer hello within 500 ms',
      });
    });
  });

  describe('exec frames', () => {
    const header = (type: number, length: number) => {
      const bytes = Buffer.alloc(5);
      bytes.writeUInt8(type, 0);
      bytes.writeUInt32BE(length, 1);
      return bytes;
    };
    const outcome = (value: unknown) => encodeFrame(3, Buffer.from(JSON.stringify(value)));
    test.each([
      ['an unknown type', header(9, 1)],
      ['a type of ours', header(16, 1)],
      ['gigabytes', header(1, 0xffff_ffff)],
      ['no bytes', header(1, 0)],
      ['an end in the middle', Buffer.from([1, 0, 0])],
      ['an end in the outcome', header(3, 100)],
      ['an outcome that is none', outcome({ outcome: 'great' })],
      ['an exit code that is none', outcome({ outcome: 'exited', exit_code: 1e9 })],
      ['an outcome that is not JSON', encodeFrame(3, Buffer.from('{'))],
    ])('%s', async (_what, frame) => {
      await answering(
        Buffer.concat([encodeLine({ ok: true, pid: 1 }), encodeFrame(1, Buffer.from('x')), frame]),
        true,
      );
      const events: ExecEvent[] = [];
      for await (const event of await client.exec(at('evil'), { argv: ['true'], timeoutMs: 1000 }, never))
        events.push(event);
      expect(events.map(({ type }) => type)).toEqual(['stdout', 'outcome']);
      expect(events.at(-1)).toMatchObject({ outcome: { outcome: 'unknown' } });
    });
  });

  describe('calls of the guest', () => {
    async function evil(): Promise<FakeGuest> {
      const guest = await listen('evil', new FakeGuest());
      await client.waitReady(at('evil'), never);
      return guest;
    }

    test.each(['{"call":"announce","event":"explode"}', '{"call":"exec"}'])('%s is refused', async (line) => {
      const stream = (await evil()).open();
      await stream?.write(Buffer.from(`${line}\n`));
      expect((await stream?.read())?.toString()).toContain('"ok":false');
      expect(client.announcement('evil')).toBeNull();
    });

    test('lines without end are reset', async () => {
      const stream = (await evil()).open();
      if (stream === null) throw new Error('no host');
      await expect(flood(stream, Buffer.alloc(1000, 'a'))).rejects.toThrow('reset');
    });

    test('missing lines are reset', async () => {
      const guest = await evil();
      await expect(guest.open()?.read()).rejects.toThrow('reset');
    });
  });

  test('noise in place of the preamble', async () => {
    let dials = 0;
    await carriers.listen('evil', (end) => {
      dials += 1;
      end.on('error', () => undefined).resume();
      const noise = Buffer.alloc(65_536);
      const more = () => {
        while (!end.destroyed && end.write(noise));
      };
      end.on('drain', more);
      more();
    });
    await expect(client.exec(at('evil'), { argv: ['true'], timeoutMs: 1000 }, never)).rejects.toMatchObject({
      code: 'timeout',
    });
    expect(dials).toBeGreaterThan(1);
  });

  test('a session that breaks as soon as it is up', async () => {
    const guest = new FakeGuest({
      serve: async () => guest.cut(),
    });
    await listen('evil', guest);
    const stop = new AbortController();
    const ready = client.waitReady(at('evil'), stop.signal);
    await expect(client.exec(at('evil'), { argv: ['true'], timeoutMs: 1000 }, never)).rejects.toMatchObject({
      code: 'guest',
    });
    stop.abort();
    await expect(ready).rejects.toMatchObject({ code: 'timeout' });
  });

  describe('floods', () => {
    /** A guest that answers every call with a flood of window updates of size 0 on the call's stream. */
    async function flooder(): Promise<() => number> {
      let sessions = 0;
      const guest: FakeGuest = new FakeGuest({
        serve: async (stream) => {
          sessions += 1;
          for (let round = 0; round < 100; round += 1) {
            await guest.sendRaw(
              Buffer.concat(Array.from({ length: 1000 }, () => encodeHeader(1, 0, stream.id, 0))),
            );
            await turn();
          }
        },
      });
      await listen('evil', guest);
      return () => sessions;
    }

    test('end the session with a reason, which is logged once, and the link is not redialled at once', async () => {
      const sessions = await flooder();
      await expect(client.exec(at('evil'), { argv: ['true'], timeoutMs: 1000 }, never)).rejects.toThrow(
        'floods its link',
      );
      const again = client.exec(at('evil'), { argv: ['true'], timeoutMs: 1000 }, never);
      await expect(again).rejects.toThrow(/not up within 500 ms: the guest floods its link/);
      expect(sessions()).toBe(1);
      expect(lines).toEqual([
        {
          event: 'guest link lost',
          facts: { incarnation: 'evil', reason: expect.stringContaining('floods') },
        },
      ]);
    });

    test('of announcements log a bounded number of lines', async () => {
      const guest = await listen('evil', new FakeGuest());
      await client.waitReady(at('evil'), never);
      for (let round = 0; round < 100; round += 1) {
        await guest.announce('poweroff');
        await guest.announce('halt');
      }
      expect(client.announcement('evil')).toBe('halt');
      expect(lines.filter(({ event }) => event === 'guest announced')).toHaveLength(machineLogLimits.burst);
    });
  });
});
