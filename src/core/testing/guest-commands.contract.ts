/** What holds for every implementation of `GuestCommands`. Registered by the tests of the fake and of the real agent. */
import { describe, expect, test, vi } from 'vitest';
import type { GuestTarget } from '../ports/guest.ts';
import type { CommandEvent, CommandRequest, GuestCommands } from '../ports/guest-commands.ts';

export interface CommandsUnderTest {
  readonly commands: GuestCommands;
  readonly target: GuestTarget;
}

/** What the commands of these tests do, in the language of a shell. */
export const contractScripts = {
  /** Writes `out` and, to stderr, `error`, and exits with 5. */
  both: 'printf out; printf error >&2; exit 5',
  /** Copies standard input. */
  copy: 'exec cat',
  /** Waits for a signal. */
  sleep: 'exec sleep 1000',
  /** Waits for input, then writes 400,000 bytes and ends. */
  flood: 'read go; head -c 400000 /dev/zero',
} as const;

const never = new AbortController().signal;
const floodBytes = 400_000;
const ringBytes = 131_200;

export function testGuestCommands(open: () => Promise<CommandsUnderTest>): void {
  const opened = async () => {
    const { commands, target } = await open();
    return {
      commands,
      target,
      start: (id: string, script: keyof typeof contractScripts, extra: Partial<CommandRequest> = {}) =>
        commands.start(target, { id, argv: ['/bin/sh', '-c', contractScripts[script]], ...extra }, never),
      attach: (id: string, offset = 0) => commands.attach(target, id, offset, never),
      feed: (id: string, text: string, isEnd = false) =>
        commands.feed(target, id, Buffer.from(text), isEnd, never),
      infoOf: async (id: string) => (await commands.list(target, never)).find((each) => each.id === id),
    };
  };
  const collect = async (events: AsyncIterable<CommandEvent>) => {
    const result = { stdout: '', stderr: '', lost: 0, outcome: null as unknown };
    for await (const event of events) {
      if (event.type === 'outcome') result.outcome = event.outcome;
      else if (event.type === 'lost') result.lost += event.bytes;
      else result[event.type] += Buffer.from(event.data).toString();
    }
    return result;
  };

  describe('commands of a guest', () => {
    test('are kept with output and outcome until they are forgotten', async () => {
      const { commands, target, start, attach, infoOf } = await opened();
      await start('c', 'both');
      const outcome = { outcome: 'exited', exitCode: 5 };
      expect(await commands.wait(target, 'c', never)).toEqual(outcome);
      for (let i = 0; i < 2; i += 1)
        expect(await collect(await attach('c'))).toEqual({
          stdout: 'out',
          stderr: 'error',
          lost: 0,
          outcome,
        });
      const info = await infoOf('c');
      expect(info).toMatchObject({
        ...{
          argc: 3,
          hasTerminal: false,
          firstOffset: 0,
          nextOffset: 8,
          stdoutBytes: 3,
          stderrBytes: 5,
          outcome,
        },
      });
      expect(info?.endedAtMs).toBeGreaterThanOrEqual(info?.startedAtMs ?? Number.NaN);
      await commands.forget(target, 'c', never);
      expect(await infoOf('c')).toBeUndefined();
      for (const gone of [
        () => attach('c'),
        () => commands.wait(target, 'c', never),
        () => commands.forget(target, 'c', never),
      ])
        await expect(gone()).rejects.toMatchObject({ code: 'not_found' });
    });

    test('have unique ids', async () => {
      const { start } = await opened();
      await start('c', 'both');
      await expect(start('c', 'both')).rejects.toMatchObject({ code: 'conflict' });
    });

    test('take standard input until its end', async () => {
      const { start, attach, feed } = await opened();
      await start('c', 'copy', { hasStdin: true });
      await feed('c', 'one ');
      await feed('c', 'two', true);
      expect(await collect(await attach('c'))).toMatchObject({ stdout: 'one two' });
      await expect(feed('c', 'x')).rejects.toMatchObject({ code: 'conflict' });
      await start('none', 'sleep');
      await expect(feed('none', 'x')).rejects.toMatchObject({ code: 'conflict' });
    });

    test('get signals until they have ended, and have time limits', async () => {
      const { commands, target, start } = await opened();
      await start('c', 'sleep');
      await commands.signal(target, 'c', 'TERM', never);
      expect(await commands.wait(target, 'c', never)).toEqual({ outcome: 'signalled', signal: 'TERM' });
      await expect(commands.signal(target, 'c', 'TERM', never)).rejects.toMatchObject({ code: 'conflict' });
      await start('short', 'sleep', { timeoutMs: 1 });
      expect(await commands.wait(target, 'short', never)).toEqual({ outcome: 'timed_out' });
    });

    test('have a terminal only if one was asked for', async () => {
      const { commands, target, start, infoOf } = await opened();
      const size = { rows: 50, columns: 132 };
      await start('c', 'sleep', { terminal: { rows: 24, columns: 80 } });
      await commands.resize(target, 'c', size, never);
      expect(await infoOf('c')).toMatchObject({ hasTerminal: true, outcome: null, endedAtMs: null });
      await start('plain', 'sleep');
      await expect(commands.resize(target, 'plain', size, never)).rejects.toMatchObject({ code: 'conflict' });
    });

    test('lose the oldest output while nobody reads, and tell how much', async () => {
      const { commands, target, start, attach, feed, infoOf } = await opened();
      await start('c', 'flood', { hasStdin: true, bufferBytes: ringBytes });
      await feed('c', 'go\n');
      await commands.wait(target, 'c', never);
      const { firstOffset = 0, nextOffset = 0 } = (await infoOf('c')) ?? {};
      expect(nextOffset).toBe(floodBytes);
      expect(floodBytes - firstOffset).toBeLessThanOrEqual(ringBytes);
      const output = await attach('c');
      expect(output.bounds).toEqual({
        ...{ firstOffset, nextOffset, stdoutBefore: firstOffset, stderrBefore: 0, stdinTaken: 3 },
      });
      const { stdout, lost } = await collect(output);
      expect([lost, stdout.length]).toEqual([firstOffset, floodBytes - firstOffset]);
      await expect(attach('c', floodBytes + 1)).rejects.toMatchObject({ code: 'invalid' });
    });

    test('lose nothing that a reader has not taken', async () => {
      const { start, attach, feed, infoOf } = await opened();
      await start('c', 'flood', { hasStdin: true, bufferBytes: ringBytes });
      const output = (await attach('c'))[Symbol.asyncIterator]();
      await feed('c', 'go\n');
      const { value } = await output.next();
      expect(value).toMatchObject({ type: 'stdout', offset: 0 });
      expect(await infoOf('c')).toMatchObject({ firstOffset: 0 });
      let bytes = 0;
      for (let event = value; event?.type === 'stdout'; event = (await output.next()).value)
        bytes += event.data.length;
      expect(bytes).toBe(floodBytes);
    });

    test('lose nothing before their first reader, if one is announced', async () => {
      const { start, attach, feed, infoOf } = await opened();
      await start('c', 'flood', { hasStdin: true, bufferBytes: ringBytes, isHeld: true });
      await feed('c', 'go\n');
      await vi.waitFor(async () => expect((await infoOf('c'))?.nextOffset).toBeGreaterThan(ringBytes / 2));
      expect(await infoOf('c')).toMatchObject({ firstOffset: 0 });
      const { stdout, lost } = await collect(await attach('c'));
      expect([lost, stdout.length]).toEqual([0, floodBytes]);
    });

    test('stop being read when the caller aborts', async () => {
      const { commands, target, start } = await opened();
      await start('c', 'sleep');
      const stop = new AbortController();
      const events = (await commands.attach(target, 'c', 0, stop.signal))[Symbol.asyncIterator]();
      const [reading, waiting] = [events.next(), commands.wait(target, 'c', stop.signal)];
      stop.abort();
      await expect(reading).rejects.toThrow();
      await expect(waiting).rejects.toThrow();
    });
  });
}
