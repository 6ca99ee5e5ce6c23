import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DiskFullError } from './database.ts';
import { Reserve, reserveBytesMax } from './reserve.ts';
import { openSqlite } from './sqlite.ts';
import { createStore } from './store.ts';
import { sampleMachine } from './testing/samples.ts';

const mib = 1024 * 1024;

let directory: string;
let path: string;
let freeMib: number;
let nowMs: number;
let logged: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reserve-'));
  path = join(directory, 'reserve');
  freeMib = 1000;
  nowMs = 0;
  logged = [];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function open(): Promise<Reserve> {
  return Reserve.open({
    path,
    log: { warn: () => logged.push('warn'), info: () => logged.push('info') },
    now: () => nowMs,
    freeBytes: async () => freeMib * mib,
  });
}

/** The space that the file really occupies on disk. */
async function heldMib(): Promise<number> {
  const found = await stat(path).catch(() => null);
  return Math.round(((found?.blocks ?? 0) * 512) / mib);
}

describe('Reserve', () => {
  it('occupies real space, is private to its owner, and reuses an existing file', async () => {
    await open();
    expect(await heldMib()).toBe(16);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const { mtimeMs } = await stat(path);
    await open();
    expect((await stat(path)).mtimeMs).toBe(mtimeMs);
    expect(logged).toEqual([]);
  });

  it('is not made on a nearly full disk', async () => {
    freeMib = 100;
    await (await open()).prepare();
    expect(await readdir(directory)).toEqual([]);
  });

  it('completes an incomplete file', async () => {
    await writeFile(path, Buffer.alloc(5 * mib + 7));
    await open();
    expect((await stat(path)).size).toBe(reserveBytesMax);
    expect(await heldMib()).toBe(16);
  });

  it('is released in parts while the disk is full, and refilled when there is space; each is logged once', async () => {
    const reserve = await open();
    freeMib = 3;
    for (const left of [12, 8, 4, 0, 0]) {
      await reserve.prepare();
      expect(await heldMib()).toBe(left);
    }
    expect(await reserve.giveUp()).toBe(false);
    expect(logged).toEqual(['warn']);
    freeMib = 1000;
    await reserve.prepare();
    expect(await heldMib()).toBe(0);
    nowMs += 5_000;
    await reserve.prepare();
    expect(await heldMib()).toBe(16);
    expect(logged).toEqual(['warn', 'info']);
  });

  it('is left alone while the disk is nearly full', async () => {
    const reserve = await open();
    freeMib = 50;
    await reserve.prepare();
    expect(await heldMib()).toBe(16);
  });

  it('continues without the file when somebody removed it', async () => {
    const reserve = await open();
    await rm(path);
    expect(await reserve.giveUp()).toBe(false);
    nowMs += 5_000;
    await reserve.prepare();
    expect(await heldMib()).toBe(16);
  });
});

describe('a store with a reserve', () => {
  it('retries a write while space can be released, then reports a full disk', async () => {
    const database = await openSqlite(join(directory, 'flotilla.db'));
    let parts = 2;
    const asked: string[] = [];
    const store = createStore({
      ...database,
      reserve: {
        prepare: async () => void asked.push('prepare'),
        giveUp: async () => parts-- > 0,
      },
    });
    let runs = 0;
    const work = (failures: number) =>
      store.transaction(async () => {
        runs += 1;
        if (runs <= failures) throw new DiskFullError(new Error('full'));
        return 'written';
      });
    expect(await work(2)).toBe('written');
    await expect(work(9)).rejects.toMatchObject({ code: 'exhausted', hint: expect.any(String) });
    expect(runs).toBe(4);
    expect(asked).toEqual(['prepare', 'prepare']);
    await store.close();
  });

  it('does not retry what failed for other reasons', async () => {
    const database = await openSqlite(join(directory, 'flotilla.db'));
    const store = createStore({ ...database, reserve: await open() });
    await expect(store.machines.insert(sampleMachine())).rejects.toThrow(/no such table/);
    expect(await heldMib()).toBe(16);
    await store.close();
  });
});
