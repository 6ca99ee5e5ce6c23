/** The rights of programs that read an untrusted archive, observed while they run. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AppError } from '../../core/errors.ts';
import { giveToJail, jailUid } from '../../lib/jail.ts';
import { StateLayout } from '../layout.ts';
import { testImageBuilder } from '../testing/image-builder.ts';
import { buildRoot } from './building.ts';
import { stagingOf } from './staging.ts';

let dir: string;
let archive: Buffer;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'flotilla-building-'));
  archive = execFileSync('tar', ['-c', '-C', '/', '--owner=0', '--group=0', 'bin/true', 'dev/null']);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const never = new AbortController().signal;
const limits = {
  bytesMax: 64 * 2 ** 20,
  tooLarge: new AppError('invalid', 'too large'),
  entriesMax: 100,
  tooMany: new AppError('invalid', 'too many'),
};

interface Seen {
  readonly status: string;
  readonly network: string;
  readonly users: string;
  readonly limits: string;
}

/** Unpacks, and inspects the program with this name while it waits for the second half. */
async function lookAt(name: string, packed: Buffer): Promise<Seen> {
  const staging = { ...stagingOf(new StateLayout(dir), 'x'), work: join(dir, 'work') };
  await mkdir(staging.work, { mode: 0o700 });
  await giveToJail(staging.work);
  let seen: Seen | undefined;
  const chunks = async function* () {
    yield packed.subarray(0, packed.length / 2);
    seen = await find(name);
    yield packed.subarray(packed.length / 2);
  };
  const builderPath = await testImageBuilder();
  await buildRoot(chunks(), staging, { name: 'x', builderPath, limits, timeoutMs: 30_000, signal: never });
  expect(await stat(join(staging.work, staging.rootName))).toMatchObject({ uid: jailUid, gid: jailUid });
  expect(await readdir(staging.work)).toEqual(['image-builder', staging.rootName]);
  if (!seen) throw new Error(`${name} was not run`);
  return seen;
}

/** Our child process with this name, once it has executed its final program. */
async function find(name: string): Promise<Seen> {
  for (;;) {
    for (const entry of await readdir('/proc')) {
      const read = (file: string) => readFile(`/proc/${entry}/${file}`, 'utf8').catch(() => '');
      const status = await read('status');
      if (!status.startsWith(`Name:\t${name}\n`) || !status.includes(`PPid:\t${process.pid}\n`)) continue;
      const network = await readlink(`/proc/${entry}/ns/net`).catch(() => '');
      return { status, network, users: await read('uid_map'), limits: await read('limits') };
    }
  }
}

describe.each([
  ['image-builder', (tar: Buffer) => tar, 32],
  ['gzip', gzipSync, 1],
  ['zstd', zstdCompressSync, 4],
] as const)('%s', (name, pack, threads) => {
  it('runs without root and without network, within bounds', async () => {
    const { status, network, users, limits: bounds } = await lookAt(name, pack(archive));
    expect(status).toMatch(new RegExp(`^Uid:\\t${jailUid}\\t${jailUid}\\t${jailUid}\\t${jailUid}$`, 'm'));
    expect(status).toMatch(new RegExp(`^Gid:\\t${jailUid}\\t${jailUid}\\t${jailUid}\\t${jailUid}$`, 'm'));
    expect(status).toMatch(/^NoNewPrivs:\t1$/m);
    for (const set of ['CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      expect(status).toContain(`${set}:\t0000000000000000\n`);
    }
    expect(users.trim().split(/ +/)).toEqual(['0', String(jailUid), String(2 ** 31 - 2)]);
    expect(network).toMatch(/^net:/);
    expect(network).not.toBe(await readlink('/proc/self/ns/net'));
    expect(bounds).toMatch(new RegExp(`^Max processes +${threads} +${threads} `, 'm'));
    expect(bounds).toMatch(/^Max address space +2147483648 /m);
  });
});
