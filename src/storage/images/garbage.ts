/**
 * Root file systems and boot kits that nothing needs any more: those of images that set-up has made anew, and of machines
 * that are gone. What is needed is told by names, by core (machines), by the disks that lie here, whoever owns them, and
 * by programs that run. Anything young is spared: a start may have been told of it and not begun yet.
 */
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Garbage } from '../../core/ports/images.ts';
import type { StateLayout } from '../layout.ts';
import { namesIn } from './catalogue.ts';

/** Longer than any creation or start takes. */
export const garbageAgeMsMin = 60 * 60_000;

const digestPattern = /[0-9a-f]{64}/g;
/** The header of a qcow2 file (its specification is part of QEMU): where the name of its base is, and how long. */
const header = { bytes: 104, magic: 0x514649fb, baseOffset: 8, baseLength: 16 } as const;
/** The format's own limit. */
const baseLengthMax = 1023;

export interface Candidate extends Garbage {
  /** Milliseconds since it was last put in use. */
  readonly ageMs: number;
}

/** Which of them nothing needs. Pure. */
export function planGarbage(
  candidates: readonly Candidate[],
  needed: ReadonlySet<string>,
): readonly Garbage[] {
  return candidates
    .filter(({ digest, ageMs }) => !needed.has(digest) && ageMs >= garbageAgeMsMin)
    .map(({ kind, digest, bytes }) => ({ kind, digest, bytes }));
}

/** All blobs and boot kits of the state directory. */
export async function readCandidates(state: StateLayout, now: number): Promise<readonly Candidate[]> {
  const candidates: Candidate[] = [];
  for (const name of (await namesIn(state.blobs)).filter(isDigest)) {
    const { size, ctimeMs } = await stat(join(state.blobs, name));
    candidates.push({ kind: 'blob', digest: `sha256:${name}`, bytes: size, ageMs: now - ctimeMs });
  }
  for (const name of (await namesIn(state.boot)).filter(isDigest)) {
    const dir = join(state.boot, name);
    const files = await Promise.all((await readdir(dir)).map((file) => stat(join(dir, file))));
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    const { ctimeMs } = await stat(dir);
    candidates.push({ kind: 'boot_kit', digest: `sha256:${name}`, bytes, ageMs: now - ctimeMs });
  }
  return candidates;
}

function isDigest(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}

/**
 * Digests that disks lie on, those that no machine accounts for included. A disk's header is its VMM's: one that lies only
 * keeps a file from being removed.
 */
export async function basesOfDisks(roots: readonly string[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const root of roots) {
    const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return [];
        throw error;
      },
    );
    for (const entry of entries.filter((each) => each.isFile())) {
      for (const digest of await baseOf(join(entry.parentPath, entry.name))) found.add(digest);
    }
  }
  return found;
}

async function baseOf(path: string): Promise<readonly string[]> {
  const file = await open(path, 'r');
  try {
    const head = Buffer.alloc(header.bytes);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    if (bytesRead < head.length || head.readUInt32BE(0) !== header.magic) return [];
    const offset = head.readBigUInt64BE(header.baseOffset);
    const length = Math.min(head.readUInt32BE(header.baseLength), baseLengthMax);
    const name = Buffer.alloc(length);
    if (offset > BigInt(Number.MAX_SAFE_INTEGER)) return [];
    await file.read(name, 0, length, Number(offset));
    return digestsIn(name.toString('latin1'));
  } finally {
    await file.close();
  }
}

/** Digests that command lines name: the kernel of a VMM that runs. */
export async function digestsOfProcesses(): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
    for (const digest of digestsIn(command)) found.add(digest);
  }
  return found;
}

function digestsIn(text: string): readonly string[] {
  return (text.match(digestPattern) ?? []).map((digest) => `sha256:${digest}`);
}
