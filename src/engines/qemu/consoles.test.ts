import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ConsolePiece } from '../../core/ports/engine.ts';
import { StateLayout } from '../../storage/layout.ts';
import { ConsoleTimes, recordsMax } from './console-times.ts';
import { Consoles } from './consoles.ts';
import { RunDirectory } from './run-directory.ts';
import { consoleLimits } from './tail-file.ts';

const never = new AbortController().signal;
let root: string;
let directory: RunDirectory;
let consoles: Consoles;
let ended: AbortController;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flotilla-consoles-'));
  directory = new RunDirectory(new StateLayout(root), 'web');
  await directory.create('host', null);
  consoles = new Consoles();
  ended = new AbortController();
});
afterEach(async () => await rm(root, { recursive: true }));

const print = (text: string | Buffer) => appendFile(directory.consoleFile, text);
const follow = (bytesMax = 1024) => consoles.follow(directory, bytesMax, ended.signal, never);
const text = ({ value }: IteratorResult<ConsolePiece>) => Buffer.from(value?.bytes ?? []).toString();
async function rest(following: AsyncIterable<ConsolePiece>): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const { bytes } of following) pieces.push(bytes);
  return Buffer.concat(pieces).toString();
}
/** Numbered lines, so that missing or repeated lines are visible. */
const numbered = (from: number, count: number) =>
  Array.from({ length: count }, (_, line) => `${from + line}\n`).join('');

it('yields the last lines at once, then new output, then ends', async () => {
  await print('boot\nlogin: ');
  const following = follow(7);
  expect(text(await following.next())).toBe('login: ');
  const next = following.next();
  await print('root\n');
  expect(text(await next)).toBe('root\n');
  await print('bye\n');
  ended.abort();
  expect(await rest(following)).toBe('bye\n');
});

it('neither misses nor repeats output when the file is trimmed in between', async () => {
  const before = numbered(0, 200_000);
  await print(before);
  const following = follow(4);
  await following.next();
  await print(numbered(200_000, 10));
  await consoles.trim(directory);
  await print(numbered(200_010, 10));
  await consoles.trim(directory);
  ended.abort();
  expect(await rest(following)).toBe(numbered(200_000, 20));
});

it('continues with the oldest kept output after a slow read', async () => {
  const following = follow();
  await following.next();
  const printed = Buffer.from(numbered(0, 300_000));
  await print(printed);
  await consoles.trim(directory);
  ended.abort();
  expect(await rest(following)).toBe(printed.subarray(-consoleLimits.bytesKept).toString());
});

it('reads in chunks, and readers do not wait for each other', async () => {
  const slow = follow();
  await slow.next();
  const printed = numbered(0, 100_000);
  await print(printed);
  ended.abort();
  const first = text(await slow.next());
  expect(first.length).toBeLessThanOrEqual(64 * 1024);
  const fast = follow(printed.length);
  expect(await rest(fast)).toBe(printed);
  expect(first + (await rest(slow))).toBe(printed);
});

it('continues from the beginning when the VMM has truncated the file', async () => {
  await print('long before\n');
  const following = follow();
  await following.next();
  await truncate(directory.consoleFile);
  await print('anew\n');
  ended.abort();
  expect(await rest(following)).toBe('anew\n');
});

/** The pieces of text and the times at which each was seen, from since to at. */
async function timed(from = consoles, bytesMax = consoleLimits.bytesMax) {
  const { bytes, seen } = await from.read(directory, bytesMax);
  let start = 0;
  return seen.map(({ end, sinceMs, atMs }) => {
    const piece = Buffer.from(bytes).toString('utf8', start, end);
    start = end;
    return [piece, sinceMs, atMs];
  });
}

describe('the times of lines', () => {
  let nowMs = 0;
  const clocked = () => new Consoles({ nowMs: () => nowMs });
  beforeEach(() => {
    nowMs = Date.now() + 1000;
    consoles = clocked();
  });
  const launchedMs = async () => JSON.parse(await readFile(directory.consoleTimesFile, 'utf8'))[2] as number;

  it('are those of the looks around their output, and survive the daemon', async () => {
    const t0 = await launchedMs();
    const [t1, t2, t3] = [nowMs, nowMs + 1000, nowMs + 60_000];
    await print('one\n');
    await consoles.trim(directory);
    nowMs = t2;
    await print('two\n');
    const both = [
      ['one\n', t0, t1],
      ['two\n', t1, t2],
    ];
    expect(await timed()).toEqual(both);
    expect((await timed(consoles, 5)).map(([text]) => text)).toEqual(['\n', 'two\n']);
    // While no daemon ran.
    nowMs = t3;
    await print('late\n');
    expect(await timed(clocked())).toEqual([...both, ['late\n', t2, t3]]);
    // Seen is seen.
    nowMs = t3 + 5;
    expect(await timed(clocked())).toEqual([...both, ['late\n', t2, t3]]);
  });

  it('of a watched console are taken without a reader', async () => {
    consoles.watch(directory);
    await print('one\n');
    await vi.waitFor(async () => {
      nowMs += 1;
      await consoles.trim(directory);
      expect((await readFile(directory.consoleTimesFile, 'utf8')).split('\n').length).toBeGreaterThan(2);
    });
    await print('two\n');
    await consoles.unwatch(directory);
    expect((await timed(clocked())).map(([text]) => text)).toEqual(['one\n', 'two\n']);
  });

  it('stay with their lines when the file is trimmed', async () => {
    const printed = numbered(0, 200_000);
    await print(printed);
    await consoles.trim(directory);
    const [t1, t2] = [nowMs, nowMs + 1000];
    nowMs = t2;
    await print('last\n');
    const kept = printed.slice(-consoleLimits.bytesKept);
    expect((await timed()).map(([text, , at]) => [text, at])).toEqual([
      [kept, t1],
      ['last\n', t2],
    ]);
  });

  it('are unknown, not wrong, after a daemon that died while it trimmed, and for damaged times', async () => {
    await print('one\n');
    await timed();
    for (const damage of ['', 'x\n', '[5,null,1]\n[4,null,2]\n', '[1]\n']) {
      await writeFile(directory.consoleTimesFile, damage);
      expect(await timed(clocked())).toEqual([['one\n', null, nowMs]]);
    }
  });

  it('begin anew when the VMM has truncated the file', async () => {
    await print('long before\n');
    await timed();
    await truncate(directory.consoleFile);
    const t1 = nowMs;
    nowMs += 1000;
    await print('anew\n');
    expect(await timed()).toEqual([['anew\n', t1, nowMs]]);
  });

  it('are bounded: those that lose least precision are merged', () => {
    const times = ConsoleTimes.ofEmpty(0);
    let saved = '';
    const save = () => {
      const taken = times.take();
      saved = taken?.isWhole ? taken.text : saved + (taken?.text ?? '');
    };
    const hourMs = 3_600_000;
    const count = recordsMax * 4;
    for (let line = 1; line <= count; line++) {
      // A pause of an hour in the middle.
      const atMs = line * 100 + (line > count / 2 ? hourMs : 0);
      if (line === count / 2 + 1) times.look(line - 1, atMs - 100);
      times.look(line, atMs);
      save();
    }
    const seen = times.between(0, count);
    expect(seen.length).toBeLessThanOrEqual(recordsMax);
    expect(seen.at(-1)).toEqual({
      end: count,
      sinceMs: count * 100 + hourMs - 100,
      atMs: count * 100 + hourMs,
    });
    let start = 0;
    for (const { end, sinceMs, atMs } of seen) {
      const printedMs = (line: number) => line * 100 + (line > count / 2 ? hourMs : 0);
      expect(sinceMs).toBeLessThanOrEqual(printedMs(start + 1));
      expect(atMs).toBeGreaterThanOrEqual(printedMs(end));
      expect(atMs - (sinceMs ?? 0)).toBeLessThan(60_000);
      start = end;
    }
    expect(ConsoleTimes.parse(saved).between(0, count)).toEqual(seen);
    expect(ConsoleTimes.parse(`${saved}[1,`).between(0, count)).toEqual(seen);
  });
});

it('rejects with the signal’s reason, also while there is no output', async () => {
  const leaving = new AbortController();
  const following = consoles.follow(directory, 10, ended.signal, leaving.signal);
  await following.next();
  const next = following.next();
  const reason = new Error('seen enough');
  leaving.abort(reason);
  await expect(next).rejects.toBe(reason);
});

it('finds output without a notification', async () => {
  await rm(directory.consoleFile);
  const following = follow();
  expect(text(await following.next())).toBe('');
  const next = following.next();
  await print('late\n');
  expect(text(await next)).toBe('late\n');
  await following.return(undefined);
});

it('keeps its last line while it is read and trimmed concurrently', async () => {
  for (let round = 0; round < 20; round++) {
    await print(numbered(0, 160_000));
    const last = `round ${round}\n`;
    await print(last);
    const trimmed = consoles.trim(directory);
    const tails = await Promise.all(Array.from({ length: 5 }, () => consoles.tail(directory, 64)));
    await trimmed;
    for (const tail of tails) expect(tail.toString().endsWith(last)).toBe(true);
  }
});
