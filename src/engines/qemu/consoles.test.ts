import { appendFile, mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { StateLayout } from '../../storage/layout.ts';
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
const text = ({ value }: IteratorResult<Uint8Array>) => Buffer.from(value ?? []).toString();
async function rest(following: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of following) pieces.push(piece);
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
