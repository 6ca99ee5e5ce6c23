/**
 * The part of `bench exec` about streams: a key at a terminal over the WebSocket, the first byte of a streamed command, and how
 * evenly concurrent streams are served. Uses the SDK, as callers do; all in the guest of the buffered commands.
 */

import { FlotillaClient, type TerminalSession } from '../sdk/src/index.ts';
import { AppError } from '../src/core/errors.ts';
import type { BenchContext } from './bench-context.ts';
import { interleave } from './interleave.ts';
import { MachineCalls, type StartedMachine } from './machine-calls.ts';
import { type BenchResult, measured, ratio } from './report.ts';
import { median, timed } from './statistics.ts';
import type { BenchDaemon } from './workplace.ts';

const roundsDefault = 300;
const warmUpRounds = 30;
/** A terminal keeps at most 4,095 characters of a line. */
const keysPerLine = 1000;
const streamsCount = 20;
const fairRoundsDefault = 5;
const fairMs = 2_000;

export async function compareStreams(
  context: BenchContext,
  daemon: BenchDaemon,
  machine: StartedMachine,
): Promise<readonly BenchResult[]> {
  const client = new FlotillaClient({ url: `http://${daemon.host}:${daemon.port}`, key: daemon.key });
  using calls = await MachineCalls.open(daemon);
  const request = calls.execRequest(machine.id);
  const keys = await Keys.open(client, machine, context.signal);
  const rounds = Math.min(context.samples ?? roundsDefault, 10_000);
  context.say('exec: keys and streams');
  const [bufferedMs = [], keyMs = [], firstByteMs = []] = await interleave(
    [
      { name: 'buffered', measure: () => timed(() => calls.exec(request)) },
      { name: 'key', measure: () => keys.press() },
      { name: 'first byte', measure: (signal) => firstByte(client, machine, signal) },
    ],
    { rounds, warmUps: Math.min(warmUpRounds, rounds), signal: context.signal },
  );
  await keys.close();
  const spreads: number[] = [];
  for (let round = 0; round < Math.min(context.samples ?? fairRoundsDefault, fairRoundsDefault); round += 1) {
    spreads.push(await spreadOfRates(client, machine, context.signal));
    context.say(`exec: fairness ${round + 1}`);
  }
  return [
    ratio('keystroke_p50_over_exec', keyMs, bufferedMs, median),
    ratio('first_byte_over_buffered', firstByteMs, bufferedMs, median),
    measured('fairness', 'ratio', spreads, median),
    measured('keystroke_p50_ms', 'ms', keyMs, median),
    measured('first_byte_p50_ms', 'ms', firstByteMs, median),
  ];
}

/** A terminal that echoes keys. */
class Keys {
  readonly #client: FlotillaClient;
  readonly #terminal: TerminalSession;
  readonly #output: AsyncIterator<{ readonly data: Uint8Array }>;
  #pressed = 0;

  private constructor(client: FlotillaClient, terminal: TerminalSession) {
    this.#client = client;
    this.#terminal = terminal;
    this.#output = terminal[Symbol.asyncIterator]();
  }

  static async open(client: FlotillaClient, { id }: StartedMachine, signal: AbortSignal): Promise<Keys> {
    return new Keys(client, await client.machines.terminal(id, { command: ['cat'], signal }));
  }

  /** Milliseconds until the key is on the screen. */
  async press(): Promise<number> {
    if (this.#pressed > 0 && this.#pressed % keysPerLine === 0) {
      await this.#terminal.write('\n');
      // The end of the line, and the line again with its end.
      await this.#read(keysPerLine + 4);
    }
    this.#pressed += 1;
    return await timed(async () => {
      await this.#terminal.write('x');
      await this.#read(1);
    });
  }

  async close(): Promise<void> {
    const { machine, id } = this.#terminal;
    await this.#terminal.close();
    if (id !== null) await this.#client.execs.delete(machine, id);
  }

  async #read(bytes: number): Promise<void> {
    for (let read = 0; read < bytes; ) {
      const { done, value } = await this.#output.next();
      if (done) throw new AppError('internal', 'the terminal of the bench has ended');
      read += value.data.length;
    }
  }
}

/** Milliseconds until the first byte of a streamed command. */
async function firstByte(
  client: FlotillaClient,
  { id }: StartedMachine,
  signal: AbortSignal,
): Promise<number> {
  const begun = performance.now();
  let ms = Number.NaN;
  for await (const event of client.machines.execStream(id, { command: ['echo', 'x'] }, { signal }))
    if (event.type === 'stdout') ms = performance.now() - begun;
  return ms;
}

/** The rate of the fastest of the streams over that of the slowest, while all of them run. */
async function spreadOfRates(
  client: FlotillaClient,
  { id }: StartedMachine,
  parent: AbortSignal,
): Promise<number> {
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, parent]);
  const bytes: number[] = Array.from({ length: streamsCount }, () => 0);
  const begun = bytes.map(() => Promise.withResolvers<void>());
  const command = ['cat', '/dev/zero'];
  const streams = bytes.map(async (_, index) => {
    for await (const event of client.machines.execStream(id, { command, timeout: 600 }, { signal })) {
      if (event.type === 'outcome') throw new AppError('internal', 'a stream of the bench has ended');
      begun[index]?.resolve();
      bytes[index] = (bytes[index] ?? 0) + event.data.length;
    }
  });
  const ended = Promise.allSettled(streams);
  try {
    await Promise.race([Promise.all(begun.map(({ promise }) => promise)), Promise.all(streams)]);
    const before = [...bytes];
    await Promise.race([sleep(fairMs), Promise.all(streams)]);
    const rates = bytes.map((now, index) => now - (before[index] ?? 0));
    return Math.max(...rates) / Math.min(...rates);
  } finally {
    over.abort(new AppError('unavailable', 'the round is over'));
    await ended;
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
