/**
 * Finds root file systems and boot kits that nothing needs any more: those of rebuilt images, and of deleted
 * machines. They are needed by image names, by machines and snapshots (according to core), by disks on this host, whoever
 * owns them, and by running programs. Young ones are spared, because a start may have resolved to one but not
 * begun.
 */
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Garbage } from '../../core/ports/images.ts';
import type { StateLayout } from '../layout.ts';
import { namesIn } from './catalogue.ts';

/** Longer than any creation or start takes. */
export const garbageAgeMsMin = 60 * 60_000;

const digestPattern = /[0-9a-f]{64}/g;
/** The qcow2 header (specified in QEMU's documentation): position and length of the base's name. */
const header = { bytes: 104, magic: 0x514649fb, baseOffset: 8, baseLength: 16 } as const;
/** The format's limit. */
const baseLengthMax = 1023;

export interface Candidate extends Garbage {
  /** Milliseconds since it was last put to use. */
  readonly ageMs: number;
}

/** Those that nothing needs. Pure. */
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
 * The digests that disks depend on, including orphan disks. A VMM controls its disk's header, but a false one
 * can only prevent a removal.
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

/** The digests in command lines: the kernels of running VMMs. */
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
